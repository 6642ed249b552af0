// Package limits decides how often an establishment may send, and how often an
// insurer is sent to. Both count in this process; the contract test holds what
// a limiter shared by several processes must do as well.
package limits

import (
	"context"
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// Options configure a Local; every field but Default has a default.
type Options struct {
	// Default is the limit for establishments that have none in the register: its
	// rate and its burst are required.
	Default register.Limite

	// Structures bounds how many buckets are kept. Only registered structures
	// get one, so it is far above what is needed; a structure beyond it is
	// refused, not let through. Default: 100 000, some 20 MB.
	Structures int

	// Idle is the minimum time that an unused bucket is kept; it is dropped
	// only once it is full again, so that dropping it changes nothing. Default:
	// 1 min.
	Idle time.Duration
}

// A Local is a token bucket for each establishment, in this process. Safe for
// concurrent use.
type Local struct {
	def     register.Limite
	buckets *buckets[roc.StructureID]
}

// NewLocal makes an empty Local.
func NewLocal(o Options) *Local {
	if o.Structures <= 0 {
		o.Structures = 100_000
	}
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	return &Local{standard(o.Default), newBuckets[roc.StructureID](o.Structures, o.Idle)}
}

// Allow takes one token of who, or refuses as TooMany with the time until there
// is one. A changed limit takes effect at once. A zero field of it means the
// default; the default burst is at least one second's worth.
func (l *Local) Allow(_ context.Context, who roc.StructureID, limit register.Limite, at time.Time) error {
	limit = complete(limit, l.def)
	wait, full := l.buckets.take(who, limit, at)
	switch {
	case full:
		return (&roc.Refusal{Reason: roc.TooMany, Cause: errors.New("more structures than buckets"), CauseCode: roc.RateExceeded}).After(wait)
	case wait > 0:
		return tooMany(limit, wait)
	}
	return nil
}

// Structures is how many buckets are kept now.
func (l *Local) Structures() int { return l.buckets.size() }

func tooMany(limit register.Limite, wait time.Duration) error {
	return roc.Refuse(roc.TooMany, "the bucket is empty; the next token comes in %s", wait.Round(time.Millisecond)).Because(roc.RateExceeded).
		After(wait).
		Saying("Limite de l'établissement : %s messages par seconde, %d d'un coup. Prochain envoi possible dans %s s.",
			virgule(limit.ParSeconde), limit.Rafale, inSeconds(wait))
}
