package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// A second is one more instance of the RPN on the configuration of a nation, with
// a state folder of its own.
type second struct {
	*nation.Process
	Address, Admin string
}

func startSecond(t *testing.T, n *nation.Nation) *second {
	t.Helper()
	b, err := os.ReadFile(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(n.File("second"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(n.Dir, "rpn-2.yaml")
	b = bytes.Replace(b, []byte("\nstate: rpn/state\n"), []byte("\nstate: second\n"), 1)
	b = bytes.Replace(b, []byte("journal/demo"), []byte("journal/second"), 1)
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	s := &second{Process: nation.Run(t, "serve", "--config", file)}
	await.Until(t, "the second instance is ready", func() bool {
		for _, l := range s.lines("listening") {
			s.Address, s.Admin = l.Text("address"), l.Text("admin")
		}
		if s.Admin == "" {
			return false
		}
		resp, err := http.Get("http://" + s.Admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the second instance:\n%s%s", s.Output, s.Errors)
		}
	})
	return s
}

// lines are those of its log with that event.
func (s *second) lines(event string) (found []nation.Line) {
	for line := range strings.Lines(s.Output.String()) {
		var l nation.Line
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &l) == nil && l.Text("event") == event {
			found = append(found, l)
		}
	}
	return found
}

// startHAProxy runs the real HAProxy on the file of deploy, in which the
// addresses alone are others. It returns where it listens.
func startHAProxy(t *testing.T, one, two [2]string) (address string) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal("haproxy is not installed: test/deps.sh installs it")
	}
	text, err := os.ReadFile("../../deploy/haproxy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) {
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("haproxy.cfg does not hold %q", old)
		}
		text = bytes.Replace(text, []byte(old), []byte(new), 1)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // HAProxy takes it over
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	listening, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close()
	replace("bind :8443", "bind fd@3")
	for i, at := range [][2]string{one, two} {
		_, port, _ := net.SplitHostPort(at[1])
		replace(fmt.Sprintf("10.20.0.1%d:8443 port 9464", i+1), at[0]+" port "+port)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	var out nation.Text
	cmd := exec.Command(program, "-db", "-f", file)
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{listening}, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy:\n%s", out.String())
		}
	})
	return l.Addr().String()
}

// Two instances behind the real HAProxy: each establishment is known by its own
// address, and when one instance is killed the exchanges that it held are lost,
// and nothing else.
func TestBehindHAProxyTwoInstancesAreOne(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("proxy_protocol", "from: [127.0.0.1/32]"))
	chu, bleue := n.Etablissement(nation.Limited(1000, 1000)), n.AMC("bleue")
	sites := make([]*nation.Etablissement, 8)
	for i := range sites {
		sites[i] = n.Etablissement()
		sites[i].ComesFrom(fmt.Sprintf("127.0.7.%d", i+1))
	}
	first := [2]string{strings.TrimSuffix(strings.TrimPrefix(n.URL(), "https://"), "/roc"), strings.TrimPrefix(n.AdminURL(), "http://")}
	_, port, _ := net.SplitHostPort(first[0])
	first[0] = net.JoinHostPort("127.0.0.1", port)
	two := startSecond(t, n)
	balancer := startHAProxy(t, first, [2]string{two.Address, two.Admin})

	// A connection that goes beside the balancer is refused: it has no header.
	if conn, err := connect(t, n, nil, chu.TLS); err == nil {
		conn.Close()
		t.Error("a connection that goes beside the balancer, from its address, came in")
	}
	n.RunsAt(balancer, first[1])

	// From an address of its own, an establishment is written down with it.
	at := map[string]bool{}
	for i, e := range sites {
		wantAnswered(t, e.Send(roc.IDB, "bleue", once))
		at[fmt.Sprintf("127.0.7.%d", i+1)] = true
	}
	await.Until(t, "both logs have their lines", func() bool { return len(n.Lines("exchange"))+len(two.lines("exchange")) == len(sites) })
	if len(n.Lines("exchange")) == 0 || len(two.lines("exchange")) == 0 {
		t.Error("one instance got everything")
	}
	for _, l := range append(n.Lines("exchange"), two.lines("exchange")...) {
		peer, _, _ := net.SplitHostPort(l.Text("record.peer"))
		if !at[peer] {
			t.Errorf("an exchange is written down as of %q: twice, or the address of the balancer", peer)
		}
		delete(at, peer)
	}

	// One is killed while both hold exchanges.
	bleue.Hold()
	before := bleue.Received()
	const exchanges = 12
	ends := make(chan *nation.Reply, exchanges)
	for range exchanges {
		go func() { ends <- chu.Send(roc.CLC, "bleue", once) }()
	}
	await.Until(t, "all are at the insurer", func() bool { return bleue.Received() == before+exchanges })
	held := inFlight(t, two.Admin)
	if held == 0 || held == exchanges {
		t.Fatalf("the second instance holds %d of %d", held, exchanges)
	}
	two.Kill()
	for range held {
		if r := <-ends; r.Err == nil {
			t.Errorf("an exchange of the killed instance came to %s", r)
		}
	}
	for _, e := range sites { // at once, before HAProxy has looked; each on a new connection
		e.Hangup()
		wantAnswered(t, e.Send(roc.IDB, "verte", once))
	}
	bleue.Release()
	for range exchanges - held {
		wantAnswered(t, <-ends)
	}
}

// wantAnswered wants the answer of the insurer, by whichever instance.
func wantAnswered(t *testing.T, r *nation.Reply) {
	t.Helper()
	if !r.Answered("00") {
		t.Errorf("want an answer, got %s", r)
	}
}

// once has a message sent once: what ends without an answer is not tried again.
func once(d *inner.Draft) { d.Once = true }

// inFlight is how many exchanges an instance holds.
func inFlight(t *testing.T, admin string) (count int) {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(resp.Body)
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Sscanf(line, "rpn_exchanges_in_flight %d", &count); err == nil {
			return count
		}
	}
	t.Fatal("no metric of the exchanges in flight")
	return 0
}
