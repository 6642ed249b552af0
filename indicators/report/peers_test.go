package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// played is a store with a week of many establishments, and its records.
func played(t *testing.T, seed uint64, establishments int) (*store.Store, page) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r := rand.New(rand.NewPCG(seed, seed))
	begin := Week{2026, 43}.Begin()
	reasons := []roc.Reason{"", "", "", "", roc.AMCSilent, roc.AMCUnreachable, roc.AMCBadAnswer, roc.AMCNotSOAP, roc.TooMany, roc.BadSignature, roc.UnknownAMC, roc.Internal, roc.AnnuaireSilent, roc.Suspended}
	var p page
	for range 4000 {
		x := exchange(begin.Add(time.Duration(r.Int64N(int64(20*time.Hour)))), roc.NumeroAMC(fmt.Sprintf("009900000%d", r.IntN(2))), roc.Services[r.IntN(5)], time.Duration(r.IntN(3000))*time.Millisecond, roc.Answered, "")
		x.From = roc.StructureOf(roc.FINESS(fmt.Sprintf("%09d", 10000000+r.IntN(establishments))))
		x.Version = roc.Version(1 + r.IntN(2))
		if x.Reason = reasons[r.IntN(len(reasons))]; x.Reason != "" {
			x.Outcome = roc.Refused
			if r.IntN(3) == 0 && x.Reason == roc.TooMany {
				x.CauseCode = roc.AMCRate
			}
		}
		if r.IntN(4) > 0 {
			off := time.Duration(r.IntN(240_000)-120_000) * time.Millisecond
			x.ClockOffset = &off
		}
		x.MustAct = x.Responsable()
		p = append(p, x)
	}
	slices.SortFunc(p, func(x, y *journal.Exchange) int { return x.RequestIn.Compare(y.RequestIn) })
	if err := s.Project(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	return s, p
}

// among counts the records that are like that.
func (p page) among(is ...func(*journal.Exchange) bool) (n float64) {
	for _, x := range p {
		if !slices.ContainsFunc(is, func(f func(*journal.Exchange) bool) bool { return !f(x) }) {
			n++
		}
	}
	return n
}

func code(begin string) func(*journal.Exchange) bool {
	return func(x *journal.Exchange) bool { return strings.HasPrefix(x.Code(), begin) }
}

func amcFailed(x *journal.Exchange) bool {
	return code("RPN40")(x) && x.MustAct == roc.ByAMC
}

func amcCalled(x *journal.Exchange) bool {
	return amcFailed(x) || x.Outcome == roc.Answered && x.Service != roc.Annuaire
}

// Each card of an insurer is what a recount of its records by hand gives.
func TestTheCardsEqualANaiveRecount(t *testing.T) {
	t.Parallel()
	s, p := played(t, 1, 3)
	const amc = "0099000001"
	w := Week{2026, 43}
	rows, err := s.Figures(t.Context(), store.Query{Grain: store.Day, From: w.Begin(), To: w.End(), AMC: amc, By: Dimensions})
	if err != nil {
		t.Fatal(err)
	}
	sum := SumOf(rows)
	if sum.Windows, err = s.Availability(t.Context(), amc, w.Begin(), w.End()); err != nil {
		t.Fatal(err)
	}
	p = slices.DeleteFunc(p, func(x *journal.Exchange) bool { return x.To.AMC != amc })
	all := p.among()
	clocks := p.among(func(x *journal.Exchange) bool { return x.ClockOffset != nil })
	peak := 0.0
	for _, v := range roc.Services {
		for at := w.Begin(); at.Before(w.End()); at = at.Add(5 * time.Minute) {
			peak = max(peak, p.among(amcCalled, func(x *journal.Exchange) bool {
				return x.Service == v && !x.RequestIn.Before(at) && x.RequestIn.Before(at.Add(5*time.Minute))
			}))
		}
	}
	for id, want := range map[string]float64{
		"part_refus_acces": p.among(code("RPN1")) / all, "part_refus_message": p.among(code("RPN2")) / all, "part_refus_routage": p.among(code("RPN3")) / all,
		"part_refus_amc": p.among(code("RPN4")) / all, "part_refus_rpn": p.among(code("RPN5")) / all, "part_quota": p.among(code("RPN110")) / all,
		"part_hors_debit":        p.among(func(x *journal.Exchange) bool { return x.CauseCode == roc.AMCRate }) / all,
		"part_joint":             1 - p.among(amcFailed)/p.among(amcCalled),
		"reponses_inutilisables": p.among(code("RPN403")) + p.among(code("RPN405")),
		"part_v2":                p.among(func(x *journal.Exchange) bool { return x.Version == roc.V2 }) / all,
		"part_horloge": p.among(func(x *journal.Exchange) bool {
			return x.ClockOffset != nil && math.Abs(x.ClockOffset.Seconds()) > 60
		}) / clocks,
		"pointe": peak / 300,
	} {
		if got, known := CardsOf(id)[0].Of(sum); !known || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, %v; want %v", id, got, known, want)
		}
	}
	for _, id := range []string{"disponibilite", "minutes_panne", "echanges_panne"} {
		if _, known := CardsOf(id)[0].Of(SumOf(rows)); known {
			t.Errorf("%s is known without windows", id)
		}
	}
}

