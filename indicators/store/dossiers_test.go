package store

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// of makes an exchange of a dossier.
func (b *book) of(link byte, at time.Time, service roc.Service, ok bool) uint64 {
	x := &journal.Exchange{Record: roc.Record{From: "1990000011", Service: service, Version: roc.V1, To: roc.Key{AMC: bleue}, RequestIn: at, AnswerOut: at, Outcome: roc.Answered, Dossier: roc.Dossier{link}}}
	x.ID = roc.NewExchangeID(at)
	if !ok {
		x.Outcome, x.Reason = roc.Refused, roc.AMCSilent
	}
	return b.add(journal.Entry{Exchange: x})
}

func (b *book) lost(of uint64) {
	b.add(journal.Entry{Amendment: &journal.Amendment{Exchange: b.entries[of-b.first].Exchange.ID, Of: of, Change: journal.CallerLeft}})
}

// theFiguresOfDossiers are told case by case.
func theFiguresOfDossiers(t *testing.T, fresh func(*testing.T) *Store) {
	at := func(hours int) time.Time { return monday.Add(time.Duration(hours) * time.Hour) }
	one := func(d Dossiers) Dossiers { d.Dossiers = 1; return d }
	for _, c := range []struct {
		name  string
		fill  func(b *book)
		want  Dossiers
		toCLC time.Duration
	}{
		{name: "none", fill: func(b *book) { b.call(at(1), roc.IDB, "") }},
		{name: "an IDB that is answered at once, and never followed", fill: func(b *book) { b.of(1, at(1), roc.IDB, true) },
			want: one(Dossiers{AllAtFirst: 1, AllAnswered: 1, IDBAlone: 1, With: map[roc.Service]int64{roc.IDB: 1}, ByService: map[roc.Service]Requests{roc.IDB: {1, 1, 1, 1}}})},
		{name: "two retries are one request", fill: func(b *book) {
			b.of(1, at(1), roc.CLC, false)
			b.of(1, at(2), roc.CLC, false)
			b.of(1, at(3), roc.CLC, true)
		}, want: one(Dossiers{AllAnswered: 1, CLCWithoutIDB: 1, With: map[roc.Service]int64{roc.CLC: 1}, ByService: map[roc.Service]Requests{roc.CLC: {1, 0, 1, 3}}})},
		{name: "after an answer it is another request", fill: func(b *book) {
			b.of(1, at(1), roc.SIM, true)
			b.of(1, at(2), roc.SIM, true)
			b.of(1, at(3), roc.SIM, false)
		}, want: one(Dossiers{With: map[roc.Service]int64{roc.SIM: 1}, ByService: map[roc.Service]Requests{roc.SIM: {3, 2, 2, 3}}})},
		{name: "IDB to CLC, over two days", fill: func(b *book) {
			b.of(1, at(40), roc.CLC, true)
			b.of(1, at(10), roc.IDB, true)
			b.of(1, at(41), roc.ANL, true)
		}, want: one(Dossiers{AllAtFirst: 1, AllAnswered: 1, With: map[roc.Service]int64{roc.IDB: 1, roc.CLC: 1, roc.ANL: 1},
			ByService: map[roc.Service]Requests{roc.IDB: {1, 1, 1, 1}, roc.CLC: {1, 1, 1, 1}, roc.ANL: {1, 1, 1, 1}}}), toCLC: 30 * time.Hour},
		{name: "an IDB after the CLC comes too late", fill: func(b *book) {
			b.of(1, at(1), roc.CLC, true)
			b.of(1, at(2), roc.IDB, true)
		}, want: one(Dossiers{AllAtFirst: 1, AllAnswered: 1, CLCWithoutIDB: 1, With: map[roc.Service]int64{roc.IDB: 1, roc.CLC: 1},
			ByService: map[roc.Service]Requests{roc.IDB: {1, 1, 1, 1}, roc.CLC: {1, 1, 1, 1}}})},
		{name: "an IDB is followed by what fails, too", fill: func(b *book) {
			b.of(1, at(1), roc.IDB, true)
			b.of(1, at(2), roc.CLC, false)
		}, want: one(Dossiers{With: map[roc.Service]int64{roc.IDB: 1}, ByService: map[roc.Service]Requests{roc.IDB: {1, 1, 1, 1}, roc.CLC: {1, 0, 0, 1}}})},
		{name: "an answer that was not delivered is none", fill: func(b *book) {
			b.lost(b.of(1, at(1), roc.IDB, true))
			b.of(1, at(2), roc.IDB, true)
		}, want: one(Dossiers{AllAnswered: 1, IDBAlone: 1, With: map[roc.Service]int64{roc.IDB: 1}, ByService: map[roc.Service]Requests{roc.IDB: {1, 0, 1, 2}}})},
	} {
		s := fresh(t)
		s.atOnce = 2
		b := &book{origin: "rpn.example/a"}
		c.fill(b)
		s.must(t, b)
		rows, err := s.Dossiers(t.Context(), DossierQuery{From: monday, To: monday.AddDate(0, 0, 7)})
		if err != nil {
			t.Fatal(err)
		}
		got := *SumOfDossiers(rows)
		if d := got.ToCLC.Quantile(50); got.ToCLC.Count() != int64(min(1, c.toCLC)) || math.Abs(float64(d-c.toCLC)) > 0.011*float64(c.toCLC) {
			t.Errorf("%s: from IDB to CLC %s, want %s", c.name, d, c.toCLC)
		}
		got.ToCLC = Durations{}
		want := *newDossiers()
		want.Add(&c.want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, want)
		}
	}
}

