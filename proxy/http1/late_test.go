package http1

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// An insurer that answers after the deadline is heard of, and its answer given
// to nobody: the next message has a connection of its own.
func TestALateAnswerIsCounted(t *testing.T) {
	t.Parallel()
	late := make(chan Late, 10)
	far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.OnLate = func(l Late) { late <- l } })
	far.Says(http1test.Raw(200, "<ok/>")) // a connection is there: only the answer is waited for
	if _, _, err := sendIt(t, s, carried("<first/>"), far.URL()); err != nil {
		t.Fatal(err)
	}
	goOn := make(chan struct{})
	far.Does(func(c net.Conn, _ http1test.Got) { <-goOn; io.WriteString(c, http1test.Raw(200, "<late/>")) })
	silent(t, s, far.URL())
	close(goOn)
	l := await.Next(t, "the late answer is told", late)
	if l.Exchange != "x-1" || l.Service != roc.CLC || l.AMC != "0099000001" || l.Host == "" || l.After <= 0 {
		t.Errorf("%+v", l)
	}
	far.Says(http1test.Raw(200, "<other/>"))
	if a, _, err := sendIt(t, s, carried("<next/>"), far.URL()); err != nil || string(a.Body.Bytes()) != "<other/>" {
		t.Errorf("the next message: %v", err)
	}
}

// What is waited for in vain is bounded, ends with the Upstream, and an answer
// that stopped half-way is no late one.
func TestNotAllIsWaitedFor(t *testing.T) {
	t.Parallel()
	t.Run("a caller in a hurry", func(t *testing.T) {
		t.Parallel()
		far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.OnLate = func(l Late) { t.Errorf("told: %+v", l) } })
		far.Does(func(n net.Conn, _ http1test.Got) { io.Copy(io.Discard, n) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Send(ctx, new(roc.Record), []string{far.URL()}, carried("<a/>")); !roc.IsRefused(err, roc.AMCSilent) {
			t.Errorf("%v, want amc-silent", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lates != 0 {
			t.Error("it is waited for")
		}
	})
	for name, c := range map[string]struct {
		script string
		sent   int
		want   int
	}{
		"silent":         {"", mostLateHost + 3, mostLateHost},
		"half of a head": {"HTTP/1.1 200 ", 1, 0},
		"half of a body": {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.OnLate = func(l Late) { t.Errorf("told: %+v", l) } })
			quiet := make(chan struct{})
			defer close(quiet)
			for range c.sent {
				far.Says(http1test.Raw(200, "<ok/>"))
				if _, _, err := sendIt(t, s, carried("<first/>"), far.URL()); err != nil {
					t.Fatal(err)
				}
				far.Does(func(n net.Conn, _ http1test.Got) { io.WriteString(n, c.script); <-quiet })
				silent(t, s, far.URL())
			}
			s.mu.Lock()
			got := s.lates
			s.mu.Unlock()
			if got != c.want {
				t.Errorf("%d are waited for, want %d", got, c.want)
			}
			s.Close()
			await.Until(t, "none is waited for any more", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.lates == 0
			})
		})
	}
}

// silent sends a message whose answer does not come within 50 ms.
func silent(t *testing.T, s *Upstream, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	rec := &roc.Record{ID: "x-1", Service: roc.CLC, To: roc.Key{AMC: "0099000001"}}
	m := carried("<a/>")
	m.Allowed = 10 * time.Millisecond
	if _, err := s.Send(ctx, rec, []string{url}, m); !roc.IsRefused(err, roc.AMCSilent) {
		t.Fatalf("%v, want amc-silent", err)
	}
}
