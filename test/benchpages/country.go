package main

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/register"
)

// now is the instant of the pages, a Thursday: the same country each time.
var now = time.Date(2026, 11, 26, 14, 35, 0, 0, store.Paris)

// A size is that of a country.
type size struct {
	establishments, amcs int
	days                 int // of figures, today included
	perDay, perDayLately int // exchanges of a full working day, and of those of the last week
	grows                bool
}

// A country is who exchanges with whom, and how much. Each exchange is made of its
// index alone.
type country struct {
	size
	first  time.Time // its first day
	starts []int     // of each day: the index of its first exchange; then that of the end
	busy   []float64 // establishments, summed
	served []float64 // insurers, summed
	hours  []float64 // of a day, summed
}

// workday is how many of 1000 exchanges come in each hour of a day.
var workday = [24]float64{1, 1, 1, 1, 2, 6, 18, 52, 98, 120, 118, 92, 60, 78, 96, 90, 72, 46, 22, 11, 7, 4, 2, 2}

// weights are those of Zipf's law, summed: few are large, most are small.
func weights(n int, exponent float64) []float64 {
	w, sum := make([]float64, n), 0.0
	for i := range w {
		sum += 1 / math.Pow(float64(i+1), exponent)
		w[i] = sum
	}
	return w
}

func newCountry(s size) *country {
	c := &country{size: s, busy: weights(s.establishments, 0.9), served: weights(s.amcs, 0.8)}
	sum := 0.0
	for _, h := range workday {
		sum += h
		c.hours = append(c.hours, sum)
	}
	c.first = store.Day.Begin(now).AddDate(0, 0, 1-s.days)
	n := 0
	for d := range s.days {
		c.starts = append(c.starts, n)
		n += c.exchangesOf(d)
	}
	c.starts = append(c.starts, n)
	return c
}

// exchangesOf is how many exchanges a day has: fewer at weekends and in August,
// and more as the country comes in.
func (c *country) exchangesOf(day int) int {
	per := float64(c.perDay)
	if day >= c.days-7 {
		per = float64(c.perDayLately)
	}
	at := c.first.AddDate(0, 0, day)
	switch at.Weekday() {
	case time.Saturday:
		per *= 0.4
	case time.Sunday:
		per *= 0.25
	case time.Monday:
		per *= 1.1
	}
	if at.Month() == time.August {
		per *= 0.7
	}
	if c.grows {
		in := float64(day) / float64(c.days)
		per *= 0.06 + 0.94/(1+math.Exp(-9*(in-0.55))) // an S: the first ones, the many, the last ones
	}
	r := rand.New(rand.NewPCG(3, uint64(day)))
	return max(1, int(per*(0.94+0.12*r.Float64())))
}

func pick(r *rand.Rand, sums []float64) int {
	x := r.Float64() * sums[len(sums)-1]
	return sort.SearchFloat64s(sums, x)
}

func structure(i int) roc.StructureID {
	return roc.StructureOf(roc.FINESS(fmt.Sprintf("99%06d1", i+1)))
}

func numero(i int) roc.NumeroAMC { return roc.NumeroAMC(fmt.Sprintf("0099%06d", i+1)) }

// Who has a story. The insurer that is out is so since its instant, for one service.
const (
	ours      = 0 // establishments: the one whose pages are shown
	unsigned  = 2 // whose signatures are bad, since Tuesday
	late      = 5 // whose clock is late
	outAMC    = 3 // insurers
	slowAMC   = 5 // fails more than it did
	betterAMC = 8 // fails less than it did
)

var (
	outSince    = now.Add(-47 * time.Minute)
	unsignedAt  = store.Day.Begin(now).AddDate(0, 0, -2)
	lastSevenOf = store.Day.Begin(now).AddDate(0, 0, -7)
)

// exchange is the one of that index.
func (c *country) exchange(i int) *roc.Record {
	day := sort.SearchInts(c.starts, i+1) - 1
	r := rand.New(rand.NewPCG(1, uint64(i)))
	share := (float64(i-c.starts[day]) + r.Float64()) / float64(c.starts[day+1]-c.starts[day])
	in := share * c.hours[23]
	hour := sort.SearchFloat64s(c.hours, in)
	part := 1 - (c.hours[hour]-in)/workday[hour]
	at := c.first.AddDate(0, 0, day).Add(time.Duration((float64(hour) + part) * float64(time.Hour)))
	return c.between(r, pick(r, c.busy), pick(r, c.served), at)
}

