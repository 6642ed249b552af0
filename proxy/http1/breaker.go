package http1

import (
	"errors"
	"net/http"
	"time"

	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Breaker says whether an address ("host:port") may be sent to now, for a
// structure. Its refusal is AMCResting or AMCSuspended, with the time to wait: nothing was sent,
// so the next address is tried. It does not block, and is safe for concurrent
// use.
type Breaker interface {
	Allow(address string, who roc.StructureID, at time.Time) (Visit, error)
}

// A Visit is told how it ended, once.
type Visit interface {
	// Announced: the address asked, before that, for nothing until then (503 with
	// Retry-After).
	Announced(until, at time.Time)
	Done(end VisitEnd, at time.Time)
}

// A VisitEnd is how a visit to an address ended.
type VisitEnd int

// How a visit ends. Neither says nothing about the address: what failed is ours,
// or nobody waited for long.
const (
	Neither VisitEnd = iota
	Answered
	NotAnswered
)

// longWait is from when waiting in vain says something about a far end that may
// take so long: a caller in a hurry (RPN-Delai-Ms) puts nobody to rest.
func longWait(allowed time.Duration) time.Duration {
	const usual = 5 * time.Second
	if allowed > 0 {
		return min(usual, allowed/2)
	}
	return usual
}

type noBreaker struct{}

func (noBreaker) Allow(string, roc.StructureID, time.Time) (Visit, error) { return noVisit{}, nil }

type noVisit struct{}

func (noVisit) Announced(time.Time, time.Time) {}
func (noVisit) Done(VisitEnd, time.Time)       {}

// RetryAfter reads the Retry-After of a far end: seconds or a date, at most a
// day; 0 when there is none that can be used.
func RetryAfter(v string, now time.Time) time.Duration {
	if v == "" { // nearly always: ParseTime would make three errors of it
		return 0
	}
	d := time.Duration(0)
	if n, ok := Number(v); ok && n < 1<<31 {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), 24*time.Hour)
}

// endOf says how a visit that took so long ended. A status that a front gives
// for what stands behind it (502, 503, 504) is no answer. Who cannot be reached
// in the time to connect counts, however short that is.
func endOf(a Response, err error, took, allowed time.Duration) VisitEnd {
	var r *roc.Refusal
	switch {
	case err == nil && (a.Status < 502 || a.Status > 504):
		return Answered
	case err == nil:
		return NotAnswered
	case errors.As(err, &r), isAny(err, errAllBusy, errShutdown, ErrCallerLeft, errOurClock):
		return Neither
	}
	switch egress.FaultOf(err) {
	case egress.OfThisMachine, egress.OfTheResolver, egress.OfTheAddressRule:
		return Neither
	}
	if !neverLeft(err) && IsTimeout(err) && took < longWait(allowed) {
		return Neither
	}
	return NotAnswered
}
