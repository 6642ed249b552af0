package access

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// A Question is about the figures of a subject. Its establishments or its
// insurer are settled by the subject.
type Question struct {
	Grain    store.Grain
	From, To time.Time
	AMC      roc.NumeroAMC // of an establishment: with that insurer alone
	By       []store.Dimension

	NoDurations bool // the numbers alone
}

// Figures answers a question about the subject, and about nobody else. What is of
// today is in rows of its own, after those of the days before.
func (s *Subject) Figures(ctx context.Context, q Question) ([]store.Row, error) {
	st, err := s.r.d.store.get(ctx)
	if err != nil {
		return nil, err
	}
	ask := store.Query{Grain: q.Grain, From: q.From, To: q.To, By: q.By, NoDurations: q.NoDurations}
	switch {
	case s.es != nil:
		ask.Structures, ask.AMC = s.structures, q.AMC
	case s.numero != "":
		ask.AMC = s.numero
	case s.r.v.kind != Operator:
		return nil, ErrHidden
	default:
		ask.AMC = q.AMC
	}
	// The days that are over change little: they are kept for longer than today.
	now := s.r.Now()
	today := store.Day.Begin(now)
	if ask.Grain != store.Day || !ask.From.Before(today) {
		return s.r.d.seen.figures(ctx, st, ask, now, keptFor)
	}
	over := ask
	if over.To.IsZero() || over.To.After(today) {
		over.To = today
	}
	rows, err := s.r.d.seen.figures(ctx, st, over, now, keptOver)
	if err != nil || !ask.To.IsZero() && !ask.To.After(today) {
		return rows, err
	}
	ask.From = today
	more, err := s.r.d.seen.figures(ctx, st, ask, now, keptFor)
	return append(rows, more...), err
}

// Sum is what the cards of a period are computed from, as `rpn indicators show`
// computes them.
func (s *Subject) Sum(ctx context.Context, from, to time.Time) (*report.Sum, error) {
	rows, err := s.Figures(ctx, Question{Grain: store.Day, From: from, To: to, By: report.Dimensions})
	if err != nil {
		return nil, err
	}
	sum := report.SumOf(rows)
	if s.numero != "" {
		sum.Windows, err = s.Availability(ctx, from, to)
	}
	return sum, err
}

// Availability is that of an insurer, by service.
func (s *Subject) Availability(ctx context.Context, from, to time.Time) ([]store.Availability, error) {
	if s.numero == "" {
		return nil, ErrHidden
	}
	st, err := s.r.d.store.get(ctx)
	if err != nil {
		return nil, err
	}
	return st.Availability(ctx, s.numero, from, to)
}

// Perceived says of an establishment and an insurer: was it them, or you?
func (s *Subject) Perceived(ctx context.Context, amc roc.NumeroAMC, from, to time.Time) (p report.Perception, err error) {
	if s.es == nil {
		return p, ErrHidden
	}
	st, err := s.r.d.store.get(ctx)
	if err != nil {
		return p, err
	}
	key := fmt.Sprint(s.structures, amc, from.Unix(), to.Unix())
	if p, ok := s.r.d.seen.perceived(key, s.r.Now()); ok {
		return p, nil
	}
	list := s.r.d.o.Register()
	p, err = report.PerceivedBy(ctx, st, s.structures, amc, from, to, func(id roc.StructureID) roc.StructureID {
		if e, ok := list.ByStructure(id); ok {
			return e.Structure
		}
		return id
	})
	if err == nil {
		s.r.d.seen.keepPerceived(key, p, s.r.Now())
	}
	return p, err
}

// WriteCSV writes one weekly file of an establishment, the same bytes as `rpn
// indicators export`.
func (s *Subject) WriteCSV(ctx context.Context, w io.Writer, f report.File, week report.Week) (name string, err error) {
	if s.es == nil {
		return "", ErrHidden
	}
	st, err := s.r.d.store.get(ctx)
	if err != nil {
		return "", err
	}
	return f.Name(s.structures[0], week), f.Write(ctx, w, st, s.structures, week, s.r.NameOfAMC)
}

// Silent are the establishments that may call every insurer and have not called
// this one since.
func (s *Subject) Silent(ctx context.Context, since time.Time) (list []*register.Etablissement, err error) {
	if s.numero == "" {
		return nil, ErrHidden
	}
	st, err := s.r.d.store.get(ctx)
	if err != nil {
		return nil, err
	}
	callers, err := st.Callers(ctx, s.numero, since)
	if err != nil {
		return nil, err
	}
	called := map[roc.StructureID]bool{}
	for _, id := range callers {
		called[id] = true
	}
	for e := range s.r.d.o.Register().Etablissements() {
		if e.Etat == register.Cercle && !slices.ContainsFunc(e.IDs(), func(id roc.StructureID) bool { return called[id] }) {
			list = append(list, e)
		}
	}
	return list, nil
}

// answers keeps the answers to what pages ask, for some seconds, those about days
// that are over for some minutes: a page that is loaded twice is not counted
// twice. What it keeps is bounded, in rows.
type answers struct {
	mu   sync.Mutex
	kept map[string]answer
	rows int

	perceptions map[string]perception
}

type perception struct {
	report.Perception
	until time.Time
}

// keptPerceptions is how many are kept, for as long as the days that are over.
const keptPerceptions = 1000

func (a *answers) perceived(key string, now time.Time) (report.Perception, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.perceptions[key]
	return p.Perception, ok && now.Before(p.until)
}

func (a *answers) keepPerceived(key string, p report.Perception, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.perceptions) >= keptPerceptions || a.perceptions == nil {
		a.perceptions = map[string]perception{}
	}
	a.perceptions[key] = perception{p, now.Add(keptOver)}
}

type answer struct {
	rows  []store.Row
	until time.Time
}

const (
	keptFor      = 10 * time.Second
	keptOver     = 5 * time.Minute
	keptRows     = 40_000 // of all
	keptRowsEach = 8000   // of one answer: a larger one is not kept
)

// figures asks the store, or gives the answer of before. The counts of its rows are
// not to be changed.
func (a *answers) figures(ctx context.Context, st *store.Store, q store.Query, now time.Time, lasts time.Duration) ([]store.Row, error) {
	key := fmt.Sprint(q.Grain, q.From.Unix(), q.To.Unix(), q.Structures, q.AMC, q.By, q.NoDurations)
	a.mu.Lock()
	got, ok := a.kept[key]
	a.mu.Unlock()
	if ok && now.Before(got.until) {
		return slices.Clone(got.rows), nil
	}
	rows, err := st.Figures(ctx, q)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(rows) > keptRowsEach {
		return rows, nil
	}
	if old, ok := a.kept[key]; ok {
		a.rows -= len(old.rows) + 1
	}
	if a.rows += len(rows) + 1; a.rows > keptRows || a.kept == nil {
		a.kept, a.rows = map[string]answer{}, len(rows)+1
	}
	a.kept[key] = answer{rows, now.Add(lasts)}
	return slices.Clone(rows), nil
}