// A band needs ten others, and holds none of the figures of the one that asks.
func TestABandNeedsTenOthers(t *testing.T) {
	t.Parallel()
	s, p := played(t, 2, 14)
	w := Week{2026, 43}
	sums, err := Groups(t.Context(), s, w.Begin(), w.End(), func(id roc.StructureID) string { return string(id) })
	if err != nil {
		t.Fatal(err)
	}
	const mine = "1010000000"
	card := CardsOf("part_refus")[0]
	var shares []float64
	for name, sum := range sums {
		of := func(x *journal.Exchange) bool { return string(x.From) == name }
		share := p.among(of, code("RPN")) / p.among(of)
		if got, _ := card.Of(sum); math.Abs(got-share) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, share)
		}
		if name != mine {
			shares = append(shares, share)
		}
	}
	slices.Sort(shares)
	band, known := BandOf(&card, sums, mine)
	if want := (Band{13, shares[3], shares[6], shares[9]}); !known || band != want {
		t.Errorf("the band is %+v, %v; want %+v", band, known, want)
	}
	for name := range sums {
		if len(sums) > SmallestBand && name != mine {
			delete(sums, name)
		}
	}
	if band, known := BandOf(&card, sums, mine); known {
		t.Errorf("with %d others: %+v", len(sums)-1, band)
	}
}

// The hours in which an insurer failed one are compared with those of others.
func TestWasItThemOrYou(t *testing.T) {
	t.Parallel()
	s, p := played(t, 3, 14)
	mine, amc := []roc.StructureID{"1010000002", "1010000001"}, roc.NumeroAMC("0099000000") // of one establishment
	got, err := PerceivedBy(t.Context(), s, mine, amc, time.Time{}, time.Time{}, func(id roc.StructureID) roc.StructureID { return id })
	if err != nil {
		t.Fatal(err)
	}
	var want Perception
	for hour := Week.Begin(Week{2026, 43}); hour.Before(Week.End(Week{2026, 43})); hour = hour.Add(time.Hour) {
		in := func(x *journal.Exchange) bool {
			return x.To.AMC == amc && !x.RequestIn.Before(hour) && x.RequestIn.Before(hour.Add(time.Hour))
		}
		own := func(x *journal.Exchange) bool { return slices.Contains(mine, x.From) }
		if p.among(in, own, amcFailed) == 0 {
			continue
		}
		want.Hours++
		want.Sent += int64(p.among(in, own, amcCalled))
		want.Failed += int64(p.among(in, own, amcFailed))
		want.OthersSent += int64(p.among(in, amcCalled)) - int64(p.among(in, own, amcCalled))
		want.OthersFailed += int64(p.among(in, amcFailed)) - int64(p.among(in, own, amcFailed))
	}
	if got != want || want.Hours == 0 {
		t.Errorf("%+v, want %+v", got, want)
	}
	for p, says := range map[Perception]string{
		{}: "n'a rien fait échouer",
		{Hours: 1, Sent: 10, Failed: 5, OthersSent: 100, OthersFailed: 50}: "c'était lui",
		{Hours: 1, Sent: 10, Failed: 5, OthersSent: 100, OthersFailed: 2}:  "cherchez d'abord chez vous",
		{Hours: 1, Sent: 10, Failed: 5, Hidden: true}:                      "moins de dix autres",
	} {
		if !strings.Contains(p.String(), says) {
			t.Errorf("%+v: %s", p, p)
		}
	}
}