// between is an exchange of an establishment with an insurer.
func (c *country) between(r *rand.Rand, from, to int, at time.Time) *roc.Record {
	x := &roc.Record{From: structure(from), Outcome: roc.Answered, Origin: roc.FromAMC, FarStatus: 200, FromMemory: r.IntN(50) > 0, RequestIn: at}
	x.Service = roc.AMCServices[min(r.IntN(len(roc.AMCServices)), r.IntN(len(roc.AMCServices)))]
	x.Version = roc.Version(1 + min(1, r.IntN(3)))
	x.To = roc.Key{AMC: numero(to), Convention: "MT", Service: x.Service, Version: x.Version}
	x.ID = roc.ExchangeID(fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48)))
	x.MessageID = fmt.Sprintf("%08x-%04x-4%03x-9%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	x.Read, x.Check = time.Duration(1000+r.IntN(9000))*time.Microsecond, time.Duration(250+r.IntN(200))*time.Microsecond
	slow := 1.0
	if to == slowAMC {
		slow = 2.5
	}
	x.AMC = time.Duration(slow*(90+260*math.Exp(0.7*r.NormFloat64()))) * time.Millisecond
	x.RequestBytes, x.AnswerBytes = 4800+r.IntN(900), 4700+r.IntN(1500)
	for i := range 4 {
		binary.BigEndian.PutUint64(x.RequestSHA256[8*i:], r.Uint64())
		binary.BigEndian.PutUint64(x.AnswerSHA256[8*i:], r.Uint64())
		binary.BigEndian.PutUint64(x.SignatureSHA256[8*i:], r.Uint64())
	}
	x.SignerSerial = fmt.Sprintf("%016x", 0x5a00000000000000+uint64(from))
	binary.BigEndian.PutUint32(x.Dossier[:], r.Uint32())
	x.Dossier[5] = 1
	off := time.Duration(r.IntN(1400)-200) * time.Millisecond
	if from == late {
		off = -4 * time.Minute
	}
	x.ClockOffset = &off
	c.end(r, x, from, to)
	if x.Reason == "" || x.Reason.Meaning().Responsable == roc.ByAMC {
		x.RequestOut = x.RequestIn.Add(x.Read + x.Check)
	} else {
		x.AMC, x.FarStatus = 0, 0
	}
	if x.Outcome == roc.Answered || x.Outcome == roc.FarFault {
		x.AnswerIn, x.AnswerCheck = x.RequestOut.Add(x.AMC), "good"
	}
	x.AnswerOut = x.RequestIn.Add(x.Read + x.Check + x.AMC + 400*time.Microsecond)
	return x
}

// end decides how an exchange ends.
func (c *country) end(r *rand.Rand, x *roc.Record, from, to int) {
	refuse := func(why roc.Reason) { x.Outcome, x.Reason, x.Origin, x.FarStatus = roc.Refused, why, roc.FromRPN, 0 }
	one := func(list ...roc.Reason) roc.Reason { return list[min(r.IntN(len(list)), r.IntN(len(list)))] }
	badly := map[int]float64{slowAMC: 0.012, betterAMC: 0.05, outAMC: 0.008}
	if !x.RequestIn.Before(lastSevenOf) {
		badly = map[int]float64{slowAMC: 0.06, betterAMC: 0.006, outAMC: 0.008}
	}
	amc, known := badly[to]
	if !known {
		amc = 0.004 + 0.006*float64(to%5)/5
	}
	own := 0.006 + 0.008*float64(from%7)/7
	switch p := r.Float64(); {
	case to == outAMC && x.Service == roc.IDB && !x.RequestIn.Before(outSince):
		refuse(one(roc.AMCSilent, roc.AMCUnreachable))
		x.AMC = 10 * time.Second
	case from == late && p < 0.11:
		refuse(roc.StaleTimestamp)
	case from == unsigned && p < 0.35 && !x.RequestIn.Before(unsignedAt):
		refuse(roc.BadSignature)
	case p < own:
		refuse(one(roc.UnknownAMC, roc.StaleTimestamp, roc.BadSignature, roc.ServiceNotOffered, roc.BadKey, roc.TooMany))
	case p < own+amc:
		if refuse(one(roc.AMCSilent, roc.AMCBadAnswer, roc.AMCUnreachable, roc.AMCNotSOAP)); x.Reason == roc.AMCSilent {
			x.AMC = 10 * time.Second
		}
	case p < own+amc+0.004:
		x.Outcome, x.FarStatus = roc.FarFault, 500
	case p < own+amc+0.0052:
		x.Outcome = roc.Abandoned
	case p < own+amc+0.0060:
		refuse(roc.AnnuaireSilent)
	case p < own+amc+0.0062:
		refuse(roc.Internal)
	}
}

// past is the journal of the days before today, made as it is read.
type past struct{ *country }

func (p past) size() uint64                        { return uint64(p.starts[p.days-1]) }
func (p past) Bounds() (uint64, uint64)            { return 0, p.size() }
func (p past) Entry(uint64) (journal.Entry, error) { return journal.Entry{}, journal.ErrPruned }
func (p past) Checkpoint() (*journal.Checkpoint, error) {
	return &journal.Checkpoint{Origin: "rpn.example/journal/past", Size: p.size()}, nil
}

func (p past) Entries(from uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for i := from; i < p.size(); i++ {
			x := &journal.Exchange{Record: *p.exchange(int(i))}
			x.MustAct = x.Responsable()
			if !yield(journal.Entry{Index: i, Exchange: x}, nil) {
				return
			}
		}
	}
}

