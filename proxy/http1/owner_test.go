package http1

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An insurer that was not given its time to connect, or to answer, is not what
// an exchange failed by; one that was, is.
func TestWantOfTimeIsOfWhomSpentIt(t *testing.T) {
	t.Parallel()
	s := newUpstream(t) // 2 s to connect
	past, ahead := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	toConnect := &notSent{context.DeadlineExceeded}
	reset := &notSent{os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, c := range map[string]struct {
		err           error
		took, allowed time.Duration
		deadline      time.Time
		cause, stated roc.CauseCode // stated: the same, where the caller stated the deadline
	}{
		"none was left to connect":       {&notSent{errRanOut}, 0, 0, past, roc.DeadlineBefore, roc.StatedDelayBefore},
		"it ended while connecting":      {toConnect, 300 * time.Millisecond, 0, past, roc.DeadlineBefore, roc.StatedDelayBefore},
		"while the name was looked up":   {&notSent{&net.DNSError{IsTimeout: true}}, 300 * time.Millisecond, 0, past, roc.DeadlineBefore, roc.StatedDelayBefore},
		"it had its two seconds":         {toConnect, 2 * time.Second, 0, past, roc.ConnectTimeout, roc.ConnectTimeout},
		"half of what its service has":   {toConnect, 500 * time.Millisecond, time.Second, past, roc.ConnectTimeout, roc.ConnectTimeout},
		"the time of one address":        {toConnect, 300 * time.Millisecond, 0, ahead, roc.ConnectTimeout, roc.ConnectTimeout},
		"it refused, late in the day":    {reset, time.Millisecond, 0, past, roc.ConnectionRefused, roc.ConnectionRefused},
		"it was to answer in no time":    {os.ErrDeadlineExceeded, 4 * time.Second, 0, past, roc.NoTimeLeft, roc.StatedDelayAfter},
		"a short silence of a slow one":  {os.ErrDeadlineExceeded, 4 * time.Second, 20 * time.Second, past, roc.NoTimeLeft, roc.StatedDelayAfter},
		"a silence":                      {os.ErrDeadlineExceeded, 5 * time.Second, 20 * time.Second, past, roc.NoAnswerInTime, roc.NoAnswerInTime},
		"a silence of what it has":       {os.ErrDeadlineExceeded, time.Second, 2 * time.Second, past, roc.NoAnswerInTime, roc.NoAnswerInTime},
		"an answer too large, in a wink": {ErrTooLarge, time.Millisecond, 0, past, roc.AnswerTooLarge, roc.AnswerTooLarge},
	} {
		for stated, want := range map[bool]roc.CauseCode{false: c.cause, true: c.stated} {
			err := s.owned(c.err, c.took, &Message{Allowed: c.allowed, Stated: stated}, c.deadline)
			r := roc.RefusalOf(refusalOf(err))
			if r.CauseCode != want || want.Meaning().Reason != r.Reason {
				t.Errorf("%s (stated: %v): %s of %s, want %s", name, stated, r.CauseCode, r.Reason, want)
			}
			if neverLeft(err) != neverLeft(c.err) {
				t.Errorf("%s: whether it left is lost", name)
			}
		}
	}
	if s.owned(nil, time.Hour, &Message{}, past) != nil {
		t.Error("an answer is no failure")
	}
}
