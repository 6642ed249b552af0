package top

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// An Activity is what goes on at an instant, as JSON shows it. Rates are of the
// last seconds, durations of the last minute, to a tenth.
type Activity struct {
	At      time.Time `json:"instant"`
	Since   time.Time `json:"depuis"` // when this instance started
	Version string    `json:"version"`

	Total    Line       `json:"total"`
	Capacity []Capacity `json:"capacite"`
	Limits   string     `json:"limites"` // who holds them

	Etablissements []Line `json:"etablissements"`
	AMC            []AMC  `json:"amc"`
	Lines          [2]int `json:"lignes"` // of both, before Sort cut them
}

// A Line is one establishment, or an insurer.
type Line struct {
	ID      string  `json:"id,omitempty"`
	Nom     string  `json:"nom,omitempty"`
	Rate    float64 `json:"echanges_par_seconde"`
	Refused float64 `json:"refus_par_seconde"`
	Quota   float64 `json:"refus_quota_par_seconde"`     // of these, RPN110
	Failed  float64 `json:"refus_organisme_par_seconde"` // of these, because of the insurer
	Bytes   float64 `json:"octets_par_seconde"`
	P95     float64 `json:"p95_ms"`

	InFlight int `json:"en_cours"`
	Waiting  int `json:"en_attente"`

	Exchanges uint64   `json:"echanges"`
	Refusals  uint64   `json:"refus"`
	Last      *Refusal `json:"dernier_refus,omitempty"`
}

// A Refusal is the last one.
type Refusal struct {
	Code  string    `json:"code"`
	Cause string    `json:"cause,omitempty"`
	At    time.Time `json:"instant"`
}

// An AMC is an insurer's line.
type AMC struct {
	Line
	Etat  string     `json:"etat,omitempty"`         // by the register
	Seats int        `json:"places"`                 // exchanges that may be in flight to it; 0: as many as by default
	Host  string     `json:"hote,omitempty"`         // that was written to last
	Rests *time.Time `json:"repos_depuis,omitempty"` // its address rests, since then
	Until *time.Time `json:"repos_jusqua,omitempty"`
}

// A Capacity is how much of something is taken.
type Capacity struct {
	Nom   string `json:"nom"`
	Used  int64  `json:"pris"`
	Total int64  `json:"total"`
}

// Activity returns every line; what only others know (in flight, waiting, at
// rest) is for the caller to add.
func (b *Board) Activity() Activity {
	now := b.o.Now()
	a := Activity{At: now.UTC(), Since: b.since.UTC(), Total: b.all.show("", now)}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for id, l := range b.sides[establishments] {
		a.Etablissements = append(a.Etablissements, l.show(id, now))
	}
	for id, l := range b.sides[insurers] {
		a.AMC = append(a.AMC, AMC{Line: l.show(id, now), Host: l.host()})
	}
	return a
}

func (l *line) host() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.target
}

func (l *line) show(id string, now time.Time) Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Line{
		ID: id, Nom: l.nom, Rate: l.rate.now(now), Refused: l.refused.now(now), Quota: l.quota.now(now), Failed: l.failed.now(now), Bytes: l.bytes.now(now),
		P95: float64(l.took.p95(now).Microseconds()) / 1000, Exchanges: l.exchanges, Refusals: l.refusals,
	}
	if l.last.Code != "" {
		last := l.last
		s.Last = &last
	}
	return s
}

// A Key is what lines are in the order of: the largest first, names by the
// alphabet.
type Key string

// The keys.
const (
	ByRate     Key = "debit"
	ByRefusals Key = "refus"
	ByP95      Key = "p95"
	ByInFlight Key = "encours"
	ByName     Key = "nom"
)

// Keys are all of them.
var Keys = []Key{ByRate, ByRefusals, ByP95, ByInFlight, ByName}

// Sort puts the lines in order and keeps so many of each side. Of equals, the
// busier one comes first, so that no line jumps about for nothing. An insurer at
// rest is never cut, and takes the place of no other.
func (a *Activity) Sort(by Key, keep int) {
	slices.SortFunc(a.Etablissements, func(x, y Line) int { return by.compare(&x, &y) })
	slices.SortFunc(a.AMC, func(x, y AMC) int {
		if by != ByName && (x.Rests != nil) != (y.Rests != nil) {
			if x.Rests != nil {
				return -1
			}
			return 1
		}
		return by.compare(&x.Line, &y.Line)
	})
	a.Lines = [2]int{len(a.Etablissements), len(a.AMC)}
	a.Etablissements = a.Etablissements[:min(keep, len(a.Etablissements))]
	others := 0
	a.AMC = slices.DeleteFunc(a.AMC, func(x AMC) bool {
		if x.Rests != nil {
			return false
		}
		others++
		return others > keep
	})
}

func (k Key) compare(x, y *Line) int {
	c := 0
	switch k {
	case ByRefusals:
		c = cmp.Compare(y.Refused, x.Refused)
	case ByP95:
		c = cmp.Compare(y.P95, x.P95)
	case ByInFlight:
		c = cmp.Compare(y.InFlight+y.Waiting, x.InFlight+x.Waiting)
	case ByName:
		c = strings.Compare(strings.ToLower(x.Nom), strings.ToLower(y.Nom))
	}
	return cmp.Or(c, cmp.Compare(y.Rate, x.Rate), cmp.Compare(x.ID, y.ID))
}
