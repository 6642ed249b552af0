package annuaire

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestMain(m *testing.M) { os.Exit(nation.Main(m)) }

// A cell is one thing that goes wrong, and what must come of it: the codes that
// an establishment gets, in order.
type cell struct {
	family, name string
	want         string
	play         func(t *testing.T) string
}

// short has an answer no longer fresh after a second.
var short = nation.Annuaire("ttl: 1s\nmax_age: 1h\nprobe: 0s\ntimeout: 1s")

// code is what an establishment gets for one message.
func code(r *nation.Reply) string {
	if r.Err != nil {
		return "nothing"
	}
	if r.Code == "" {
		return fmt.Sprint("HTTP ", r.Status)
	}
	return r.Code
}

// expire waits until what was learned is no longer fresh.
func expire() { time.Sleep(1100 * time.Millisecond) }

// breathe keeps an establishment within its rate.
func breathe() { time.Sleep(250 * time.Millisecond) }

// warm: the answer is remembered and no longer fresh when the annuaire breaks.
func warm(f fictif.Fault) func(*testing.T) string {
	return func(t *testing.T) string {
		n := nation.New(t, nation.Binary, short)
		chu := n.Etablissement()
		chu.Send(roc.IDB, "bleue").WantAnswer()
		n.Annuaire.Break(f)
		expire()
		first := code(chu.Send(roc.IDB, "bleue")) // and asks again in the background
		expire()
		return first + " " + code(chu.Send(roc.IDB, "bleue"))
	}
}

// cold: nothing is remembered.
func cold(f fictif.Fault) func(*testing.T) string {
	return func(t *testing.T) string {
		n := nation.New(t, nation.Binary, short)
		n.Annuaire.Break(f)
		return code(n.Etablissement().Send(roc.IDB, "bleue"))
	}
}

// given: the annuaire gives this address for the insurer, signed.
func given(url string) func(*testing.T) string {
	return func(t *testing.T) string {
		n := nation.New(t, nation.Binary, short)
		n.Rows(row(url))
		c := code(n.Etablissement().Send(roc.IDB, "bleue"))
		n.AMC("bleue").WantReceived(0)
		return c
	}
}

func row(url string) string {
	return fmt.Sprintf(`{numero_amc: "AMC", nom: "Mutuelle Bleue", service: IDB, version: V2, url: %q, debut: DEBUT, fin: FIN}`, url)
}

func cells() []cell {
	list := []cell{
		{"outage", "flapping", "00 00 00 00 00 00", flapping},
		{"outage", "restart while it is down", "00", restart((*nation.Nation).Restart)},
		{"outage", "crash while it is down", "00", restart((*nation.Nation).Crash)},
		{"outage", "restart, the last answer is too old", "RPN304", tooOld},
		{"outage", "down, then back: news after the rest", "00 RPN306", comesBack},
		{"poisoning", "the file of answers altered, annuaire down", "RPN304", disk(fictif.Down)},
		{"poisoning", "the file of answers altered, annuaire up", "00", disk(fictif.None)},
		{"poisoning", "every route moved at once", "00 annuaire_changes RPN401", moved},
		{"poisoning", "every insurer lost at once", "00 annuaire_changes", emptied},
		{"poisoning", "Redis altered, annuaire up", "00 asked", redisAltered},
		{"outage", "Redis killed", "00 redis limits", redisKilled},
		{"outage", "hung, an establishment's own search, and a restart", "annuaire cache cache cache", searchWhileHung},
		{"poisoning", "a flood of invented keys, then a restart while it is down", "00 00", flood},
		{"rebinding", "a name that leads to loopback", "RPN305 0 connections", rebound("127.0.0.2")},
		{"rebinding", "a name that leads to the metadata address", "RPN305 0 connections", rebound("169.254.169.254")},
		{"rebinding", "a name that leads to a private network", "RPN305 0 connections", rebound("10.1.2.3")},
		{"rebinding", "a name that leads to one of ours and a good one", "00 0 connections", rebound("127.0.0.2", "127.0.0.1")},
		{"rebinding", "a good name that flips to loopback", "00 RPN305 0 connections", flips},
	}
	for _, f := range []fictif.Fault{fictif.Down, fictif.Silent, fictif.Unsigned, fictif.BadSignature, fictif.Stale, fictif.OtherAMC,
		fictif.Expired, fictif.Huge, fictif.Half, fictif.SOAPFault, fictif.Redirected, fictif.Garbage} {
		code := "RPN305"
		if f == fictif.Down || f == fictif.Silent {
			code = "RPN304"
		}
		list = append(list,
			cell{"outage", f.String() + ", an answer is remembered", "00 00", warm(f)},
			cell{"outage", f.String() + ", nothing is remembered", code, cold(f)})
	}
	for _, a := range []struct{ name, url, want string }{
		{"http", "http://roc.mutuelle-bleue.example/roc", "RPN305"},
		{"127.0.0.1", "https://127.0.0.1/roc", "RPN305"},
		{"[::1]", "https://[::1]/roc", "RPN305"},
		{"the metadata address", "https://169.254.169.254/latest/meta-data/", "RPN305"},
		{"loopback in one number", "https://2130706433/roc", "RPN305"},
		{"localhost", "https://localhost/roc", "RPN305"},
		{"a user in it", "https://roc.mutuelle-bleue.example@evil.example/roc", "RPN305"},
		{"another domain", "https://evil.example/roc", "RPN306"},
		{"a domain that ends alike", "https://evilroc.mutuelle-bleue.example.evil.example/roc", "RPN306"},
	} {
		list = append(list, cell{"poisoning", "a signed address: " + a.name, a.want, given(a.url)})
	}
	return list
}

