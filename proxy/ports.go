package proxy

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
)

// A Limiter says whether a structure may send one more message now. The
// refusal is TooMany, with the time to wait. It answers within ctx and is safe
// for concurrent use.
type Limiter interface {
	Allow(ctx context.Context, who roc.StructureID, limit register.Limite, at time.Time) error

	// AllowBytes says so of the n bytes of its body: before they are read, where
	// its head announces them.
	AllowBytes(ctx context.Context, who roc.StructureID, limit register.Limite, n int, at time.Time) error

	// Shapes reports that a message of that limit may wait for its credit: the
	// time is its sender's.
	Shapes(limit register.Limite) bool
}

// An AMCAccess says whether an establishment may send one more message to an AMC
// now, and makes it wait for a seat, within ctx. amc is nil when it is not in
// the register; then host is what it is known by. The refusals are TooMany (the
// establishment holds its whole part of the AMC) and Overloaded, with the time to
// wait. leave must be called once the answer is there. Safe for concurrent use.
type AMCAccess interface {
	Enter(ctx context.Context, amc *register.AMC, host string, es *register.Etablissement, at time.Time) (leave func(at time.Time), err error)
}

// Shares divide what this instance has among the establishments: connections,
// exchanges in flight, and bytes of bodies and answers held in memory. The
// refusals are TooMany (the establishment's own share) and Overloaded (all of
// it), with the time to wait. What was taken is given back. Safe for concurrent
// use.
type Shares interface {
	// es is nil for those that may not call: together they have one share.
	EnterConnection(es *register.Etablissement) error
	LeaveConnection(es *register.Etablissement)

	EnterExchange(es *register.Etablissement) error
	LeaveExchange(es *register.Etablissement)

	// TakeBytes is asked before they are read.
	TakeBytes(es *register.Etablissement, n int) error
	FreeBytes(es *register.Etablissement, n int)
}

// A Shedder drops the least important exchanges when this machine cannot process
// all of them. The refusals are Overloaded, with the time to wait. Safe for
// concurrent use.
type Shedder interface {
	// Admit is asked once for an exchange, before its body is read where its
	// headers name its service.
	Admit(s roc.Service, at time.Time) error

	// Processed is told once of each that was admitted, when it has been read and
	// checked, or refused: what it waits for from there on takes no processor.
	Processed(at time.Time)
}

// A Directory says where the messages of a key go. Its refusals are
// UnknownAMC, AnnuaireSilent, AnnuaireRefused and Quarantined; it answers within
// ctx and is safe for concurrent use. who is the establishment that asks, which
// pays for it. Quarantined tells it what was refused because the register does
// not know it.
type Directory interface {
	Find(ctx context.Context, who roc.StructureID, key roc.Key) (annuaire.Entry, error)
	Quarantined(amc roc.NumeroAMC, host string, newAMC bool)
}

// Replays remember signed messages until their life ends. Safe for concurrent
// use; it answers within ctx.
type Replays interface {
	// Reserve reports whether the message was there already, and remembers it.
	// Of two concurrent calls with one message, one is told true. An error means
	// that the answer may be wrong by omission: what could be asked says no.
	Reserve(ctx context.Context, m roc.Signed, at time.Time) (seen bool, err error)

	// Forget undoes a Reserve that was told false, when no byte of the message
	// has left: the retry that a refusal asks for is no replay.
	Forget(ctx context.Context, m roc.Signed)
}

// An AnswerPolicy says what is done with the signature of an insurer's answer
// (profile section 3).
type AnswerPolicy string

// The policies. Observe checks, writes the outcome in the record and delivers
// the answer as it came; Enforce refuses an answer that does not pass, faults
// included, as amc-bad-answer.
const (
	AnswersOff     AnswerPolicy = "off"
	AnswersObserve AnswerPolicy = "observe"
	AnswersEnforce AnswerPolicy = "enforce"
)