// today are the exchanges of today until now, with those that the insurer that is
// out leaves without an answer.
func (c *country) today() (list []*roc.Record) {
	for i := c.starts[c.days-1]; i < c.starts[c.days]; i++ {
		if x := c.exchange(i); x.RequestIn.Before(now) {
			list = append(list, x)
		}
	}
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 40 {
		at := outSince.Add(time.Duration(i) * 70 * time.Second)
		if i < 6 {
			at = outSince.Add(time.Duration(i) * 4 * time.Second)
		}
		x := c.between(r, pick(r, c.busy), outAMC, at)
		for x.Service != roc.IDB {
			x = c.between(r, pick(r, c.busy), outAMC, at)
		}
		list = append(list, x)
	}
	sort.Slice(list, func(i, k int) bool { return list[i].RequestIn.Before(list[k].RequestIn) })
	return list
}

// The names are visibly made up.
var (
	towns = strings.Split("Valrêvé Montfeint Clairconte Rochefable Beauleurre Hautsonge Fontmirage Villefable Bourg-l'Esquisse Saint-Songe Port-Chimère Champ-Fictif Rivefeinte Bois-Conté Lac-Rêvé Mont-Récit Val-Légende Pont-Semblant Sainte-Utopie Grand-Mirage Plan-d'Essai Croix-Feinte Haute-Fable Roche-Songe Clos-Rêvé", " ")
	kinds = strings.Split("Centre hospitalier de|Clinique de|Hôpital de|Polyclinique de|Centre de rééducation de|Hôpital privé de|Centre de dialyse de|Maternité de|Institut de cardiologie de|Clinique du Parc de", "|")
	funds = strings.Split("Mutuelle|Prévoyance|Union mutualiste|Santé solidaire", "|")
	marks = strings.Split("Ambre Verte Bleue Garance Mauve Corail Indigo Safran Turquoise Ocre Émeraude Lavande Carmin Azur Olive Perle Cuivre Pourpre Jade Argent", " ")
	lands = []struct {
		region string
		of     []string
	}{{"Bretagne", []string{"22", "29", "35", "56"}}, {"Occitanie", []string{"31", "34", "66"}}, {"Hauts-de-France", []string{"59", "62", "80"}}, {"Île-de-France", []string{"75", "92", "93"}}, {"Grand Est", []string{"51", "57", "67"}}}
	gaps = []string{"GAP Exemple 7", "Admissions fictives 4.2", "Dossier d'essai"}
)

func nameOf(i int) string {
	if i == ours {
		return "CHU de Sainte-Fiction"
	}
	of := fmt.Sprintf("%s %s", kinds[i%len(kinds)], towns[(i*7+i/len(kinds))%len(towns)])
	if n := i / (len(kinds) * len(towns)); n > 0 {
		of += fmt.Sprint(" ", n+1)
	}
	return of
}

func nameOfAMC(i int) string {
	of := funds[i/len(marks)%len(funds)] + " " + marks[i%len(marks)]
	if n := i / (len(marks) * len(funds)); n > 0 {
		of += fmt.Sprint(" ", n+1)
	}
	return of
}

// register writes both lists, and reads them.
func (c *country) register(dir string) (*register.List, error) {
	var b strings.Builder
	b.WriteString("etablissements:\n")
	for i := range c.establishments {
		land := lands[i%len(lands)]
		fmt.Fprintf(&b, "  - finess_ej: %q\n    nom: %q\n    region: %s\n    departement: %q\n    gap: %q\n    etats:\n      - {depuis: %s, etat: cercle}\n",
			string(structure(i))[1:], nameOf(i), land.region, land.of[i/len(lands)%len(land.of)], gaps[i%len(gaps)], c.first.AddDate(0, 0, i*7%300).Format(time.DateOnly))
		if i%40 == 17 {
			fmt.Fprintf(&b, "      - {depuis: %s, etat: surveillance, amc_miroir: %q}\n", now.AddDate(0, 0, -9).Format(time.DateOnly), numero(1))
		}
	}
	es, amc := filepath.Join(dir, "etablissements.yaml"), filepath.Join(dir, "amc.yaml")
	if err := os.WriteFile(es, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	b.Reset()
	b.WriteString("amcs:\n")
	for i := range c.amcs {
		fmt.Fprintf(&b, "  - nom: %q\n    numeros: [%q]\n    structures: [%q]\n    domaines: [roc-%d.example]\n    etats:\n      - {depuis: %s, etat: cercle}\n",
			nameOfAMC(i), numero(i), "2"+numero(i)[1:], i+1, c.first.Format(time.DateOnly))
		if i == 11 {
			fmt.Fprintf(&b, "      - {depuis: %s, etat: maintenance, jusque: %s}\n", now.Add(-3*time.Hour).Format(time.RFC3339), now.Add(5*time.Hour).Format(time.RFC3339))
		}
	}
	if err := os.WriteFile(amc, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return register.Load(es, amc, now)
}