func TestDrill(t *testing.T) {
	for _, c := range cells() {
		t.Run(c.family+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			c.verdict(t)
		})
	}
}

// verdict plays a cell and says in one line how it went.
func (c cell) verdict(t *testing.T) {
	got := c.play(t)
	word := "ok "
	if got != c.want || t.Failed() {
		word = "NOT"
		t.Errorf("%s: got %q, want %q", c.name, got, c.want)
	}
	fmt.Printf("%s  %-10s  %-60s  %s\n", word, c.family, c.name, got)
}

func flapping(t *testing.T) string {
	n := nation.New(t, nation.Binary, short)
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	var got []string
	for i := range 6 {
		n.Annuaire.Break([]fictif.Fault{fictif.Down, fictif.None}[i%2])
		expire()
		got = append(got, code(chu.Send(roc.IDB, "bleue")))
	}
	return strings.Join(got, " ")
}

func restart(how func(*nation.Nation)) func(*testing.T) string {
	return func(t *testing.T) string {
		n := nation.New(t, nation.Binary, short)
		chu := n.Etablissement()
		chu.Send(roc.IDB, "bleue").WantAnswer()
		n.Annuaire.Break(fictif.Down)
		expire()
		how(n)
		return code(chu.Send(roc.IDB, "bleue"))
	}
}

func tooOld(t *testing.T) string {
	n := nation.New(t, nation.Binary, nation.Annuaire("ttl: 1s\nmax_age: 2s\nprobe: 0s"))
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	n.Annuaire.Break(fictif.Down)
	time.Sleep(3 * time.Second)
	n.Restart()
	return code(chu.Send(roc.IDB, "bleue"))
}

// comesBack: once it answers again, what it says now is known.
func comesBack(t *testing.T) string {
	n := nation.New(t, nation.Binary, short)
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	n.Annuaire.Break(fictif.Down)
	for range 4 {
		expire()
		chu.Send(roc.IDB, "bleue").WantAnswer()
	}
	n.Rows(row("https://elsewhere.example/roc"))
	n.Annuaire.Break(fictif.None)
	last := ""
	await.Until(t, "the news is known", func() bool {
		breathe()
		last = code(chu.Send(roc.IDB, "bleue"))
		return last != "00"
	})
	return "00 " + last
}