// What an insurer did to fewer than ten others is not shown: ten structure ids of
// fewer establishments are fewer than ten.
func TestAPerceptionNeedsTenOthers(t *testing.T) {
	t.Parallel()
	mine, amc := []roc.StructureID{"1010000000"}, roc.NumeroAMC("0099000000")
	own := func(id roc.StructureID) roc.StructureID { return id }
	half := func(id roc.StructureID) roc.StructureID { return id[:9] + roc.StructureID(rune('0'+(id[9]-'0')/2)) }
	for _, c := range []struct {
		establishments int
		establishment  func(roc.StructureID) roc.StructureID
		hidden         bool
	}{{4, own, true}, {10, own, true}, {11, own, false}, {14, own, false}, {14, half, true}} {
		s, _ := played(t, 5, c.establishments)
		p, err := PerceivedBy(t.Context(), s, mine, amc, time.Time{}, time.Time{}, c.establishment)
		if err != nil {
			t.Fatal(err)
		}
		if p.Hidden != c.hidden || p.Hidden != (p.OthersSent == 0) || p.Failed == 0 {
			t.Errorf("%d establishments: %+v", c.establishments, p)
		}
		if c.hidden && strings.Contains(p.String(), "des autres") {
			t.Errorf("%d establishments: %s", c.establishments, p)
		}
	}
}

// What an insurer is told with the register: its peak against what it grants, and
// who does not call it yet.
func TestWhatAnInsurerIsTold(t *testing.T) {
	t.Parallel()
	s, p := played(t, 6, 9)
	amc := roc.NumeroAMC("0099000001")
	w := Week{2026, 43}
	may := map[roc.StructureID]bool{}
	for n := 2; n < 14; n++ { // five of them never call, and two that call may not
		may[roc.StructureOf(roc.FINESS(fmt.Sprintf("%09d", 10000000+n)))] = true
	}
	in, err := InsurerOf(t.Context(), s, amc, 0.5, w.Begin(), w.End(), may, func(id roc.StructureID) roc.StructureID { return id })
	if err != nil {
		t.Fatal(err)
	}
	calling, windows, peak := map[roc.StructureID]bool{}, map[int64]int64{}, int64(0)
	for _, x := range p {
		if x.To.AMC == amc && amcCalled(x) {
			if may[x.From] {
				calling[x.From] = true
			}
			at := x.RequestIn.Unix() / 300
			windows[at]++
			peak = max(peak, windows[at])
		}
	}
	if want := (Insurer{Granted: 0.5, Peak: peak, Reachable: 12, Calling: 7}); *in != want || len(calling) != 7 {
		t.Errorf("%+v, want %+v (%d call)", *in, want, len(calling))
	}
	sum := SumOf(nil)
	sum.Insurer, sum.Windows = in, []store.Availability{}
	for id, want := range map[string]float64{"etablissements_sans_appel": 5, "part_debit_accorde": float64(peak) / 300 / 0.5} {
		if got, known := CardsOf(id)[0].Of(sum); !known || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, %v; want %v", id, got, known, want)
		}
		if _, known := CardsOf(id)[0].Of(SumOf(nil)); known {
			t.Errorf("%s is known without the register", id)
		}
	}
}

