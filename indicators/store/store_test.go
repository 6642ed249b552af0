package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store/postgrestest"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A book is a journal in memory.
type book struct {
	origin  string
	first   uint64
	sealed  uint64 // 0: all
	entries []journal.Entry
	damaged map[uint64]bool
	failing map[uint64]error // what the disk says of a record for now
}

func (b *book) Bounds() (first, end uint64) { return b.first, b.first + uint64(len(b.entries)) }

func (b *book) Checkpoint() (*journal.Checkpoint, error) {
	_, end := b.Bounds()
	if b.sealed != 0 {
		end = b.sealed
	}
	return &journal.Checkpoint{Origin: b.origin, Size: end}, nil
}

func (b *book) Entry(i uint64) (journal.Entry, error) {
	if i < b.first || i-b.first >= uint64(len(b.entries)) {
		return journal.Entry{}, journal.ErrPruned
	}
	if b.damaged[i] {
		return journal.Entry{Index: i}, journal.ErrDamaged
	}
	if err := b.failing[i]; err != nil {
		return journal.Entry{Index: i}, err
	}
	return b.entries[i-b.first], nil
}

func (b *book) Entries(from uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		_, end := b.Bounds()
		for i := max(from, b.first); i < end; i++ {
			if !yield(b.Entry(i)) {
				return
			}
		}
	}
}

// add enters a record.
func (b *book) add(e journal.Entry) uint64 {
	_, end := b.Bounds()
	e.Index = end
	e.Leaf = journal.LeafHash(fmt.Appendf(nil, "%s %d", b.origin, end))
	b.entries = append(b.entries, e)
	return end
}

var monday = time.Date(2026, 10, 19, 0, 0, 0, 0, Paris) // the week of the night of 25 hours

// exchange makes an exchange of some of the possible kinds.
func exchange(r *rand.Rand) *journal.Exchange {
	x := &journal.Exchange{}
	x.ID = roc.NewExchangeID(time.Unix(r.Int64N(1<<30), 0))
	if r.IntN(10) > 0 {
		x.From = roc.StructureID(fmt.Sprintf("199000000%d", r.IntN(4)))
	}
	if r.IntN(10) > 0 {
		x.To.AMC = roc.NumeroAMC(fmt.Sprintf("009900000%d", r.IntN(3)))
	}
	x.Service, x.Version = roc.Services[r.IntN(len(roc.Services))], roc.Version(r.IntN(3))
	x.RequestIn = monday.Add(time.Duration(r.Int64N(int64(9 * 24 * time.Hour)))).Truncate(time.Microsecond)
	x.Read = time.Duration(r.IntN(1000)) * time.Microsecond
	x.Check = time.Duration(r.IntN(100)) * time.Microsecond
	took := x.Read + x.Check + time.Duration(r.IntN(2000))*time.Microsecond
	if r.IntN(4) > 0 {
		x.AMC = time.Duration(math.Exp(r.Float64()*18)) * time.Microsecond
		x.RequestOut = x.RequestIn.Add(took)
		took += x.AMC
	}
	x.AnswerOut = x.RequestIn.Add(took)
	x.RequestBytes, x.AnswerBytes = r.IntN(9000), r.IntN(9000)
	x.Replayed, x.FromMemory = r.IntN(9) == 0, r.IntN(2) == 0
	x.Stale = x.FromMemory && r.IntN(5) == 0
	if r.IntN(3) > 0 {
		off := time.Duration(r.Int64N(int64(4*time.Minute))-int64(2*time.Minute)) / time.Millisecond * time.Millisecond
		x.ClockOffset = &off
	}
	x.AnswerCheck = []string{"", "good", roc.CheckedLater, string(roc.BadSignature)}[r.IntN(4)]
	switch r.IntN(5) {
	case 0:
		reasons := append(roc.Reasons()[:4:4], roc.AMCUnreachable, roc.AMCSilent, roc.AMCBadAnswer, roc.AMCResting, roc.AMCNotSOAP)
		x.Outcome, x.Reason = roc.Refused, reasons[r.IntN(len(reasons))]
		if r.IntN(4) == 0 {
			x.CauseCode = roc.AMCRate
		}
		x.MustAct = x.Responsable()
	case 1:
		x.Outcome, x.MustAct = roc.FarFault, roc.ByAMC
	case 2:
		x.Outcome = roc.Abandoned
	default:
		x.Outcome = roc.Answered
	}
	return x
}