// disk alters what is kept between a stop and a start.
func disk(f fictif.Fault) func(*testing.T) string {
	return func(t *testing.T) string {
		n := nation.New(t, nation.Binary, short)
		chu := n.Etablissement()
		chu.Send(roc.IDB, "bleue").WantAnswer()
		n.Annuaire.Break(f)
		expire()
		n.RestartAfter(func() {
			file := n.File("rpn/state/annuaire.log")
			b, err := os.ReadFile(file)
			if err != nil || !bytes.Contains(b, []byte("roc.mutuelle-bleue.example")) {
				t.Fatalf("nothing was kept: %v", err)
			}
			if err := os.WriteFile(file, bytes.ReplaceAll(b, []byte("mutuelle-bleue"), []byte("mutuelle-noire")), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		return code(chu.Send(roc.IDB, "bleue"))
	}
}

// careful holds the second route that moves.
var careful = nation.Annuaire("ttl: 1s\nmax_age: 1h\nprobe: 0s\ntimeout: 1s\nheld_share: 0.05\nheld_least: 1")

var services = []roc.Service{roc.IDB, roc.SIM, roc.CLC}

// heldAfter asks about three routes, changes the annuaire, and asks again until
// the filter holds.
func heldAfter(t *testing.T, change func(*nation.Nation)) (*nation.Nation, *nation.Etablissement, string) {
	n := nation.New(t, nation.Binary, careful)
	chu := n.Etablissement()
	for _, s := range services {
		chu.Send(s, "bleue").WantAnswer()
	}
	change(n)
	expire()
	await.Until(t, "the filter holds", func() bool {
		breathe()
		for _, s := range services {
			chu.Send(s, "bleue")
		}
		return strings.Contains(strings.Join(n.Ready().Degraded, " "), "annuaire_changes")
	})
	got := code(chu.Send(roc.IDB, "bleue"))
	for _, s := range services[1:] {
		chu.Send(s, "bleue").WantAnswer()
	}
	return n, chu, got + " annuaire_changes"
}

// moved: the previous routes serve, until an operator approves the new host:
// then it is used, and nobody is there.
func moved(t *testing.T) string {
	n, chu, got := heldAfter(t, func(n *nation.Nation) {
		var rows []string
		for _, s := range services {
			rows = append(rows, strings.Replace(row("https://evil.example/roc"), "service: IDB", "service: "+s.String(), 1))
		}
		n.Rows(rows...)
	})
	expire()
	admin := strings.TrimPrefix(n.AdminURL(), "http://")
	held := nation.Run(t, "annuaire", "held", "--admin", admin)
	held.WantExit(1)
	if out := held.Output.String(); !strings.Contains(out, "https://evil.example/roc") || !strings.Contains(out, "--host evil.example --why") {
		t.Fatalf("rpn annuaire held says:\n%s", out)
	}
	amc := "0099000003" // bleue
	// Another host is not what is held, and an act needs its reason.
	nation.Run(t, "annuaire", "approve", "--admin", admin, "--amc", amc, "--host", "elsewhere.example", "--why", "a drill").WantExit(1)
	nation.Run(t, "annuaire", "approve", "--admin", admin, "--amc", amc, "--host", "evil.example", "--who", "the drill", "--why", "to see").WantExit(0)
	if acts, err := os.ReadFile(n.File("rpn/state/annuaire-actes.jsonl")); err != nil || !strings.Contains(string(acts), `(the drill)","why":"to see"`) {
		t.Errorf("what was decided is written as %q, %v", acts, err)
	}
	last := ""
	await.Until(t, "what was approved is in use", func() bool {
		breathe()
		last = code(chu.Send(roc.IDB, "bleue"))
		return last != "00"
	})
	return got + " " + last
}

// search is an establishment's own question to the annuaire.
func search(d *inner.Draft) {
	d.Body = func(d *inner.Draft) roc.Content {
		return message.SearchRequest{Requete: d.Demande.Requete, Adressage: d.Demande.Adressage}.Envelope(d.SOAP)
	}
	d.ContentType, d.SOAPAction = d.SOAP.ContentType(), new(string)
}

// searchWhileHung: the answer serves from memory, then from disk.
func searchWhileHung(t *testing.T) string {
	n := nation.New(t, nation.Binary, short)
	chu := n.Etablissement()
	got := []string{string(chu.Send(roc.IDB, "bleue", search).Origin())}
	n.Annuaire.Break(fictif.Silent)
	for range 2 {
		got = append(got, string(chu.Send(roc.IDB, "bleue", search).Origin()))
	}
	n.Restart()
	return strings.Join(append(got, string(chu.Send(roc.IDB, "bleue", search).Origin())), " ")
}

// flood: one establishment invents CSR beyond its share; the answers of another
// are there after a restart.
func flood(t *testing.T) string {
	n := nation.New(t, nation.Binary, nation.Annuaire("ttl: 1s\nmax_age: 1h\nprobe: 0s\ntimeout: 1s\nnew_keys: 5"))
	chu, noisy := n.Etablissement(), n.Etablissement(nation.Limited(1000, 1000))
	first := code(chu.Send(roc.IDB, "bleue"))
	for i := range 40 {
		noisy.Send(roc.IDB, "bleue", func(d *inner.Draft) { d.Demande.Adressage.CSR = roc.CSR(fmt.Sprintf("INVENTE%d", i)) }).WantAnswer()
	}
	n.Annuaire.Break(fictif.Down)
	n.Restart()
	return first + " " + code(chu.Send(roc.IDB, "bleue"))
}

func emptied(t *testing.T) string {
	_, _, got := heldAfter(t, func(n *nation.Nation) {
		n.Rows(strings.Replace(row("https://roc.mutuelle-bleue.example/roc"), `"AMC"`, `"0099000077"`, 1))
	})
	return got
}

// withRedis starts one, and returns its section of rpn.yaml.
func withRedis(t *testing.T) (*redistest.Server, nation.Option) {
	r := redistest.Start(t)
	return r, nation.Section("redis", fmt.Sprintf("urls: [%q]", r.URL()))
}

// redisAltered: somebody writes into Redis; what is found there is not believed,
// and the annuaire is asked.
func redisAltered(t *testing.T) string {
	redis, section := withRedis(t)
	n := nation.New(t, nation.Binary, short, section)
	chu := n.Etablissement()
	await.Until(t, "Redis is seen", func() bool { return n.Metric("rpn_redis_up") == "1" })
	chu.Send(roc.IDB, "bleue").WantAnswer()
	key := ""
	await.Until(t, "the answer is in Redis", func() bool {
		key = strings.TrimSpace(redis.Cli("keys", "rpn:annuaire:3:k:*"))
		return key != ""
	})
	redis.Cli("set", key, "12345678-https://evil.example/roc")
	expire()
	got := code(chu.Send(roc.IDB, "bleue")) // looks into Redis, in the background
	await.Until(t, "what stands in Redis is not believed, and the annuaire is asked", func() bool {
		return n.Metric(`rpn_annuaire_kept_total{from="any",result="disbelieved"}`) == "1" && n.Metric(`rpn_annuaire_asks_total{outcome="answered"}`) == "2"
	})
	if n.Metric(`rpn_annuaire_kept_total{from="redis",result="used"}`) == "0" {
		got += " asked"
	}
	return got
}

func redisKilled(t *testing.T) string {
	redis, section := withRedis(t)
	n := nation.New(t, nation.Binary, short, section)
	chu := n.Etablissement()
	await.Until(t, "Redis is seen", func() bool { return n.Metric("rpn_redis_up") == "1" })
	redis.Stop()
	await.Until(t, "the loss is known", func() bool { return n.Metric("rpn_redis_up") == "0" })
	return code(chu.Send(roc.IDB, "bleue")) + " " + strings.Join(n.Ready().Degraded, " ")
}

// trap listens beside the insurer, on another address of this machine and the
// same port, and counts who comes.
func trap(t *testing.T, n *nation.Nation) *atomic.Int32 {
	_, port, _ := strings.Cut(strings.TrimPrefix(n.URLOf("bleue"), "https://"), ":")
	port, _, _ = strings.Cut(port, "/")
	l, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	var came atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &came
}

// onlyHere: an insurer may be at 127.0.0.1 and nowhere else of this machine;
// names are asked of the resolver.
func onlyHere(r *nation.Resolver) nation.Option {
	return nation.Section("network", "allow: [127.0.0.1/32]\nhosts: {annuaire.example: 127.0.0.1}\nresolver: "+fmt.Sprintf("%q", r.Addr()))
}

func rebound(to ...string) func(*testing.T) string {
	return func(t *testing.T) string {
		r := nation.NewResolver(t, to...)
		n := nation.New(t, nation.Binary, short, onlyHere(r))
		came := trap(t, n)
		got := code(n.Etablissement().Send(roc.IDB, "bleue"))
		return fmt.Sprintf("%s %d connections", got, came.Load())
	}
}

func flips(t *testing.T) string {
	r := nation.NewResolver(t, "127.0.0.1")
	n := nation.New(t, nation.Binary, short, onlyHere(r))
	came := trap(t, n)
	chu := n.Etablissement()
	first := code(chu.Send(roc.IDB, "bleue"))
	r.Flip("127.0.0.2")
	n.Restart() // else the kept connection serves, to where it was
	return fmt.Sprintf("%s %s %d connections", first, code(chu.Send(roc.IDB, "bleue")), came.Load())
}
