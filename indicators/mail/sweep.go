package mail

import (
	"context"
	"log/slog"
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
