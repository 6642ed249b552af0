package replay

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
)

var now = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

func message(signer roc.StructureID, n int, life time.Duration) Message {
	return Message{Signer: signer, Signature: sha256.Sum256(fmt.Append(nil, n)), Until: now.Add(life)}
}

func seen(t *testing.T, w Window, m Message, at time.Time) bool {
	t.Helper()
	s, err := w.Seen(t.Context(), m, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contract is what every Window does.
func contract(t *testing.T, w Window) {
	a, b := roc.StructureID("1010003812"), roc.StructureID("1010003820")
	m := message(a, 1, 10*time.Minute)
	if seen(t, w, m, now) {
		t.Error("a new message was seen")
	}
	if !seen(t, w, m, now.Add(time.Minute)) {
		t.Error("the same message again was not seen")
	}
	if other := message(b, 1, 10*time.Minute); seen(t, w, other, now) {
		t.Error("the same signature value by another signer is another message")
	}
	if other := message(a, 2, 10*time.Minute); seen(t, w, other, now) {
		t.Error("another signature value is another message")
	}
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if s, err := w.Seen(context.Background(), message(a, 3, 10*time.Minute), now); err == nil && !s {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	if first.Load() != 1 {
		t.Errorf("%d of 16 concurrent calls were the first, want 1", first.Load())
	}
}

func TestLocalHoldsTheContract(t *testing.T) {
	t.Parallel()
	contract(t, NewLocal(0))
}

func TestAMessageIsForgottenWhenItsLifeEnds(t *testing.T) {
	t.Parallel()
	l := NewLocal(0)
	m := message("1010003812", 1, time.Minute)
	seen(t, l, m, now)
	if seen(t, l, m, now.Add(time.Minute+time.Nanosecond)) {
		t.Error("a message past its life was still remembered")
	}
	for i := range 5000 { // the ring and the map let go, too
		at := now.Add(time.Duration(i) * time.Second)
		seen(t, l, Message{Signer: "1010003812", Signature: sha256.Sum256(fmt.Append(nil, "x", i)), Until: at.Add(time.Second)}, at)
	}
	if s := l.signers["1010003812"]; len(s.until) > 4 || len(s.ring) > 3000 {
		t.Errorf("%d messages and %d places are kept of those past their life", len(s.until), len(s.ring))
	}
}

func TestOneSignerCannotEvictAnother(t *testing.T) {
	t.Parallel()
	l := NewLocal(100)
	quiet := message("1010003812", 1, time.Hour)
	seen(t, l, quiet, now)
	for i := range 10_000 {
		seen(t, l, message("1020000019", i, time.Hour), now)
	}
	if !seen(t, l, quiet, now) {
		t.Error("a noisy signer made the window forget the message of another")
	}
	if n := len(l.signers["1020000019"].until); n != 100 {
		t.Errorf("%d messages of the noisy signer are kept, want its bound of 100", n)
	}
	if l.Forgotten() != 9900 {
		t.Errorf("%d counted as forgotten early, want 9900", l.Forgotten())
	}
	if !seen(t, l, message("1020000019", 9_950, time.Hour), now) {
		t.Error("the newest messages of the noisy signer are not those kept")
	}
}

func TestIdleSignersAreDropped(t *testing.T) {
	t.Parallel()
	l := NewLocal(0)
	for i := range 100 {
		seen(t, l, message(roc.StructureID(fmt.Sprint("s", i)), 1, time.Minute), now)
	}
	seen(t, l, Message{Signer: "new", Until: now.Add(time.Hour)}, now.Add(10*time.Minute))
	if len(l.signers) != 1 {
		t.Errorf("%d signers are kept, want the only one with a live message", len(l.signers))
	}
}

func TestSharedWindowAcrossInstancesAndWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	instance := func() *Shared {
		c, err := redis.Open(redis.Options{URLs: []string{server.URL()}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return NewShared(NewLocal(0), c, 5*time.Second)
	}
	one, two := instance(), instance()
	contract(t, one)
	m := message("1010003812", 77, 10*time.Minute)
	if seen(t, one, m, now) || !seen(t, two, m, now) {
		t.Error("the second instance must see what the first let pass")
	}
	server.Stop()
	later := message("1010003812", 78, 10*time.Minute)
	if was, err := one.Seen(t.Context(), later, now); was || err == nil {
		t.Errorf("without Redis: seen %v, error %v; want false, and an error that says the answer is Local's", was, err)
	}
	if was, _ := one.Seen(t.Context(), later, now); !was {
		t.Error("without Redis an instance must still see its own")
	}
}

func BenchmarkSeen(b *testing.B) {
	l := NewLocal(0)
	var m Message
	m.Signer, m.Until = "1010003812", now.Add(time.Minute)
	for i := 0; b.Loop(); i++ {
		m.Signature[0], m.Signature[1], m.Signature[2] = byte(i), byte(i>>8), byte(i>>16)
		l.Seen(b.Context(), m, now)
	}
}