// Options are what a Proxy needs. The first block is required.
type Options struct {
	List             func() *register.List // the current register
	Limiter          Limiter
	Signatures       *xmlsig.Verifier // of the establishments' messages
	AnswerSignatures *xmlsig.Verifier // of the insurers' answers; may be nil when AnswerPolicy is off
	Directory        Directory
	Facade           *facade.Facade  // answers the searches of establishments
	AMC              *http1.Upstream // to the insurers
	Log              *slog.Logger

	AMCAccess AMCAccess // nil: no AMC has a limit
	Shedder   Shedder   // nil: nothing is dropped
	Shares    Shares    // nil: the exchanges in flight are bounded, whosever they are

	// AnnuaireURL is where an establishment's own search is passed on, by
	// Annuaire. "": such a request is refused as annuaire-silent.
	AnnuaireURL string
	Annuaire    *http1.Upstream // default: AMC

	Limits       soap.Limits    // of a request
	Routing      routing.Policy // what to do with an address not seen before
	AnswerPolicy AnswerPolicy

	// Replay remembers the signatures that came; nil: nothing does. A replay is
	// written in the record, and with EnforceReplay refused as well.
	Replay        Replays
	EnforceReplay bool

	// EnforceVIHF refuses a VIHF that the message's signature does not cover, or
	// whose Conditions do not hold; else the record says so.
	EnforceVIHF bool

	// OnAccepted is shown each signed request that passed the check, before it
	// leaves: it must not block, and must not keep the message but as a copy. May
	// be nil.
	OnAccepted func(roc.ExchangeID, *xmlsig.Checked)

	// Journal keeps the record of each exchange, on disk before its answer
	// leaves. nil: nothing does.
	Journal Journal

	// Dossier returns the link of a checked request of an establishment: the only
	// thing that is made of its beneficiary. It must not block, and refuses nothing.
	// May be nil.
	Dossier func(es roc.StructureID, key roc.Key, c *xmlsig.Checked, at time.Time) roc.Dossier

	// Observers are told of each exchange once, after its answer is written,
	// in order, on the exchange's goroutine: they must not block and must not
	// keep or change the record.
	Observers []func(*roc.Record)

	// OnMalformed is told of each request refused for its HTTP, by rule (a
	// closed list of words). May be nil.
	OnMalformed func(rule string)

	// OnDescribed is told of each description (WSDL or schema) that was answered:
	// it is no exchange, and no observer hears of it. May be nil.
	OnDescribed func()

	// OnTurnedAway is told of each connection that was closed without a word, by
	// its structure ("": none that is known): it had too many already. May be nil.
	OnTurnedAway func(roc.StructureID)

	// Endpoint is the public URL of POST /roc, written in the WSDL. "": it
	// is made of ServerName, a DNS name of our certificate, and the port that the
	// caller used.
	Endpoint   string
	ServerName func() string // may be nil

	Deadline  time.Duration    // of one exchange
	Deadlines roc.ServiceTimes // of one of a service, where it is less
	Exchanges int              // in flight at once, required where there are no Shares; more is refused as overloaded

	IdleTimeout  time.Duration // between two requests of a connection
	HeadTimeout  time.Duration // for the head of a request, from its first byte
	BodyTimeout  time.Duration // for its body
	WriteTimeout time.Duration // for the answer

	// MinRate is the fewest bytes a second of a body, and of an answer that is
	// read, once Grace (default: 5 s) has passed: who is slower is given up.
	MinRate int
	Grace   time.Duration

	// DrainIdle is how long Shutdown lets idle connections live, so that a
	// request already on its way is answered. Default: 1 s.
	DrainIdle time.Duration

	Now func() time.Time // default: time.Now
}

type unlimited struct{}

func (unlimited) Admit(roc.Service, time.Time) error { return nil }
func (unlimited) Processed(time.Time)                {}

func (unlimited) Enter(context.Context, *register.AMC, string, *register.Etablissement, time.Time) (func(time.Time), error) {
	return func(time.Time) {}, nil
}

// slots are Shares that know no establishment: so many exchanges in flight.
type slots chan struct{}

func (s slots) EnterExchange(*register.Etablissement) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
		return roc.Refuse(roc.Overloaded, "%d exchanges are in flight", cap(s)).Because(roc.ExchangesFull).After(time.Second)
	}
}

func (s slots) LeaveExchange(*register.Etablissement)       { <-s }
func (slots) EnterConnection(*register.Etablissement) error { return nil }
func (slots) LeaveConnection(*register.Etablissement)       {}
func (slots) TakeBytes(*register.Etablissement, int) error  { return nil }
func (slots) FreeBytes(*register.Etablissement, int)        {}

// complete sets the defaults, and names what is missing.
func (o *Options) complete() error {
	switch {
	case o.List == nil, o.Limiter == nil, o.Signatures == nil, o.Directory == nil, o.Facade == nil, o.AMC == nil, o.Log == nil:
		return errors.New("proxy: List, Limiter, Signatures, Directory, Facade, AMC and Log are required")
	case o.AnswerPolicy == "", o.Limits == soap.Limits{}, o.Shares == nil && o.Exchanges <= 0, o.MinRate <= 0:
		return errors.New("proxy: AnswerPolicy, Limits, MinRate, and Shares or Exchanges are required")
	case o.Deadline <= 0, o.IdleTimeout <= 0, o.HeadTimeout <= 0, o.BodyTimeout <= 0, o.WriteTimeout <= 0:
		return errors.New("proxy: Deadline and the four time-outs are required")
	}
	if o.AnswerPolicy != AnswersOff && o.AnswerSignatures == nil {
		return errors.New("proxy: AnswerSignatures is required unless AnswerPolicy is off")
	}
	if o.AMCAccess == nil {
		o.AMCAccess = unlimited{}
	}
	if o.Shedder == nil {
		o.Shedder = unlimited{}
	}
	if o.Annuaire == nil {
		o.Annuaire = o.AMC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Shares == nil {
		o.Shares = make(slots, o.Exchanges)
	}
	if o.OnTurnedAway == nil {
		o.OnTurnedAway = func(roc.StructureID) {}
	}
	orDefault(&o.Grace, 5*time.Second)
	orDefault(&o.DrainIdle, time.Second)
	return nil
}

func orDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
