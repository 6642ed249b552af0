package http1

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// A resting is a Breaker that lets some addresses rest, and keeps how visits
// ended.
type resting struct {
	addresses map[string]bool

	mu     sync.Mutex
	ends   []VisitEnd
	pauses []time.Duration
}

func (b *resting) Allow(address string, who roc.StructureID, _ time.Time) (Visit, error) {
	if who != http1test.CHU {
		return nil, errors.New("not who sends")
	}
	if b.addresses[address] {
		return nil, roc.Refuse(roc.AMCResting, "as told").After(7 * time.Second)
	}
	return b, nil
}

func (b *resting) Announced(until, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pauses = append(b.pauses, until.Sub(at))
}

func (b *resting) Done(end VisitEnd, _ time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ends = append(b.ends, end)
}

func withBreaker(b Breaker) func(*UpstreamOptions) { return func(o *UpstreamOptions) { o.Breaker = b } }

func addressOf(t *testing.T, u *Upstream, url string) string {
	t.Helper()
	p, err := u.target(url, false)
	if err != nil {
		t.Fatal(err)
	}
	return p.pool.address()
}

func TestAnAddressThatRestsIsNotDialedAndTheNextIsTried(t *testing.T) {
	t.Parallel()
	first, second := http1test.New(t), http1test.New(t)
	b := &resting{addresses: map[string]bool{}}
	u := newUpstream(t, withBreaker(b))
	b.addresses[addressOf(t, u, first.URL())] = true

	_, _, err := sendIt(t, u, carried("<a/>"), first.URL())
	if r := roc.RefusalOf(err); r.Reason != roc.AMCResting || r.RetryAfter != 7*time.Second {
		t.Errorf("the only address rests: %v, want amc-resting and its time", err)
	}
	if n := first.Accepted.Load(); n != 0 {
		t.Errorf("an address at rest was dialed %d times", n)
	}
	if _, _, err := sendIt(t, u, carried("<a/>"), first.URL(), second.URL()); err != nil || second.Accepted.Load() != 1 {
		t.Errorf("the second address: %v", err)
	}
}

func TestABreakerIsToldHowEachVisitEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		says  string
		want  VisitEnd
		pause time.Duration
	}{
		{"an answer", http1test.Raw(200, "<ok/>"), Answered, 0},
		{"a fault of the insurer", http1test.Raw(500, "<fault/>"), Answered, 0},
		{"a front without its server", http1test.Raw(503, "later"), NotAnswered, 0},
		{"one that says until when", "HTTP/1.1 503 Later\r\nRetry-After: 90\r\nContent-Length: 5\r\n\r\nlater", NotAnswered, 90 * time.Second},
		{"another status that does", "HTTP/1.1 500 No\r\nRetry-After: 90\r\nContent-Length: 2\r\n\r\nno", Answered, 0},
		{"what is no HTTP", "nonsense\r\n\r\n", NotAnswered, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			far, b := http1test.New(t), &resting{}
			far.Says(c.says)
			sendIt(t, newUpstream(t, withBreaker(b)), carried("<a/>"), far.URL())
			if len(b.ends) != 1 || b.ends[0] != c.want {
				t.Errorf("told %v, want %v", b.ends, c.want)
			}
			if len(b.pauses) > 1 || (c.pause > 0) != (len(b.pauses) == 1) || c.pause > 0 && b.pauses[0] != c.pause {
				t.Errorf("told of pauses %v, want %v", b.pauses, c.pause)
			}
		})
	}
}

// A silence counts against an address from 5 seconds, or from half of what its
// exchanges are allowed: who waits for less puts nobody to rest.
func TestOnlyALongSilenceCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		took, allowed time.Duration
		want          VisitEnd
	}{
		{4999 * time.Millisecond, 0, Neither},
		{5 * time.Second, 0, NotAnswered},
		{5 * time.Second, time.Hour, NotAnswered},
		{1499 * time.Millisecond, 3 * time.Second, Neither},
		{1500 * time.Millisecond, 3 * time.Second, NotAnswered},
	} {
		if got := endOf(Response{}, os.ErrDeadlineExceeded, c.took, c.allowed); got != c.want {
			t.Errorf("%v of %v: %v, want %v", c.took, c.allowed, got, c.want)
		}
		if got := endOf(Response{}, &notSent{os.ErrDeadlineExceeded}, c.took, c.allowed); got != NotAnswered {
			t.Errorf("%v of %v, to connect: %v", c.took, c.allowed, got)
		}
	}
}