// fill adds n records, some of which amend others or are marks.
func (b *book) fill(r *rand.Rand, n int) {
	for range n {
		switch k := r.IntN(20); {
		case k == 0 && len(b.entries) > 0:
			of := b.first + r.Uint64N(uint64(len(b.entries)))
			if e := b.entries[of-b.first]; e.Exchange != nil {
				b.add(journal.Entry{Amendment: &journal.Amendment{Exchange: e.Exchange.ID, Of: of, At: e.Exchange.RequestIn, Change: journal.Change(1 + r.IntN(3))}})
			}
		case k == 1:
			b.add(journal.Entry{Mark: &journal.Mark{Event: journal.Event(1 + r.IntN(7)), Count: r.Uint64N(10), From: monday, To: monday}})
		default:
			b.add(journal.Entry{Exchange: exchange(r)})
		}
	}
}

// recount answers a query by reading every record: the oracle. It knows nothing
// of cells or sums.
func recount(q Query, books []*book) map[string]*naive {
	rows := map[string]*naive{}
	by := func(d Dimension) bool { return slices.Contains(q.By, d) }
	for _, b := range books {
		of := func(x *journal.Exchange) *naive {
			at := x.RequestIn
			if q.Grain == Day { // a period counts when it begins in the window
				y, m, d := at.In(Paris).Date()
				at = time.Date(y, m, d, 0, 0, 0, 0, Paris)
			} else {
				at = at.Truncate(time.Hour)
			}
			from, to := string(x.From), string(x.To.AMC)
			if from == "" {
				from = "-"
			}
			if to == "" {
				to = "-"
			}
			code := string(x.Outcome)
			if x.Outcome == roc.Refused {
				code = x.Code()
			}
			if at.Before(q.From) || !at.Before(q.To) || len(q.Structures) > 0 && !slices.Contains(q.Structures, roc.StructureID(from)) || q.AMC != "" && string(q.AMC) != to ||
				q.Service != 0 && q.Service != x.Service || q.Version != 0 && q.Version != x.Version {
				return nil
			}
			var k []string
			for _, d := range []struct {
				is   bool
				what any
			}{{by(ByPeriod), at.Unix()}, {by(ByStructure), from}, {by(ByAMC), to}, {by(ByService), x.Service}, {by(ByVersion), x.Version}, {by(ByCode), code}, {by(ByOwner), x.MustAct}} {
				if d.is {
					k = append(k, fmt.Sprint(d.what))
				}
			}
			key := strings.Join(k, " ")
			if rows[key] == nil {
				rows[key] = &naive{}
			}
			return rows[key]
		}
		for i, e := range b.entries {
			if b.damaged[b.first+uint64(i)] {
				continue
			}
			switch {
			case e.Exchange != nil:
				if n := of(e.Exchange); n != nil {
					x := e.Exchange
					n.exchanges++
					n.requests += x.RequestBytes
					n.answers += x.AnswerBytes
					amcFails := x.Outcome == roc.Refused && x.To.AMC != "" && x.MustAct == roc.ByAMC && slices.Contains([]string{"RPN401", "RPN402", "RPN403", "RPN404", "RPN405"}, x.Code())
					served := (x.Outcome == roc.Answered || x.Outcome == roc.FarFault) && x.To.AMC != "" && x.Service != roc.Annuaire
					if x.ClockOffset != nil {
						n.clock = append(n.clock, x.ClockOffset.Abs())
					}
					for of, is := range map[*int]bool{&n.failed: amcFails, &n.sent: amcFails || served, &n.beyond: x.CauseCode == roc.AMCRate,
						&n.off: x.ClockOffset != nil && (*x.ClockOffset > time.Minute || *x.ClockOffset < -time.Minute), &n.replayed: x.Replayed, &n.remembered: x.FromMemory, &n.stale: x.Stale, &n.bad: x.AnswerCheck == string(roc.BadSignature)} {
						if is {
							*of++
						}
					}
					total := x.AnswerOut.Sub(x.RequestIn)
					n.totals, n.caller = append(n.totals, total), append(n.caller, x.Read)
					n.rpn = append(n.rpn, total-x.Read-x.AMC) // no exchange of these waits for the annuaire
					if !x.RequestOut.IsZero() {
						n.amc = append(n.amc, x.AMC)
					}
				}
			case e.Amendment != nil:
				if b.damaged[e.Amendment.Of] {
					continue
				}
				if n := of(b.entries[e.Amendment.Of-b.first].Exchange); n != nil {
					if e.Amendment.Change == journal.AnswerChecked {
						n.bad++
					} else {
						n.undelivered++
					}
				}
			}
		}
	}
	return rows
}