// dossiersEqualANaiveRecount plays a week of two instances, projected in pieces of
// any size, in any order, counted again: the recount knows nothing of rows.
func dossiersEqualANaiveRecount(t *testing.T, fresh func(*testing.T) *Store) {
	r := rand.New(rand.NewPCG(51, 51))
	books := []*book{{origin: "rpn.example/a"}, {origin: "rpn.example/b"}}
	s := fresh(t)
	s.atOnce = 41
	for range 1500 {
		b := books[r.IntN(2)]
		x := exchange(r)
		x.RequestIn = monday.Add(time.Duration(r.Int64N(int64(7*24*time.Hour/time.Millisecond))) * time.Millisecond)
		x.Dossier = roc.Dossier{0: byte(r.IntN(60)), 5: 9}
		if x.Dossier[0] == 0 {
			x.Dossier = roc.Dossier{}
		}
		x.Service = roc.AMCServices[r.IntN(len(roc.AMCServices))]
		of := b.add(journal.Entry{Exchange: x})
		if r.IntN(20) == 0 {
			b.lost(of)
		}
		if r.IntN(60) == 0 {
			s.must(t, books[r.IntN(2)])
		}
	}
	for _, b := range books {
		s.must(t, b)
	}
	check := func() {
		t.Helper()
		for _, q := range []DossierQuery{
			{}, {From: monday.AddDate(0, 0, 2), To: monday.AddDate(0, 0, 4)}, {Structures: []roc.StructureID{"1990000001", "1990000002"}},
			{Structures: []roc.StructureID{"1990000001", "1990000002"}, ByStructure: true, ByAMC: true}, {AMC: "0099000001", ByStructure: true}, {ByAMC: true},
		} {
			rows, err := s.Dossiers(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, row := range rows {
				got[fmt.Sprint(row.Structure, " ", row.AMC)] = naiveText(row.Dossiers)
			}
			if want := naiveDossiers(q, books); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v:\n got %v\nwant %v", q, got, want)
			}
		}
	}
	check()
	if err := s.Forget(t.Context(), books[0].origin); err != nil {
		t.Fatal(err)
	}
	s.must(t, books[0])
	check()
}

func naiveText(d *Dossiers) string {
	text := fmt.Sprint(d.Dossiers, d.AllAtFirst, d.AllAnswered, d.CLCWithoutIDB, d.IDBAlone, d.ToCLC.Count())
	for _, s := range roc.AMCServices {
		text += fmt.Sprint(" ", s, d.With[s], d.ByService[s])
	}
	return text
}

// naiveDossiers looks at every exchange of every dossier, again and again.
func naiveDossiers(q DossierQuery, books []*book) map[string]string {
	type seen struct {
		*journal.Exchange
		lost bool
	}
	groups := map[string]map[string][]seen{}
	for _, b := range books {
		for i, e := range b.entries {
			x := e.Exchange
			if x == nil || x.Dossier == (roc.Dossier{}) {
				continue
			}
			day := Day.Begin(x.RequestIn)
			from, amc := cmp.Or(string(x.From), "-"), cmp.Or(string(x.To.AMC), "-")
			if !q.From.IsZero() && day.Before(q.From) || !q.To.IsZero() && !day.Before(q.To) || q.AMC != "" && string(q.AMC) != amc ||
				len(q.Structures) > 0 && !slices.Contains(q.Structures, roc.StructureID(from)) {
				continue
			}
			lost := slices.ContainsFunc(b.entries, func(o journal.Entry) bool { return o.Amendment != nil && o.Amendment.Of == uint64(i) })
			who := from
			if len(q.Structures) > 0 && !q.ByStructure {
				who = "together"
			}
			key := " "
			if q.ByStructure {
				key = from + key
			}
			if q.ByAMC {
				key += amc
			}
			if groups[key] == nil {
				groups[key] = map[string][]seen{}
			}
			d := who + amc + string(x.Dossier[:])
			groups[key][d] = append(groups[key][d], seen{x, lost})
		}
	}
	want := map[string]string{}
	for key, dossiers := range groups {
		sum := newDossiers()
		for _, list := range dossiers {
			slices.SortStableFunc(list, func(x, y seen) int { return x.RequestIn.Compare(y.RequestIn) })
			good := func(x seen) bool { return x.Outcome == roc.Answered && !x.lost }
			sum.Dossiers++
			first, all := true, true
			for _, service := range roc.AMCServices {
				var of []seen
				for _, x := range list {
					if x.Service == service {
						of = append(of, x)
					}
				}
				n := sum.ByService[service]
				for i, x := range of {
					n.Tries++
					begins := i == 0 || good(of[i-1])
					if begins {
						n.Requests++
					}
					if good(x) {
						n.Answered++
						if begins {
							n.AtFirst++
						}
					}
					if begins && !good(x) {
						first = false
					}
				}
				sum.ByService[service] = n
				if slices.ContainsFunc(of, good) {
					sum.With[service]++
				}
				if len(of) > 0 && !good(of[len(of)-1]) {
					all = false
				}
			}
			if first {
				sum.AllAtFirst++
			}
			if all {
				sum.AllAnswered++
			}
			find := func(service roc.Service) int {
				return slices.IndexFunc(list, func(x seen) bool { return x.Service == service && good(x) })
			}
			idb, clc := find(roc.IDB), find(roc.CLC)
			if clc >= 0 && (idb < 0 || idb > clc) {
				sum.CLCWithoutIDB++
			}
			if idb >= 0 && idb < clc {
				sum.ToCLC.Add(list[clc].RequestIn.Sub(list[idb].RequestIn))
			}
			if idb >= 0 && clc < 0 && !slices.ContainsFunc(list[idb:], func(x seen) bool { return x.Service == roc.SIM || x.Service == roc.CLC }) {
				sum.IDBAlone++
			}
		}
		want[key] = naiveText(sum)
	}
	return want
}

