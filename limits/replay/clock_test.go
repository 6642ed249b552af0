package replay

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// What was signed while the clock was five days ahead stands before nothing once
// it is put back, and no signer of then stays.
func TestAClockThatJumpsLeavesNoMessageBehind(t *testing.T) {
	t.Parallel()
	const fiveDays = 5 * 24 * time.Hour
	begin := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	l := NewLocal(50)
	n := uint32(0)
	send := func(who roc.StructureID, at time.Time) roc.Signed {
		n++
		m := roc.Signed{Signer: who, Until: at.Add(5 * time.Minute)}
		binary.BigEndian.PutUint32(m.Signature[:], n)
		if seen, _ := l.Reserve(context.Background(), m, at); seen {
			t.Error("a new message is taken for a replay")
		}
		return m
	}
	before := send("chu", begin)
	for range 40 {
		send("chu", begin.Add(fiveDays))
	}
	send("other", begin.Add(fiveDays))
	for i := range 300 { // never more than 30 live at once
		send("chu", begin.Add(time.Duration(i)*10*time.Second))
	}
	if f := l.Forgotten(); f != 0 {
		t.Errorf("%d messages were forgotten before their time: those of the jump take the room", f)
	}
	_ = before
	for i := range 30 {
		send("chu", begin.Add(time.Hour+time.Duration(i)*time.Hour))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.signers["other"]; there {
		t.Error("a signer of the jump is kept for its five days")
	}
}

// The sweep drops who has nothing live, and nobody else.
func TestTheSweepDropsWhoHasNothingLive(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	l := NewLocal(0)
	short := roc.Signed{Signer: "short", Signature: [32]byte{1}, Until: begin.Add(30 * time.Second)}
	long := roc.Signed{Signer: "long", Signature: [32]byte{2}, Until: begin.Add(10 * time.Minute)}
	l.Reserve(context.Background(), short, begin)
	l.Reserve(context.Background(), long, begin)
	at := begin.Add(2 * time.Minute)
	l.Reserve(context.Background(), roc.Signed{Signer: "third", Signature: [32]byte{3}, Until: at.Add(time.Minute)}, at)
	if _, there := l.signers["short"]; there || len(l.signers) != 2 {
		t.Errorf("%d signers are kept, want long and third", len(l.signers))
	}
	if seen, _ := l.Reserve(context.Background(), long, at); !seen {
		t.Error("a message that lives was forgotten by the sweep")
	}
}