type naive struct {
	exchanges, undelivered, bad, requests, answers, replayed, remembered, stale int
	sent, failed, beyond, off                                                   int
	totals, caller, rpn, amc, clock                                             []time.Duration
}

// same compares an answer with a recount, the quantiles within the error of the
// sketch.
func sameFigures(t *testing.T, q Query, got []Row, want map[string]*naive) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%+v: %d rows, want %d", q, len(got), len(want))
	}
	for _, r := range got {
		var k []string
		for _, d := range []struct {
			by   Dimension
			what any
		}{{ByPeriod, r.Begin}, {ByStructure, r.Structure}, {ByAMC, r.AMC}, {ByService, r.Service}, {ByVersion, r.Version}, {ByCode, r.Code}, {ByOwner, r.Owner}} {
			if slices.Contains(q.By, d.by) {
				k = append(k, fmt.Sprint(d.what))
			}
		}
		key := strings.Join(k, " ")
		n := want[key]
		if n == nil {
			t.Errorf("%+v: the row %q is of nothing", q, key)
			continue
		}
		within := func(limit time.Duration) int64 {
			c := 0
			for _, d := range n.totals {
				if d <= limit {
					c++
				}
			}
			return int64(c)
		}
		if r.Exchanges != int64(n.exchanges) || r.Undelivered != int64(n.undelivered) || r.BadAnswers != int64(n.bad) || r.RequestBytes != int64(n.requests) || r.AnswerBytes != int64(n.answers) ||
			r.Sent != int64(n.sent) || r.Failed != int64(n.failed) || r.BeyondRate != int64(n.beyond) || r.ClockOff != int64(n.off) ||
			r.Replayed != int64(n.replayed) || r.Remembered != int64(n.remembered) || r.Stale != int64(n.stale) ||
			r.Within2s != within(2*time.Second) || r.Within5s != within(5*time.Second) || r.Within20s != within(20*time.Second) {
			t.Errorf("%+v: %q: %+v, want %+v", q, key, r.Counts, n)
		}
		for _, d := range []struct {
			got  Durations
			want []time.Duration
		}{{r.Total, n.totals}, {r.AtCaller, n.caller}, {r.InRPN, n.rpn}, {r.AtAMC, n.amc}, {r.Clock, n.clock}} {
			if d.got.Count() != int64(len(d.want)) {
				t.Errorf("%+v: %q: %d durations, want %d", q, key, d.got.Count(), len(d.want))
				continue
			}
			slices.Sort(d.want)
			for _, p := range []int{50, 95, 99} {
				if len(d.want) == 0 {
					continue
				}
				exact := notExceededBy(d.want, p)
				if e := d.got.Quantile(p) - exact; math.Abs(float64(e)) > 0.0101*float64(exact)+1000 {
					t.Errorf("%+v: %q: quantile %v is %v, want %v", q, key, p, d.got.Quantile(p), exact)
				}
			}
		}
	}
}

// notExceededBy is the sentence of a card: the smallest duration that so many in
// a hundred of them do not exceed.
func notExceededBy(all []time.Duration, percent int) time.Duration {
	for _, d := range all {
		below := 0
		for _, o := range all {
			if o <= d {
				below++
			}
		}
		if 100*below >= percent*len(all) {
			return d
		}
	}
	return 0
}