// The cards of dossiers, of figures that are easily counted by hand.
func TestTheCardsOfDossiers(t *testing.T) {
	t.Parallel()
	d := &store.Dossiers{Dossiers: 10, AllAtFirst: 6, AllAnswered: 8, CLCWithoutIDB: 1, IDBAlone: 3,
		With:      map[roc.Service]int64{roc.IDB: 9, roc.CLC: 5},
		ByService: map[roc.Service]store.Requests{roc.IDB: {Requests: 10, AtFirst: 7, Answered: 9, Tries: 14}, roc.CLC: {Requests: 6, AtFirst: 5, Answered: 5, Tries: 6}}}
	d.ToCLC.Add(time.Hour)
	sum := SumOf(nil)
	sum.Dossiers = d
	for id, want := range map[string]float64{
		"dossiers": 10, "part_dossiers_premier_essai": 0.6, "part_dossiers_aboutis": 0.8, "essais_par_dossier": 2, "part_demandes_premier_essai": 12. / 16, "part_demandes_abouties": 14. / 16,
		"essais_par_demande": 20. / 16, "dossiers_idb": 9, "dossiers_sim": 0, "dossiers_clc": 5, "dossiers_anl": 0, "part_clc_sans_idb": 0.2, "part_idb_sans_suite": 3. / 9,
	} {
		if got, known := CardsOf(id)[0].Of(sum); !known || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, %v; want %v", id, got, known, want)
		}
		if _, known := CardsOf(id)[0].Of(SumOf(nil)); known {
			t.Errorf("%s is known without dossiers", id)
		}
	}
	if got, known := CardsOf("p50_idb_clc")[0].Of(sum); !known || math.Abs(got-3600) > 37 {
		t.Errorf("from IDB to CLC: %v, %v", got, known)
	}
}

// The file of dossiers, and the figures of dossiers of others, of three exchanges of
// one dossier: an interrogation that fails, is sent again, and a calculation.
func TestTheFileOfDossiers(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := Week{2026, 43}
	at := w.Begin().Add(10 * time.Hour)
	p := page{
		exchange(at, "0099000003", roc.IDB, time.Second, roc.Refused, roc.AMCSilent),
		exchange(at.Add(time.Minute), "0099000003", roc.IDB, time.Second, roc.Answered, ""),
		exchange(at.Add(2*time.Minute), "0099000003", roc.CLC, time.Second, roc.Answered, ""),
	}
	for _, x := range p {
		x.Dossier = roc.Dossier{1}
	}
	if err := s.Project(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	got := written(t, Dossiers, s, w, chu)
	if !strings.HasPrefix(got, "\uFEFFsemaine;finess;amc;nom_amc;dossiers;") || !strings.Contains(got, ";1;0,0000;1,0000;3,0000;0,5000;1,0000;1,5000;1;0;1;0;0,0000;0,0000;60,") {
		t.Errorf("%s", got)
	}
	group := func(roc.StructureID) string { return "all" }
	sums, err := Groups(t.Context(), s, w.Begin(), w.End(), group)
	if err == nil {
		err = AddDossiers(t.Context(), s, w.Begin(), w.End(), sums, group)
	}
	if err != nil || sums["all"].Dossiers.Dossiers != 1 || sums["all"].Dossiers.AllAnswered != 1 {
		t.Errorf("%+v, %v", sums["all"].Dossiers, err)
	}
	if v, known := CardsOf("minutes_perdues")[0].Of(sums["all"]); !known || math.Abs(v*60-1.012) > 0.0102 {
		t.Errorf("waited for nothing: %v min, %v", v, known)
	}
	sum := SumOf(nil)
	sum.Windows = []store.Availability{{Windows: 1, Sent: 450}, {Windows: 1, Sent: 150}}
	if v, known := CardsOf("debit_moyen")[0].Of(sum); !known || v != 1 {
		t.Errorf("the mean rate is %v, %v", v, known)
	}
}
