package nation

import (
	"github.com/piano-roc/rpn/internal/await"
)

// Restart stops the binary as a service manager does, and starts it again on
// the same files.
func (n *Nation) Restart() {
	n.t.Helper()
	n.RestartAfter(func() {})
}

// RestartAfter is Restart, with something done in between.
func (n *Nation) RestartAfter(between func()) {
	n.t.Helper()
	n.hangUp()
	n.rpn.Stop()
	between()
	n.again()
}

// Crash kills the binary, and starts it again on the same files.
func (n *Nation) Crash() {
	n.t.Helper()
	n.hangUp()
	n.rpn.Kill()
	n.again()
}

func (n *Nation) hangUp() {
	for _, e := range n.welcomed {
		e.Hangup()
	}
}

// again starts the binary once more, and waits until it listens.
func (n *Nation) again() {
	n.t.Helper()
	before := len(n.Lines("listening"))
	n.rpn = run(n.t, n.log, n.env, "serve", "--config", n.ConfigFile())
	await.Until(n.t, "the RPN listens again", func() bool {
		select {
		case <-n.rpn.done:
			n.t.Fatalf("rpn serve ended with %d: %s", n.rpn.code, n.rpn.Errors)
		default:
		}
		lines := n.Lines("listening")
		if len(lines) == before {
			return false
		}
		last := lines[len(lines)-1]
		n.RunsAt(last.Text("address"), last.Text("admin"))
		return true
	})
}

// URLOf is where the insurer of that ID listens.
func (n *Nation) URLOf(id string) string { return n.urlOf(n.AMC(id)) }