// The quantiles of the fewest durations are what their cards say.
func TestAQuantileIsWhatItsCardSays(t *testing.T) {
	t.Parallel()
	var d Durations
	var all []time.Duration
	for n := range 120 {
		x := time.Duration(n+1) * time.Second
		d.Add(x)
		all = append(all, x)
		for _, p := range []int{50, 95, 99} {
			if got, want := d.Quantile(p), notExceededBy(all, p); math.Abs(float64(got-want)) > 0.0101*float64(want) {
				t.Errorf("of %d, %d %% do not exceed %v, want %v", n+1, p, got, want)
			}
		}
	}
}

// queries are some of each kind.
func queries(r *rand.Rand) (list []Query) {
	for range 12 {
		q := Query{Grain: []Grain{Hour, Day}[r.IntN(2)], From: monday.AddDate(0, 0, r.IntN(3)), To: monday.AddDate(0, 0, 4+r.IntN(6))}
		for range r.IntN(3) {
			q.Structures = append(q.Structures, roc.StructureID(fmt.Sprintf("199000000%d", r.IntN(4))))
		}
		if r.IntN(2) == 0 {
			q.AMC = roc.NumeroAMC(fmt.Sprintf("009900000%d", r.IntN(3)))
		}
		if r.IntN(3) == 0 {
			q.Service = roc.IDB
		}
		if r.IntN(3) == 0 {
			q.Version = roc.V2
		}
		for _, d := range []Dimension{ByPeriod, ByStructure, ByAMC, ByService, ByVersion, ByCode, ByOwner} {
			if r.IntN(3) == 0 {
				q.By = append(q.By, d)
			}
		}
		list = append(list, q)
	}
	return list
}

// stores are an empty store of each kind.
func stores(t *testing.T) map[string]func(t *testing.T) *Store {
	pg := sync.OnceValue(func() *postgrestest.Server { return postgrestest.Start(t) })
	n := 0
	return map[string]func(t *testing.T) *Store{
		"SQLite": func(t *testing.T) *Store { return open(t, filepath.Join(t.TempDir(), "store.db")) },
		"PostgreSQL": func(t *testing.T) *Store {
			n++
			return open(t, pg().Database(fmt.Sprint("store", n)))
		},
	}
}

