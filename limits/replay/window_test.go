package replay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
)

var now = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

func message(signer roc.StructureID, n int, life time.Duration) roc.Signed {
	return roc.Signed{Signer: signer, Signature: sha256.Sum256(fmt.Append(nil, n)), Until: now.Add(life)}
}

func seen(t *testing.T, w Window, m roc.Signed, at time.Time) bool {
	t.Helper()
	s, err := w.Reserve(t.Context(), m, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A Window is what the path asks (proxy.Replays).
type Window interface {
	Reserve(ctx context.Context, m roc.Signed, at time.Time) (seen bool, err error)
	Forget(ctx context.Context, m roc.Signed)
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
	w.Forget(t.Context(), m)
	if seen(t, w, m, now) {
		t.Error("a message that was forgotten was seen: the retry that a refusal asks for would be refused")
	}
	if !seen(t, w, m, now) {
		t.Error("once retried, the same message again was not seen")
	}
	w.Forget(t.Context(), message(a, 99, time.Minute)) // never reserved: nothing happens
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if s, err := w.Reserve(context.Background(), message(a, 3, 10*time.Minute), now); err == nil && !s {
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
		seen(t, l, roc.Signed{Signer: "1010003812", Signature: sha256.Sum256(fmt.Append(nil, "x", i)), Until: at.Add(time.Second)}, at)
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
	seen(t, l, roc.Signed{Signer: "new", Until: now.Add(time.Hour)}, now.Add(10*time.Minute))
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
	if was, err := one.Reserve(t.Context(), later, now); was || err == nil {
		t.Errorf("without Redis: seen %v, error %v; want false, and an error that says the answer is Local's", was, err)
	}
	if was, _ := one.Reserve(t.Context(), later, now); !was {
		t.Error("without Redis an instance must still see its own")
	}
}

// Reserved and forgotten again and again, as when an insurer is out for hours,
// a message takes one place, and the bound of its signer holds.
func TestForgettingLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	l := NewLocal(100)
	m, kept := message("1010003812", 1, time.Hour), message("1010003812", 2, time.Hour)
	seen(t, l, kept, now)
	for range 10_000 {
		if seen(t, l, m, now) {
			t.Fatal("a forgotten message was seen")
		}
		l.Forget(t.Context(), m)
	}
	if s := l.signers["1010003812"]; len(s.until) != 1 || len(s.ring) != 1 {
		t.Errorf("%d messages and %d places are kept, want 1 and 1", len(s.until), len(s.ring))
	}
	for i := range 99 { // the bound: the newest push out nothing but what is older
		seen(t, l, message("1010003812", 100+i, time.Hour), now)
	}
	if !seen(t, l, kept, now) || l.Forgotten() != 0 {
		t.Error("a message within the bound was pushed out")
	}
}

func TestARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rejeu.bin")
	l := NewLocal(0)
	if err := l.Load(file, now); err != nil {
		t.Fatalf("a first start: %v", err)
	}
	for i := range 300 {
		seen(t, l, message(roc.StructureID(fmt.Sprint("101000", i%3)), i, time.Duration(1+i%2)*time.Minute), now)
	}
	gone := message("1010000", 999, time.Hour)
	seen(t, l, gone, now)
	l.Forget(t.Context(), gone)
	later := now.Add(90 * time.Second) // half of them are over
	if err := l.Save(file, later); err != nil {
		t.Fatal(err)
	}
	again := NewLocal(0)
	if err := again.Load(file, later); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if got, want := seen(t, again, message(roc.StructureID(fmt.Sprint("101000", i%3)), i, time.Minute), later), i%2 == 1; got != want {
			t.Fatalf("message %d, after the restart: seen %v, want %v", i, got, want)
		}
	}
	if seen(t, again, gone, later) {
		t.Error("a forgotten message came back")
	}
	small := NewLocal(10) // the bound holds for what is read, too
	if err := small.Load(file, later); err != nil {
		t.Fatal(err)
	}
	for id, s := range small.signers {
		if len(s.until) > 10 {
			t.Errorf("%s: %d messages are kept, the bound is 10", id, len(s.until))
		}
	}
}

func TestAFileThatIsNotWholeIsSaidAndReadAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rejeu.bin")
	l := NewLocal(0)
	for i := range 3 {
		seen(t, l, message("1010003812", i, time.Hour), now)
	}
	if err := l.Save(file, now); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"cut": whole[:len(whole)-5], "another form": []byte("something else"), "empty": {}, "cut in a count": whole[:len(fileForm)+2]} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		again := NewLocal(0)
		if err := again.Load(file, now); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
		if got := seen(t, again, message("1010003812", 0, time.Hour), now); got != (name == "cut") {
			t.Errorf("%s: the first message is seen %v", name, got)
		}
	}
}

// FuzzLoad: no file panics, and none makes the window hold more than the file
// has room for.
func FuzzLoad(f *testing.F) {
	l := NewLocal(0)
	l.Reserve(context.Background(), message("1010003812", 1, time.Hour), now)
	file := filepath.Join(f.TempDir(), "rejeu.bin")
	if err := l.Save(file, now); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(fileForm + "\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := NewLocal(0)
		l.load(bufio.NewReader(bytes.NewReader(b)), now)
		n := 0
		for _, s := range l.signers {
			n += len(s.until)
		}
		if n*entrySize > len(b) {
			t.Errorf("%d messages are read of %d bytes", n, len(b))
		}
	})
}

func BenchmarkReserve(b *testing.B) {
	l := NewLocal(0)
	var m roc.Signed
	m.Signer, m.Until = "1010003812", now.Add(time.Minute)
	for i := 0; b.Loop(); i++ {
		m.Signature[0], m.Signature[1], m.Signature[2] = byte(i), byte(i>>8), byte(i>>16)
		l.Reserve(b.Context(), m, now)
	}
}
