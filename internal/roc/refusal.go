package roc

import (
	"errors"
	"fmt"
	"time"
)

// A Reason is why the RPN itself refused an exchange. The list is closed
// (profile section 7): each one has a fault code, a line in docs/refusals.md
// and a scenario. If you add one you must update reasons below,
// docs/refusals.md and test/scenarios.
type Reason string

// The reasons, in the order of their codes.
const (
	UnknownStructure   Reason = "unknown-structure"
	Suspended          Reason = "suspended"
	Revoked            Reason = "revoked"
	TooMany            Reason = "too-many"
	Overloaded         Reason = "overloaded"
	TooLarge           Reason = "too-large"
	NotSOAP            Reason = "not-soap"
	ForbiddenXML       Reason = "forbidden-xml"
	UnknownOperation   Reason = "unknown-operation"
	NotSigned          Reason = "not-signed"
	BadSignature       Reason = "bad-signature"
	PartNotSigned      Reason = "part-not-signed"
	ForbiddenAlgorithm Reason = "forbidden-algorithm"
	UntrustedSigner    Reason = "untrusted-signer"
	SignerMismatch     Reason = "signer-mismatch"
	StaleTimestamp     Reason = "stale-timestamp"
	Replayed           Reason = "replayed"
	StructureMismatch  Reason = "structure-mismatch"
	BadKey             Reason = "bad-key"
	UnknownAMC         Reason = "unknown-amc"
	ServiceNotOffered  Reason = "service-not-offered"
	OutsideCircle      Reason = "outside-circle"
	AnnuaireSilent     Reason = "annuaire-silent"
	AnnuaireRefused    Reason = "annuaire-refused"
	Quarantined        Reason = "quarantined"
	AMCSuspended       Reason = "amc-suspended"
	AMCUnreachable     Reason = "amc-unreachable"
	AMCSilent          Reason = "amc-silent"
	AMCBadAnswer       Reason = "amc-bad-answer"
	AMCResting         Reason = "amc-resting"
	AMCNotSOAP         Reason = "amc-not-soap"
	Internal           Reason = "internal"
)

// A Responsable is who must act on a refusal (profile section 7).
type Responsable string

// The closed list of those who can be asked to act. Reseau is kept for
// failures that no party owns.
const (
	NoOne           Responsable = ""
	ByEtablissement Responsable = "etablissement"
	ByAnnuaire      Responsable = "annuaire"
	ByAMC           Responsable = "amc"
	ByRPN           Responsable = "rpn"
	ByReseau        Responsable = "reseau"
)

// Responsables lists them in the order of figures and pages, NoOne first.
func Responsables() []Responsable {
	return []Responsable{NoOne, ByEtablissement, ByAMC, ByAnnuaire, ByRPN, ByReseau}
}

// A Meaning is what profile section 7 says of a Reason. Libelle and Remede
// are in French: establishments read them.
type Meaning struct {
	Code        string // "RPN212"
	Sender      bool   // a fault of the sender (SOAP Sender/Client), else of the receiver
	Responsable Responsable
	Libelle     string
	Remede      string
}

// Reasons lists every reason, in the order of their codes.
func Reasons() []Reason {
	list := make([]Reason, len(reasons))
	for i := range reasons {
		list[i] = reasons[i].reason
	}
	return list
}

// Meaning returns the meaning of the reason. A reason outside the closed list
// means Internal.
func (r Reason) Meaning() Meaning {
	for i := range reasons {
		if reasons[i].reason == r {
			return reasons[i].Meaning
		}
	}
	return reasons[len(reasons)-1].Meaning
}

// A Refusal is the error of a step that refuses an exchange.
//
// Its three texts have three readers. The meaning of Reason is for everyone.
// Detail is in French, for the caller only: it may quote an Id or a field of
// the caller's own message, and is never logged. Cause is in English, for our
// log: it must hold nothing read from a message.
type Refusal struct {
	Reason     Reason
	Detail     string        // French, one sentence, or ""
	RetryAfter time.Duration // how long to wait; 0: waiting does not help
	Cause      error         // or nil
	CauseCode  CauseCode     // which cause of the Reason; "": not distinguished

	// Since is since when the cause of the refusal exists; zero: not known.
	Since time.Time

	// Until is when waiting helps, where a date says it: Retry-After is counted
	// from the answer to it. Zero: no date does.
	Until time.Time

	// ClockOffset is how far the clock of the signer is ahead of ours, when
	// StaleTimestamp was found in a signed Timestamp; else nil.
	ClockOffset *time.Duration
}

// Refuse makes a Refusal; format and args make its Cause (English, no message
// content).
func Refuse(r Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: r, Cause: fmt.Errorf(format, args...)}
}

// Saying sets the French detail for the caller, and returns the refusal.
func (r *Refusal) Saying(format string, args ...any) *Refusal {
	r.Detail = fmt.Sprintf(format, args...)
	return r
}

// Because names which cause of its Reason this is, and returns the refusal.
func (r *Refusal) Because(c CauseCode) *Refusal {
	r.CauseCode = c
	return r
}

// Meaning is the meaning of the Reason with what the cause adds.
func (r *Refusal) Meaning() Meaning { return r.Reason.MeaningWith(r.CauseCode) }

// Libelle is the French text that the caller reads: that of the cause or of the
// Reason, then the Detail, then since when. A fault and `rpn verify` have the
// same.
func (r *Refusal) Libelle() string {
	text := r.Meaning().Libelle
	if r.Detail != "" {
		text += " " + r.Detail
	}
	if !r.Since.IsZero() {
		text += " Depuis le " + r.Since.UTC().Format("02/01/2006 à 15:04 UTC") + "."
	}
	return text
}

// After sets how long the caller should wait, and returns the refusal.
func (r *Refusal) After(d time.Duration) *Refusal {
	r.RetryAfter = d
	return r
}

// Wait is how long the caller should wait, from now; 0: waiting does not help,
// or nothing says how long.
func (r *Refusal) Wait(now time.Time) time.Duration {
	if r.Until.IsZero() {
		return r.RetryAfter
	}
	return max(r.Until.Sub(now), time.Second) // it was refused: now, or our clock, is on the edge
}

// Error says the code, the reason and the cause, for logs; never the Detail.
func (r *Refusal) Error() string {
	s := r.Reason.Meaning().Code + " " + string(r.Reason)
	if r.Cause != nil {
		s += ": " + r.Cause.Error()
	}
	return s
}

// Unwrap returns the Cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// RefusalOf returns the Refusal inside err; any other error becomes Internal,
// with err as its Cause.
func RefusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return &Refusal{Reason: Internal, Cause: err}
}

// IsRefused reports whether err refuses for that reason.
func IsRefused(err error, reason Reason) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Reason == reason
}
