package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
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

// A far end that ends a connection while our own certificate is not to be accepted
// is not at fault, whether it says why or not: the RPN has to act, and the address
// does not rest. Whatever else fails is as it was.
func TestWhatOurOwnCertificateCausesIsOurs(t *testing.T) {
	t.Parallel()
	alert := &net.OpError{Op: "remote error", Err: tls.AlertError(45)}
	for name, c := range map[string]struct {
		err  error
		ours bool
	}{
		"an alert in the handshake":        {&notSent{&tlsError{alert}}, true},
		"an alert after it":                {alert, true},
		"it closes in the handshake":       {&notSent{&tlsError{io.EOF}}, true},
		"it resets after the handshake":    {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true},
		"it closes without an answer":      {io.ErrUnexpectedEOF, true},
		"it refuses the connection":        {&notSent{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}, false},
		"its own certificate is not sound": {&notSent{&tlsError{errors.New("expired")}}, false},
		"it does not answer":               {os.ErrDeadlineExceeded, false},
		"its answer is too large":          {ErrTooLarge, false},
		"the caller left":                  {&notSent{ErrCallerLeft}, false},
		"nothing fails":                    {nil, false},
	} {
		s := newUpstream(t)
		if got := s.ours(c.err); got != c.err {
			t.Errorf("%s: without OwnFault it became %v", name, got)
		}
		s.o.OwnFault = func() error { return nil }
		if got := s.ours(c.err); got != c.err {
			t.Errorf("%s: with a sound certificate it became %v", name, got)
		}
		s.o.OwnFault = func() error { return errors.New("it has ended") }
		got := s.ours(c.err)
		if !c.ours {
			if got != c.err {
				t.Errorf("%s: it became %v", name, got)
			}
			continue
		}
		r := roc.RefusalOf(refusalOf(got))
		if r.Reason != roc.AMCUnreachable || r.CauseCode != roc.OurCertificateInvalid || r.Meaning().Responsable != roc.ByRPN {
			t.Errorf("%s: %s of %s, responsable %s", name, r.CauseCode, r.Reason, r.Meaning().Responsable)
		}
		if neverLeft(got) != neverLeft(c.err) {
			t.Errorf("%s: whether it left is lost", name)
		}
		if endOf(Response{}, got, time.Second, 0) != Neither {
			t.Errorf("%s: it counts against the address", name)
		}
	}
}
