package nation

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/await"
)

// takeFreePorts has rpn.yaml name free ports rather than two that another
// program may take meanwhile.
func (n *Nation) takeFreePorts() {
	n.t.Helper()
	b, err := os.ReadFile(n.ConfigFile())
	if err != nil {
		n.t.Fatal(err)
	}
	b = regexp.MustCompile(`(?m)^(listen|admin): 127\.0\.0\.1:\d+$`).ReplaceAll(b, []byte("$1: 127.0.0.1:0"))
	if err := os.WriteFile(n.ConfigFile(), b, 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// Start starts the binary on the files of the country, and waits until it is
// ready.
func (n *Nation) Start() {
	n.t.Helper()
	n.Launch()
	await.Until(n.t, "the RPN is ready", func() bool { return n.Ready().Ready })
}

// Launch starts the binary and waits until it listens.
func (n *Nation) Launch() {
	n.t.Helper()
	n.rpn = run(n.t, n.log, n.env, "serve", "--config", n.ConfigFile())
	await.Until(n.t, "the RPN listens", func() bool {
		select {
		case <-n.rpn.done:
			n.t.Fatalf("rpn serve ended with %d: %s", n.rpn.code, n.rpn.Errors)
		default:
		}
		for _, l := range n.Lines("listening") {
			n.RunsAt(l.Text("address"), l.Text("admin"))
			return true
		}
		return false
	})
}

// RPN is the process of the RPN; nil in process.
func (n *Nation) RPN() *Process { return n.rpn }

// A Readiness is the answer of /readyz.
type Readiness struct {
	Status   int
	Ready    bool
	Missing  []string
	Degraded []string
	Checks   []Check
}

// A Check is what /readyz says of one dependency.
type Check struct {
	Name, Detail string
	OK, Degraded bool
}

// Check returns what was said of one, by its name.
func (r Readiness) Check(name string) Check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return Check{}
}

// Ready asks /readyz; the zero Readiness when nothing answers.
func (n *Nation) Ready() Readiness {
	n.t.Helper()
	status, body, err := n.Admin("/readyz")
	if err != nil {
		return Readiness{}
	}
	r := Readiness{Status: status}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		n.t.Fatalf("/readyz: %v\n%s", err, body)
	}
	return r
}

// Admin asks the listener of the operators.
func (n *Nation) Admin(path string) (status int, body string, err error) {
	return n.ask(http.MethodGet, path)
}

func (n *Nation) ask(method, path string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), method, n.AdminURL()+path, nil)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: await.Patience}
	if method != http.MethodGet {
		client = admin.Client(n.AdminSocket())
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// Metric is the value of a metric, by its name and labels as /metrics writes
// them; "" when it is not there.
func (n *Nation) Metric(name string) string {
	n.t.Helper()
	_, text, err := n.Admin("/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Log is what the RPN has written.
func (n *Nation) Log() string { return n.log.String() }

// A Line is one line of the log.
type Line map[string]any

// Text is a text of the line; of the record in it, "record." before its key.
func (l Line) Text(key string) string {
	if inside, ok := strings.CutPrefix(key, "record."); ok {
		record, _ := l["record"].(map[string]any)
		return Line(record).Text(inside)
	}
	s, _ := l[key].(string)
	return s
}

// Lines are the lines of the log with that message.
func (n *Nation) Lines(message string) []Line {
	n.t.Helper()
	var found []Line
	for line := range strings.Lines(n.log.String()) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var l Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			n.t.Fatalf("a line of the log is no JSON: %v\n%s", err, line)
		}
		if l.Text("msg") == message {
			found = append(found, l)
		}
	}
	return found
}
