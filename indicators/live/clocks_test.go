package live

import (
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

func TestClocksKeepTheLastMeasureOfEach(t *testing.T) {
	t.Parallel()
	c := NewClocks()
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	seen := func(from roc.StructureID, offset time.Duration, reason roc.Reason) {
		c.Observe(&roc.Record{From: from, ClockOffset: &offset, RequestIn: at, Reason: reason})
	}
	c.Observe(&roc.Record{From: "1010003812", RequestIn: at}) // nothing was measured
	if len(c.List()) != 0 {
		t.Fatal("an exchange without a signed Timestamp was measured")
	}
	seen("1010003812", time.Minute, "")
	seen("1020000019", -7*time.Minute, roc.StaleTimestamp)
	seen("1010003812", -time.Second, "")
	list := c.List()
	if len(list) != 2 || list[0].Structure != "1020000019" || !list[0].Refused || list[0].Seconds != -420 || list[1].Seconds != -1 {
		t.Errorf("got %+v: want the furthest clock first, and of each its last measure", list)
	}
}
