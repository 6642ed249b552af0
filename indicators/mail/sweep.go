package mail

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
)

// Sweep takes up the letters that instances that ended have left, gives up those
// that are too late, and logs both: whoever sweeps first is the only one who
// learns of them.
func Sweep(ctx context.Context, s *store.Store, now time.Time, log *slog.Logger) error {
	n, err := s.SweepLetters(ctx, now)
	if n.Doubted > 0 {
		log.Error("letters were being sent when an instance ended: nobody knows whether they were, and they are not sent again", slog.String("event", "mail_doubted"), slog.Int64("letters", n.Doubted))
	}
	if n.Late > 0 {
		log.Error("letters could not be sent in time, and are given up", slog.String("event", "mail_late"), slog.Int64("letters", n.Late))
	}
	return err
}

// Failures are those of loops that try again: of a series of the same failure, in
// whichever of them, the first is logged. Zero is ready.
type Failures struct {
	mu  sync.Mutex
	now map[int]string // of each loop that fails, its last failure
}

// First takes the result of a round of a loop, and reports whether it is to be
// logged. A round that is good ends the series.
func (f *Failures) First(loop int, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.now, loop)
		return false
	}
	first := true
	for _, text := range f.now {
		first = first && text != err.Error()
	}
	if f.now == nil {
		f.now = map[int]string{}
	}
	f.now[loop] = err.Error()
	return first
}