func open(t *testing.T, address string) *Store {
	t.Helper()
	s, err := Open(t.Context(), address, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *Store) must(t *testing.T, b *book) {
	t.Helper()
	if err := s.Project(t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
}

func (s *Store) holds(t *testing.T, r *rand.Rand, books ...*book) {
	t.Helper()
	for _, q := range queries(r) {
		got, err := s.Figures(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		sameFigures(t, q, got, recount(q, books))
		q.NoDurations = true
		numbers, err := s.Figures(t.Context(), q)
		if err != nil || len(numbers) != len(got) {
			t.Fatalf("without durations: %d rows, want %d, %v", len(numbers), len(got), err)
		}
		for i := range got {
			n, want := &numbers[i], &got[i]
			if n.Cell != want.Cell || n.Exchanges != want.Exchanges || n.Failed != want.Failed || n.Within5s != want.Within5s || n.Total.Count()+n.InRPN.Count()+n.Clock.Count() != 0 {
				t.Errorf("without durations: %+v, want the numbers of %+v", n, want)
			}
		}
	}
}

// Both databases hold the same sentences.
func TestEachStore(t *testing.T) {
	t.Parallel()
	for name, fresh := range stores(t) {
		for sentence, test := range map[string]func(*testing.T, func(*testing.T) *Store){
			"The figures equal a naive recount":    theFiguresEqualANaiveRecount,
			"A rebuild gives equal numbers":        aRebuildGivesEqualNumbers,
			"A projection that is cut goes on":     aProjectionThatIsCutGoesOn,
			"Figures of another version":           figuresOfAnotherVersionAreMadeAgain,
			"Old figures are deleted":              oldFiguresAreDeleted,
			"Many may project":                     manyMayProject,
			"The figures of dossiers":              theFiguresOfDossiers,
			"Dossiers equal a naive recount":       dossiersEqualANaiveRecount,
			"Figures are as fresh as all journals": figuresAreAsFreshAsAllJournals,
			"The definition of an outage":          theDefinitionOfAnOutage,
			"Availability equals a naive recount":  availabilityEqualsANaiveRecount,
			"A letter has one outcome":             aLetterHasOneOutcome,
			"What ended instances have left":       whatEndedInstancesHaveLeft,
			"Letters and gaps are pruned by age":   lettersAndGapsArePrunedByAge,
			"An outage is told once":               anOutageIsToldOnce,
			"The state of a service":               theStateOfAService,
		} {
			t.Run(name+"/"+sentence, func(t *testing.T) { test(t, fresh) })
		}
	}
}

// Whatever the order of the calls, the restarts and the number of instances,
// the figures are those of a naive recount of the journals.
func theFiguresEqualANaiveRecount(t *testing.T, fresh func(*testing.T) *Store) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := fresh(t)
		books := []*book{{origin: "rpn.example/a"}, {origin: "rpn.example/b", first: 0}}
		for range 6 {
			b := books[r.IntN(2)]
			b.fill(r, r.IntN(200))
			b.sealed = max(b.sealed, r.Uint64N(uint64(len(b.entries)+1)))
			s.must(t, b)
		}
		for _, b := range books {
			b.fill(r, 1)
			b.sealed = 0
			s.must(t, b)
			s.must(t, b)
		}
		s.holds(t, r, books...)
	}
}

// Emptied and projected again, the store holds equal figures.
func aRebuildGivesEqualNumbers(t *testing.T, fresh func(*testing.T) *Store) {
	r := rand.New(rand.NewPCG(7, 7))
	s := fresh(t)
	a, b := &book{origin: "rpn.example/a"}, &book{origin: "rpn.example/b"}
	for range 5 {
		a.fill(r, 50)
		b.fill(r, 50)
		s.must(t, a)
		s.must(t, b)
	}
	if err := s.Forget(t.Context(), a.origin); err != nil {
		t.Fatal(err)
	}
	s.holds(t, r, b)
	s.must(t, a)
	s.holds(t, r, a, b)
}

// A cancelled projection leaves whole batches behind, and the next one goes on.
func aProjectionThatIsCutGoesOn(t *testing.T, fresh func(*testing.T) *Store) {
	r := rand.New(rand.NewPCG(3, 3))
	s := fresh(t)
	b := &book{origin: "rpn.example/a"}
	s.atOnce = 100
	b.fill(r, 250)
	ctx, cut := context.WithCancel(t.Context())
	err := s.Project(ctx, b, func(done, _ uint64) {
		if done > 0 {
			cut()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the cut projection ends with %v", err)
	}
	if p, err := s.Position(t.Context(), b.origin); err != nil || p.Next != s.atOnce {
		t.Fatalf("after the cut: %+v, %v", p, err)
	}
	s.must(t, b)
	s.holds(t, r, b)
}

// Several processes that project the same journals count nothing twice.
func manyMayProject(t *testing.T, fresh func(*testing.T) *Store) {
	r := rand.New(rand.NewPCG(11, 11))
	s := fresh(t)
	s.atOnce = 50
	a, b := &book{origin: "rpn.example/a"}, &book{origin: "rpn.example/b"}
	a.fill(r, 400)
	b.fill(r, 400)
	for range 20 {
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				j := *[]*book{a, b}[n%2]
				j.sealed = uint64(100*(1+n) + 7) // each sees another end
				if err := s.Project(t.Context(), &j, nil); err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrOtherJournal) {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	s.must(t, a)
	s.must(t, b)
	s.holds(t, r, a, b)
}

const realOrigin = "rpn.example/journal/test"

// realJournal opens a real journal, of small segments.
func realJournal(t *testing.T, dir string) (j *journal.Journal, stop func()) {
	t.Helper()
	private, _, err := journal.NewKey(realOrigin)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := journal.ParseKeys(private, realOrigin)
	if err != nil {
		t.Fatal(err)
	}
	j, err = journal.Open(journal.Options{Dir: dir, Origin: realOrigin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 128 << 10, SealEvery: 20 * time.Millisecond,
		Durability: journal.Relaxed, OnFull: journal.Refuse, SegmentAge: 24 * time.Hour, KeepFor: 366 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	stop = sync.OnceFunc(func() {
		end()
		running.Wait()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return j, stop
}

// appendTo writes the record of an exchange.
func appendTo(t *testing.T, j *journal.Journal, x *journal.Exchange) roc.Receipt {
	t.Helper()
	await.Until(t, "there is room", func() bool { ok, err := j.Reserve(); return ok && err == nil })
	defer j.Release()
	receipt, err := j.Append(&x.Record)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// The records of a real journal, in closed segments, with what amends them
// hundreds of records later.
func TestARealJournalIsCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, stop := realJournal(t, dir)
	r := rand.New(rand.NewPCG(13, 13))
	b := &book{origin: realOrigin}
	type written struct {
		receipt roc.Receipt
		inBook  uint64
		x       *journal.Exchange
	}
	var all []written
	for n := range 1500 {
		x := exchange(r)
		x.Stale, x.FromMemory = false, false
		x.MustAct = x.Responsable()
		all = append(all, written{appendTo(t, j, x), b.add(journal.Entry{Exchange: x}), x})
		if n >= 300 && n%7 == 0 {
			of := all[n-300]
			j.Amend(of.receipt, of.x.ID, journal.WriteFailed, "")
			b.add(journal.Entry{Amendment: &journal.Amendment{Exchange: of.x.ID, Of: of.inBook, Change: journal.WriteFailed}})
		}
	}
	await.Until(t, "two segments are closed", func() bool {
		closed, _ := filepath.Glob(filepath.Join(dir, "*.zst"))
		return len(closed) >= 2
	})
	stop()
	l, err := journal.OpenLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	if err := s.Project(t.Context(), l, nil); err != nil {
		t.Fatal(err)
	}
	s.holds(t, r, b)
}

// What is not sealed yet is in no figure.
func TestOnlyWhatIsSealedCounts(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	b := &book{origin: "rpn.example/a", sealed: 30}
	b.fill(rand.New(rand.NewPCG(1, 1)), 100)
	s.must(t, b)
	if p, err := s.Position(t.Context(), b.origin); err != nil || p.Next != 30 {
		t.Errorf("%+v, %v", p, err)
	}
}

// Records that are damaged, or deleted before they were projected, are told.
func TestWhatIsInNoFigureIsCounted(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	r := rand.New(rand.NewPCG(2, 2))
	b := &book{origin: "rpn.example/a", first: 40}
	for range 60 {
		b.add(journal.Entry{Exchange: exchange(r)})
	}
	b.damaged = map[uint64]bool{50: true, 51: true, 99: true}
	s.must(t, b)
	if p, err := s.Position(t.Context(), b.origin); err != nil || p.Pruned != 40 || p.Unreadable != 3 || p.Next != 100 {
		t.Errorf("%+v, %v", p, err)
	}
	s.holds(t, r, b)
}

// What cannot be read for now is counted once it can be, and never as damaged:
// a record, and one that another amends.
func TestAPassingErrorLosesNoFigure(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	for _, at := range []uint64{0, 30, 59} {
		s := open(t, filepath.Join(t.TempDir(), "store.db"))
		s.atOnce = 60
		b := &book{origin: "rpn.example/a"}
		for range 60 {
			b.add(journal.Entry{Exchange: exchange(r)})
		}
		x := b.entries[at].Exchange
		b.sealed = 60
		if at == 0 { // the amended record fails alone, in the batch of the amending one
			s.must(t, b)
		}
		b.sealed = b.add(journal.Entry{Amendment: &journal.Amendment{Exchange: x.ID, Of: at, At: x.RequestIn, Change: journal.WriteFailed}}) + 1
		b.failing = map[uint64]error{at: syscall.EMFILE}
		for range 2 {
			if err := s.Project(t.Context(), b, nil); !errors.Is(err, syscall.EMFILE) {
				t.Errorf("record %d: %v", at, err)
			}
		}
		b.failing = nil
		s.must(t, b)
		if p, err := s.Position(t.Context(), b.origin); err != nil || p.Unreadable != 0 || p.Next != 61 {
			t.Errorf("record %d: %+v, %v", at, p, err)
		}
		s.holds(t, r, b)
	}
}

// Another journal under the name of one that was projected is refused, and so
// is one that is shorter than what was counted.
func TestAnotherJournalIsNotCounted(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	r := rand.New(rand.NewPCG(2, 2))
	b := &book{origin: "rpn.example/a"}
	b.fill(r, 50)
	s.must(t, b)
	other := &book{origin: b.origin}
	other.fill(r, 90)
	other.entries[len(b.entries)-1].Leaf[0]++
	if err := s.Project(t.Context(), other, nil); !errors.Is(err, ErrOtherJournal) {
		t.Errorf("another journal: %v", err)
	}
	other.entries, other.sealed = other.entries[:10], 10
	if err := s.Project(t.Context(), other, nil); !errors.Is(err, ErrOtherJournal) {
		t.Errorf("a shorter journal: %v", err)
	}
	s.holds(t, r, b)
}

// The figures of another version are counted again from the journal, and the
// letters stay: what was sent is not sent again. Who only reads refuses them, and
// who has the store open while another version makes them again writes nothing.
func figuresOfAnotherVersionAreMadeAgain(t *testing.T, fresh func(*testing.T) *Store) {
	r := rand.New(rand.NewPCG(6, 6))
	s := fresh(t)
	b := &book{origin: "rpn.example/a"}
	b.fill(r, 60)
	s.must(t, b)
	put := func() *Letter {
		t.Helper()
		if err := s.PutLetters(t.Context(), []Letter{week43}, monday); err != nil {
			t.Fatal(err)
		}
		l, err := s.ClaimLetter(t.Context(), []string{"semaine"}, monday)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := put()
	l.State = Sent
	if err := s.SettleLetter(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(`UPDATE meta SET value = '999'`); err != nil {
		t.Fatal(err)
	}
	b.fill(r, 1)
	if err := s.Project(t.Context(), b, nil); !errors.Is(err, ErrSchema) {
		t.Errorf("it is written: %v", err)
	}
	for _, q := range []string{`DROP TABLE cells`, `CREATE TABLE cells (other BIGINT)`} {
		if _, err := s.db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.migrate(t.Context(), Options{Reads: true}); !errors.Is(err, ErrSchema) {
		t.Errorf("it is read: %v", err)
	}
	if err := s.migrate(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Position(t.Context(), b.origin); err != nil || p.Next != 0 {
		t.Errorf("it begins at %d, %v", p.Next, err)
	}
	s.must(t, b)
	s.holds(t, r, b)
	if l := put(); l != nil {
		t.Errorf("%+v is sent again", l)
	}
}

// A day in Paris has 23, 24 or 25 hours.
func TestADayIsADayInParis(t *testing.T) {
	t.Parallel()
	for _, d := range []struct {
		at, begins string
	}{
		{"2026-10-24T21:59:59Z", "2026-10-23T22:00:00Z"},
		{"2026-10-24T22:00:00Z", "2026-10-24T22:00:00Z"},
		{"2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"}, // the day of 25 hours
		{"2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z"},
		{"2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z"},
		{"2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z"}, // the day of 23 hours
		{"2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z"},
	} {
		at, _ := time.Parse(time.RFC3339, d.at)
		if got := Day.Begin(at).UTC().Format(time.RFC3339); got != d.begins {
			t.Errorf("%s is of the day that begins at %s, want %s", d.at, got, d.begins)
		}
	}
}

// The password of PostgreSQL stands in no error.
func TestNoPasswordInAnError(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"postgres://rpn:s3cret@127.0.0.1:1/x?connect_timeout=1", "postgres://rpn:s3cret@127.0.0.1:port/x"} {
		_, err := Open(t.Context(), a, Options{})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}