// What a row holds of dossiers is read as it was written, and what is damaged is an
// error.
func FuzzTouches(f *testing.F) {
	f.Add(appendTouches(nil, []touch{{roc.Dossier{1}, 5, 0x12}, {roc.Dossier{1}, 9, 0x22}, {roc.Dossier{2}, 0, 3}}))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []touch
		if scanTouches(b, func(x touch) { list = append(list, x) }) != nil {
			return
		}
		var again []touch
		if err := scanTouches(appendTouches(nil, list), func(x touch) { again = append(again, x) }); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(list, touch.compare)
		if !slices.Equal(list, again) {
			t.Errorf("%v, read again %v", list, again)
		}
	})
}

// A row joins so many exchanges and no more, however they come: all at once, or in
// pieces; those beyond are in all figures but those of dossiers, which are those of
// a journal that ends there.
func TestARowJoinsSoManyExchangesAndNoMore(t *testing.T) {
	t.Parallel()
	const beyond = 300
	b := &book{origin: "rpn.example/a"}
	for i := range MostJoined {
		b.of(byte(1+i%250), monday.Add(time.Duration(i)*time.Second), roc.AMCServices[i%3], i%7 > 0)
	}
	short := open(t, filepath.Join(t.TempDir(), "store.db"))
	short.must(t, b)
	whole, err := short.Dossiers(t.Context(), DossierQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range beyond {
		b.of(byte(1+i%250), monday.Add(time.Duration(i)*time.Second), roc.IDB, true)
	}
	for name, atOnce := range map[string]uint64{"at once": MostJoined + beyond, "in pieces": 16_000, "a piece that ends at the most": MostJoined} {
		s := open(t, filepath.Join(t.TempDir(), "store.db"))
		s.atOnce = atOnce
		s.must(t, b)
		rows, err := s.Dossiers(t.Context(), DossierQuery{})
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %d rows, %v", name, len(rows), err)
		}
		if got, want := naiveText(rows[0].Dossiers), naiveText(whole[0].Dossiers); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		if n := SumOfDossiers(rows).Requests().Tries; n != MostJoined {
			t.Errorf("%s: %d are joined", name, n)
		}
		all, err := s.Figures(t.Context(), Query{})
		var n int64
		for _, r := range all {
			n += r.Exchanges
		}
		if err != nil || n != MostJoined+beyond {
			t.Errorf("%s: %d exchanges, %v", name, n, err)
		}
	}
}

// Nothing of a link is in a row of sums, and a day of a dossier takes some bytes.
func TestWhatADossierTakes(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	b := &book{origin: "rpn.example/a"}
	b.of(7, monday.Add(time.Hour), roc.IDB, true)
	b.of(7, monday.Add(2*time.Hour), roc.CLC, true)
	s.must(t, b)
	var rows, with int
	link := roc.Dossier{7}
	if err := s.db.QueryRow(`SELECT COUNT(*), SUM(instr(data, $1) > 0) FROM cells`, link[:]).Scan(&rows, &with); err != nil || with != 1 {
		t.Errorf("the link is in %d of %d rows, %v", with, rows, err)
	}
	if n := len(appendTouches(nil, []touch{{link, 3_600_000, 0x12}, {link, 7_200_000, 0x14}})); n > 17 {
		t.Errorf("two exchanges of a dossier take %d bytes", n)
	}
}
