package access

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/portal/incident"
	"github.com/piano-roc/rpn/portal/invitation"
	"github.com/piano-roc/rpn/portal/proposal"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// Options are what pages are made of. Every field is required, but where it
// says otherwise.
type Options struct {
	Open    func(context.Context) (*store.Store, error) // of the figures; nil: there are none
	Journal string                                      // its folder; "": there is none

	Register     func() *register.List
	Certificates func() []expiry.Expiry // all of them
	Waiting      func() Waiting         // for an operator

	Invitations func() []invitation.Invitation                        // all of them; nil: nobody is invited
	Incidents   func(outages []incident.Incident) []incident.Incident // of operators, and those outages; nil: nobody says anything
	Proposals   func() []proposal.Proposal                            // all of them; nil: one operator decides alone

	Log *slog.Logger
	Now func() time.Time
}

// Waiting is what waits for an operator.
type Waiting struct {
	Moves   []Move
	Domains []Domain
}

// A Move is a route that the annuaire moved or removed, and that is held.
type Move struct {
	AMC      roc.NumeroAMC
	Service  string
	Version  string
	From, To string // To "": removed
	Host     string // of To
	Since    time.Time
	Rejected bool
}

// A Domain is a host that the annuaire names for an insurer and that the
// register does not know.
type Domain struct {
	AMC         roc.NumeroAMC
	Host        string // "": the insurer itself is not in the register
	Since, Last time.Time
	Refused     int
	Rejected    bool
}

// Data is what pages are made of, behind the question who asks. Safe for
// concurrent use.
type Data struct {
	o      Options
	store  lazy[*store.Store]
	log    lazy[*journal.Log]
	find   chan struct{} // one search at a time: a Log is for one goroutine
	peers  peers
	shifts shifts
	sky    sky
	seen   answers
	flows  flows
	asked  atomic.Int64 // when somebody last asked for anything, in seconds since 1970
}

// New returns Data. Call Run, and Close at the end.
func New(o Options) *Data {
	d := &Data{o: o, find: make(chan struct{}, 1)}
	d.store = lazy[*store.Store]{open: o.Open, close: func(s *store.Store) { s.Close() }}
	if o.Journal != "" {
		d.log = lazy[*journal.Log]{open: func(context.Context) (*journal.Log, error) { return journal.OpenLog(o.Journal) }, close: func(l *journal.Log) { l.Close() }}
	}
	return d
}

// Close releases what was opened. Nobody may ask any more.
func (d *Data) Close() {
	d.store.end()
	d.log.end()
}

// The errors of a question.
var (
	// ErrHidden is of what is not there, and of what the viewer may not see:
	// it cannot tell the two apart.
	ErrHidden = errors.New("nothing here")

	// ErrUnread is of an exchange that is not in what can be read of the journal,
	// and may be in what cannot: of one that the viewer may not see too.
	ErrUnread = errors.New("some of the journal cannot be read")

	// ErrNone is of figures or exchanges that this RPN does not keep.
	ErrNone = errors.New("not kept here")

	// ErrBusy is of a search that waits for others: ask again.
	ErrBusy = errors.New("others are searching")
)

// As gives a viewer what it may read.
func (d *Data) As(v Viewer) *Reader {
	d.asked.Store(d.o.Now().Unix())
	return &Reader{d: d, v: v}
}

// A Reader reads for one viewer.
type Reader struct {
	d *Data
	v Viewer
}

// Viewer is for whom it reads.
func (r *Reader) Viewer() Viewer { return r.v }

// Now is the instant of the clock.
func (r *Reader) Now() time.Time { return r.d.o.Now() }

// A Subject is what a page is about, and its viewer may see: an establishment,
// an insurer by one of its numbers, or the nation. Only a Reader makes one.
type Subject struct {
	r          *Reader
	es         *register.Etablissement // of an establishment
	amc        *register.AMC           // of an insurer that is in the register
	numero     roc.NumeroAMC           // of an insurer
	structures []roc.StructureID       // of an establishment
}

// Etablissement returns the establishment with that structure id, or FINESS.
func (r *Reader) Etablissement(id string) (*Subject, error) {
	s, err := roc.ParseStructure(id)
	if err != nil {
		return nil, ErrHidden
	}
	e, known := r.d.o.Register().ByStructure(s)
	if !known {
		return nil, ErrHidden
	}
	switch {
	case r.v.kind == Operator, r.v.kind == Etablissement && slices.Equal(r.v.structures, e.IDs()):
		return &Subject{r: r, es: e, structures: e.IDs()}, nil
	}
	return nil, ErrHidden
}

// AMC returns the insurer with that number. An operator sees those that are not
// in the register too: the annuaire may name them.
func (r *Reader) AMC(numero string) (*Subject, error) {
	n, err := roc.ParseNumeroAMC(numero)
	if err != nil || r.v.kind != Operator && (r.v.kind != AMC || !slices.Contains(r.v.numeros, n)) {
		return nil, ErrHidden
	}
	amc, _ := r.d.o.Register().AMC(n)
	return &Subject{r: r, amc: amc, numero: n}, nil
}

// Nation returns all of it, for an operator.
func (r *Reader) Nation() (*Subject, error) {
	if r.v.kind != Operator {
		return nil, ErrHidden
	}
	return &Subject{r: r}, nil
}

// Etablissement is the row of the register of an establishment, else nil.
func (s *Subject) Etablissement() *register.Etablissement { return s.es }

// AMC is the row of the register of an insurer, nil where there is none.
func (s *Subject) AMC() *register.AMC { return s.amc }

// Numero is the number of an insurer, else "".
func (s *Subject) Numero() roc.NumeroAMC { return s.numero }

// NameOfAMC is the name of an insurer by the register, or "". Every viewer may
// know it, as the annuaire tells it to everybody.
func (r *Reader) NameOfAMC(n roc.NumeroAMC) string {
	if amc, ok := r.d.o.Register().AMC(n); ok {
		return amc.Nom
	}
	return ""
}

// NameOfEtablissement is the name of an establishment by the register, or "".
func (s *Subject) NameOfEtablissement(id roc.StructureID) string {
	if e, ok := s.r.d.o.Register().ByStructure(id); ok {
		return e.Nom
	}
	return ""
}

// A lazy opens something when it is first asked for, and again after a failure.
type lazy[T any] struct {
	open  func(context.Context) (T, error)
	close func(T)

	mu     sync.Mutex
	value  T
	opened bool
}

func (l *lazy[T]) get(ctx context.Context) (v T, err error) {
	if l.open == nil {
		return v, ErrNone
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened {
		return l.value, nil
	}
	if v, err = l.open(ctx); err != nil {
		return v, err
	}
	l.value, l.opened = v, true
	return v, nil
}

func (l *lazy[T]) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened {
		l.close(l.value)
	}
	l.opened, l.open = false, nil
}
