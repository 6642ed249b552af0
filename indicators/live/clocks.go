package live

import (
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Clocks remembers, for each establishment, the clock offset of its last signed
// message, so that an establishment can see its offset before it is refused for
// it. It is no Prometheus metric, since an establishment is no label of /metrics. Safe
// for concurrent use.
type Clocks struct {
	mu   sync.Mutex // guards last
	last map[roc.StructureID]Offset
}

// An Offset is one measurement. It includes the transit time of the message, so
// a correct clock shows a little behind.
type Offset struct {
	Structure roc.StructureID `json:"structure"`
	Seconds   float64         `json:"avance_secondes"` // negative: behind
	At        time.Time       `json:"mesure"`
	Refused   bool            `json:"refuse"` // the message was refused as stale
}

// NewClocks makes a Clocks. What it holds is bounded by the register: only
// callers that the register knows are measured.
func NewClocks() *Clocks { return &Clocks{last: map[roc.StructureID]Offset{}} }

// Observe takes the measurement of an exchange, if there is one.
func (c *Clocks) Observe(rec *roc.Record) {
	if rec.ClockOffset == nil || rec.From == "" {
		return
	}
	o := Offset{rec.From, rec.ClockOffset.Seconds(), rec.RequestIn, rec.Reason == roc.StaleTimestamp}
	c.mu.Lock()
	c.last[rec.From] = o
	c.mu.Unlock()
}

// List returns the last measurement of each establishment, the largest offsets
// first.
func (c *Clocks) List() []Offset {
	c.mu.Lock()
	list := make([]Offset, 0, len(c.last))
	for _, o := range c.last {
		list = append(list, o)
	}
	c.mu.Unlock()
	slices.SortFunc(list, func(a, b Offset) int {
		switch x, y := abs(a.Seconds), abs(b.Seconds); {
		case x > y:
			return -1
		case x < y:
			return 1
		case a.Structure < b.Structure:
			return -1
		}
		return 1
	})
	return list
}

func abs(f float64) float64 {
	if f < 0 {
		return -f
	}
	return f
}
