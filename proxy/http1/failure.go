package http1

import (
	"errors"
	"net"
	"time"

	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/roc"
)

// A notSent is a failure before the first byte of the request was written.
type notSent struct{ err error }

func (n *notSent) Error() string { return n.err.Error() }
func (n *notSent) Unwrap() error { return n.err }

func neverLeft(err error) bool {
	var n *notSent
	return errors.As(err, &n)
}

// ErrCallerLeft: nobody waits for the answer any more; nothing was sent.
var ErrCallerLeft = errors.New("the caller left before the message did")

const retrySoon = 10 * time.Second

// refusalOf says which refusal a failure of the far leg is, and whose: it is
// the one classification of errors of this leg. Causes are ours: nothing that
// the far end wrote is in them.
func refusalOf(err error) error {
	var r *roc.Refusal
	switch {
	case errors.Is(err, ErrCallerLeft):
		return err
	case errors.As(err, &r):
		return r
	case errors.Is(err, errAllBusy):
		return roc.Refuse(roc.Overloaded, "%w", err).Because(roc.AMCBusy).After(time.Second)
	case errors.Is(err, egress.ErrForbidden):
		return roc.Refuse(roc.AnnuaireRefused, "the address given for this host is not one we may dial: %w", err).Because(roc.ForbiddenAddress)
	case neverLeft(err) && egress.FaultOf(err) == egress.OfThisMachine:
		return roc.Refuse(roc.Overloaded, "this machine lacks something: %w", err).Because(roc.OutOfResources).After(retrySoon)
	case neverLeft(err):
		cause := causeOfConnecting(err)
		return roc.Refuse(roc.AMCUnreachable, "no connection: %w", err).Because(cause).After(retrySoon)
	case egress.FaultOf(err) == egress.OfThisMachine:
		return roc.Refuse(roc.AMCBadAnswer, "this machine lost the answer: %w", err).Because(roc.AnswerLostHere)
	case egress.FaultOf(err) == egress.OfTheNetwork:
		return roc.Refuse(roc.AMCBadAnswer, "the network lost the answer: %w", err).Because(roc.AnswerLostOnTheWay)
	case isRemoteAlert(err):
		return roc.Refuse(roc.AMCUnreachable, "TLS refused by the far end: %w", err).Because(roc.OurCertificate).After(retrySoon)
	case IsTimeout(err):
		return roc.Refuse(roc.AMCSilent, "no answer within the deadline: %w", err).Because(roc.NoAnswerInTime)
	case errors.Is(err, ErrTooLarge):
		return roc.Refuse(roc.AMCBadAnswer, "the answer is larger than the limit").Because(roc.AnswerTooLarge)
	case isCut(err):
		return roc.Refuse(roc.AMCBadAnswer, "the connection was cut before the end of the answer: %w", err).Because(roc.AnswerCut)
	}
	return roc.Refuse(roc.AMCBadAnswer, "the answer is not HTTP we accept: %w", err).Because(roc.AnswerMalformed)
}

// errRanOut: there was no time left to connect.
var errRanOut = errors.New("the deadline passed")

// owned gives a failure for want of time to whom it is of: the far end had its
// time to connect, or to answer (longWait), or it did not, and then the caller
// stated too little of it, or the exchange had spent it here. What the far end
// was not given does not count against it. took is how long the visit took.
func (s *Upstream) owned(err error, took time.Duration, m *Message, deadline time.Time) error {
	before, after := roc.DeadlineBefore, roc.NoTimeLeft
	if m.Stated {
		before, after = roc.StatedDelayBefore, roc.StatedDelayAfter
	}
	enough := longWait(m.Allowed)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errRanOut), neverLeft(err) && took < min(enough, s.o.DialTimeout) && wantedTime(err) && !time.Now().Before(deadline):
		return &notSent{roc.Refuse(roc.AMCSilent, "the deadline passed before anything was sent: %w", err).Because(before)}
	case !neverLeft(err) && took < enough && IsTimeout(err):
		return roc.Refuse(roc.AMCSilent, "no answer in the time that was left: %w", err).Because(after)
	}
	return err
}

// ours gives a connection that the far end ended to us, when the certificate that
// we show is not to be accepted: some say so by an alert, others just close.
func (s *Upstream) ours(err error) error {
	if s.o.OwnFault == nil || !egress.EndedByPeer(err) {
		return err
	}
	why := s.o.OwnFault()
	if why == nil {
		return err
	}
	r := roc.Refuse(roc.AMCUnreachable, "our certificate: %w; the far end: %w", why, err).Because(roc.OurCertificateInvalid).After(retrySoon)
	if neverLeft(err) {
		return &notSent{r}
	}
	return r
}

// wantedTime reports whether connecting ended because time was up.
func wantedTime(err error) bool {
	f := egress.FaultOf(err)
	return f == egress.OfTime || f == egress.OfTheResolver
}

// ranOut reports whether nothing was sent because the exchange had no time left.
func ranOut(err error) bool {
	var r *roc.Refusal
	return errors.As(err, &r) && (r.CauseCode == roc.DeadlineBefore || r.CauseCode == roc.StatedDelayBefore)
}

// causeOfConnecting says why no connection was made.
func causeOfConnecting(err error) roc.CauseCode {
	var handshake *tlsError
	fault := egress.FaultOf(err)
	switch {
	case fault == egress.OfTheName:
		return roc.UnknownName
	case fault == egress.OfTheResolver:
		return roc.ResolverDown
	case fault == egress.OfTheNetwork:
		return roc.NoRoute
	case errors.Is(err, errOurClock):
		return roc.ClockWrong
	case errors.As(err, &handshake):
		return handshakeCause(handshake)
	case fault == egress.OfTime:
		return roc.ConnectTimeout
	}
	return roc.ConnectionRefused
}

// handshakeCause: a far end that accepts and stays mute does not connect in
// time; any other failure is of TLS.
func handshakeCause(e *tlsError) roc.CauseCode {
	switch {
	case isRemoteAlert(e):
		return roc.OurCertificate
	case egress.FaultOf(e) == egress.OfTime:
		return roc.ConnectTimeout
	}
	return roc.TLSFailed
}

func isAny(err error, these ...error) bool {
	for _, e := range these {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isRemoteAlert: the far end ended the connection by a TLS alert, as it does
// in TLS 1.3 to refuse our certificate after our first bytes.
func isRemoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
