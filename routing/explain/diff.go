package explain

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
	"github.com/piano-roc/rpn/register/words"
)

// A Diff is what changes from one register to another, at one instant: first
// who gains and loses access, then the rest.
type Diff struct {
	At time.Time `json:"at"`

	// Establishments, by what happens to them. Lose: somebody was reached, and
	// nobody is any more. Gain: the reverse. Move: their state reaches others
	// than before. Others: in the register or not, nobody is reached.
	Lose   []Change `json:"lose_access"`
	Gain   []Change `json:"gain_access"`
	Move   []Change `json:"reach_others"`
	Silent []Change `json:"reach_nobody_still"`

	// Fewer reach somebody still, and no longer some AMC of the circle whom they
	// reached, since their own state changed.
	Fewer []Change `json:"reach_fewer"`

	// Unreachable are AMC numbers that some establishment reached and none
	// does any more; Reachable the reverse.
	Unreachable []Change `json:"amcs_unreachable"`
	Reachable   []Change `json:"amcs_reachable"`

	SitesLost   []Change `json:"sites_lost"`
	SitesGained []Change `json:"sites_gained"`
	Domains     []Change `json:"domains"`         // other domains of an AMC are known
	Emptied     []Change `json:"domains_emptied"` // none is known any more
	Cut         []Change `json:"limits_cut"`      // a limit is lower

	Planned   []ops.Planned `json:"planned"`   // changes to come that are new
	Cancelled []ops.Planned `json:"cancelled"` // changes to come that are no longer

	Other []Change `json:"other"` // versions, mandates, limits, names...

	// Refused is what a reload would refuse, in words; set by who knows the
	// bounds.
	Refused []string `json:"refused,omitzero"`

	had  had
	gone gone
}

// A Change is what happens to one establishment, site or AMC.
type Change struct {
	EJ     roc.FINESS    `json:"finess_ej,omitzero"` // whose establishment it is about
	AMC    roc.NumeroAMC `json:"amc,omitzero"`       // which AMC it is about
	Who    string        `json:"who"`
	Nom    string        `json:"nom"`
	Before string        `json:"before"`
	After  string        `json:"after"`
}

// Compare tells what happens to everybody when before is replaced by after.
// Both must be resolved for the same instant. standard are the limits that hold
// where a row says nothing.
func Compare(before, after *register.List, standard register.Standard) *Diff {
	d := &Diff{
		At: after.Moment(), Lose: []Change{}, Gain: []Change{}, Move: []Change{}, Fewer: []Change{}, Emptied: []Change{}, Cut: []Change{}, Silent: []Change{}, Unreachable: []Change{}, Reachable: []Change{},
		SitesLost: []Change{}, SitesGained: []Change{}, Domains: []Change{}, Planned: []ops.Planned{}, Cancelled: []ops.Planned{}, Other: []Change{},
	}
	c := &comparison{Diff: d, before: before, after: after, was: reachOf(before), is: reachOf(after), standard: standard, fewer: map[[2]reachCase]bool{}}
	c.had.etablissements, c.had.sites, c.had.numeros = before.Size()
	for e := range before.Etablissements() {
		now, ok := byEJ(after, e.EJ)
		if !ok {
			now = nil // an EJ that became a site of another is gone
		}
		c.establishment(e, now)
	}
	for e := range after.Etablissements() {
		if _, known := byEJ(before, e.EJ); !known {
			c.establishment(nil, e)
		}
	}
	c.amcs()
	c.plans()
	return d
}

const absent = "not in the register"

// byEJ finds an establishment by its EJ, not by a site of another.
func byEJ(l *register.List, ej roc.FINESS) (*register.Etablissement, bool) {
	e, ok := l.BySite(ej)
	return e, ok && e.EJ == ej
}

// Empty reports that nothing changes.
func (d *Diff) Empty() bool {
	v := reflect.ValueOf(d).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.Slice && v.Field(i).Len() > 0 {
			return false
		}
	}
	return true
}

type comparison struct {
	*Diff
	before, after *register.List
	was, is       *reach
	standard      register.Standard
	fewer         map[[2]reachCase]bool // asked already of those two cases
}

// establishment compares the two rows of an establishment; one may be nil.
func (c *comparison) establishment(was, is *register.Etablissement) {
	ch := Change{Before: absent, After: absent}
	reached, reaches := 0, 0
	var from, to register.Changement
	if was != nil {
		from, _ = was.EtatAt(c.before.Moment())
		ch.EJ, ch.Who, ch.Nom, ch.Before, reached = was.EJ, string(was.EJ), was.Nom, words.State(from), len(c.was.by(was))
		c.had.sites += len(was.Structures)
	}
	if is != nil {
		to, _ = is.EtatAt(c.after.Moment())
		ch.EJ, ch.Who, ch.Nom, ch.After, reaches = is.EJ, string(is.EJ), is.Nom, words.State(to), len(c.is.by(is))
	}
	if ch.Before != ch.After {
		ch.After += words.Because(to.Motif)
	}
	if reached > 0 {
		c.had.access++
	}
	if is == nil {
		c.gone.etablissements = append(c.gone.etablissements, ch)
	}
	switch {
	case reached > 0 && reaches == 0:
		if ch.Before == ch.After {
			ch.After += ", and nobody to reach"
		}
		c.Lose = append(c.Lose, ch)
	case reached == 0 && reaches > 0:
		if ch.Before == ch.After {
			ch.Before += ", and nobody to reach"
		}
		c.Gain = append(c.Gain, ch)
	case ch.Before == ch.After:
	case reaches > 0 && c.loses(was, is):
		c.Fewer = append(c.Fewer, ch)
	case reaches > 0:
		c.Move = append(c.Move, ch)
	default:
		c.Silent = append(c.Silent, ch)
	}
	if was != nil && is != nil {
		c.sites(was, is)
		if words.State(from) == words.State(to) { // else the change of state says it
			c.other(Change{EJ: is.EJ, Who: string(is.EJ) + " " + is.Nom, Nom: "motif", Before: was.Motif, After: is.Motif})
		}
		c.rest(was, is)
	}
}

// loses reports whether the one row reaches an AMC of the circle that the other
// does not. To leave the validation platform is no loss.
func (c *comparison) loses(was, is *register.Etablissement) bool {
	cases := [2]reachCase{c.was.caseOf(was), c.is.caseOf(is)}
	lost, asked := c.fewer[cases]
	if !asked {
		now := map[roc.NumeroAMC]bool{}
		for _, a := range c.is.by(is) {
			for _, n := range a.Numeros {
				now[n] = true
			}
		}
		for _, a := range c.was.by(was) {
			for _, n := range a.Numeros {
				lost = lost || a.Etat == register.AMCCercle && !now[n]
			}
		}
		c.fewer[cases] = lost
	}
	return lost
}

// sites compares the sites of an establishment that is in both registers. The
// sites of a new or removed establishment are not listed.
func (c *comparison) sites(was, is *register.Etablissement) {
	for _, eg := range was.EGs {
		now, ok := c.after.BySite(eg)
		if ok && now == is {
			continue
		}
		ch := Change{was.EJ, "", string(eg), "", "site of " + string(was.EJ) + " " + was.Nom, "of nobody"}
		if ok {
			ch.After = "of " + string(now.EJ) + " " + now.Nom
		}
		c.SitesLost = append(c.SitesLost, ch)
	}
	for _, id := range was.Structures {
		now, ok := c.after.ByStructure(id)
		if ok && now == is {
			continue
		}
		ch := Change{was.EJ, "", string(id), "", "SIREN or SIRET of " + string(was.EJ) + " " + was.Nom, "of nobody"}
		if ok {
			ch.After = "of " + string(now.EJ) + " " + now.Nom
		}
		c.SitesLost = append(c.SitesLost, ch)
	}
	for _, id := range is.Structures {
		if _, known := c.before.ByStructure(id); !known {
			c.SitesGained = append(c.SitesGained, Change{is.EJ, "", string(id), "", "of nobody", "SIREN or SIRET of " + string(is.EJ) + " " + is.Nom})
		}
	}
	for _, eg := range is.EGs {
		if _, known := c.before.BySite(eg); !known {
			c.SitesGained = append(c.SitesGained, Change{is.EJ, "", string(eg), "", "of nobody", "site of " + string(is.EJ) + " " + is.Nom})
		}
	}
}

// rest compares what is neither state nor site.
func (c *comparison) rest(was, is *register.Etablissement) {
	for _, f := range []struct{ what, before, after string }{
		{"name", was.Nom, is.Nom},
		{"département", was.Departement, is.Departement},
		{"region", was.Region, is.Region},
		{"software", was.GAP, is.GAP},
		{"contract", was.Contrat.String(), is.Contrat.String()},
		{"versions", fmt.Sprint(roc.Texts(was.Versions)), fmt.Sprint(roc.Texts(is.Versions))},
		{"timestamp required", fmt.Sprint(!was.SansTimestamp), fmt.Sprint(!is.SansTimestamp)},
		{"façade", string(was.Facade), string(is.Facade)},
		{"mandates", mandateWords(was.Delegations), mandateWords(is.Delegations)},
		{"contacts", fmt.Sprint(was.Contacts), fmt.Sprint(is.Contacts)},
	} {
		c.other(Change{EJ: is.EJ, Who: string(is.EJ) + " " + is.Nom, Nom: f.what, Before: f.before, After: f.after})
	}
	c.limit(Change{EJ: is.EJ, Who: string(is.EJ), Nom: is.Nom}, was.Limite, is.Limite, c.standard.Etablissement)
}

func (c *comparison) other(ch Change) {
	if ch.Before != ch.After {
		ch.Before, ch.After = orNothing(ch.Before), orNothing(ch.After)
		c.Other = append(c.Other, ch)
	}
}

// limit compares two limits.
func (c *comparison) limit(ch Change, was, is, standard register.Limite) {
	if was != (register.Limite{}) || standard != (register.Limite{}) {
		c.had.limits++
	}
	ch.Before, ch.After = words.Limit(was), words.Limit(is)
	switch {
	case was == is:
	case cuts(was, is, standard):
		ch.Before, ch.After = orNothing(ch.Before), orNothing(ch.After)
		c.Cut = append(c.Cut, ch)
	default:
		ch.Who, ch.Nom = strings.TrimSpace(ch.Who+" "+ch.Nom), "limit"
		c.other(ch)
	}
}

// amcs compares the AMCs, number by number.
func (c *comparison) amcs() {
	reached, reaches := numbers(c.was), numbers(c.is)
	seen := map[roc.NumeroAMC]bool{}
	var all []roc.NumeroAMC
	for _, l := range []*register.List{c.before, c.after} {
		for a := range l.AMCs() {
			for _, n := range a.Numeros {
				if !seen[n] {
					seen[n] = true
					all = append(all, n)
				}
			}
		}
	}
	for _, n := range all {
		was, wasThere := c.before.AMC(n)
		is, isThere := c.after.AMC(n)
		ch := Change{AMC: n, Who: string(n), Before: absent, After: absent}
		if reached[n] {
			c.had.reached++
		}
		if wasThere {
			ch.Nom, ch.Before = was.Nom, words.AMCStateOf(was)
		}
		if isThere {
			ch.Nom, ch.After = is.Nom, words.AMCStateOf(is)
		}
		if isThere && ch.Before != ch.After {
			ch.After += words.Because(is.Motif)
		}
		if !isThere {
			c.gone.numeros = append(c.gone.numeros, ch)
		}
		switch {
		case reached[n] && !reaches[n]:
			if ch.Before == ch.After {
				ch.After += ", and nobody in a state to reach it"
			}
			c.Unreachable = append(c.Unreachable, ch)
		case !reached[n] && reaches[n]:
			if ch.Before == ch.After {
				ch.Before += ", and nobody in a state to reach it"
			}
			c.Reachable = append(c.Reachable, ch)
		case ch.Before != ch.After:
			c.Other = append(c.Other, Change{"", n, "AMC " + string(n) + " " + ch.Nom, "state", ch.Before, ch.After})
		}
		if wasThere && isThere && n == is.Numeros[0] {
			c.amc(was, is)
		}
	}
}

func (c *comparison) amc(was, is *register.AMC) {
	n := is.Numeros[0]
	if before, after := domainWords(was), domainWords(is); before != after {
		ch := Change{"", n, string(n), is.Nom, orNothing(before), orNothing(after)}
		if len(was.Domaines) > 0 && len(is.Domaines) == 0 {
			c.Emptied = append(c.Emptied, ch)
		} else {
			c.Domains = append(c.Domains, ch)
		}
	}
	if len(was.Domaines) > 0 {
		c.had.domains++
	}
	other := func(what, before, after string) {
		c.other(Change{"", n, "AMC " + string(n) + " " + is.Nom, what, before, after})
	}
	other("name", was.Nom, is.Nom)
	if was.Etat == is.Etat { // else the change of state says it
		other("motif", was.Motif, is.Motif)
	}
	other("versions", fmt.Sprint(roc.Texts(was.Versions)), fmt.Sprint(roc.Texts(is.Versions)))
	other("trials", words.Join(was.EssaisAvec, ", "), words.Join(is.EssaisAvec, ", "))
	other("structures", words.Join(was.Structures, ", "), words.Join(is.Structures, ", "))
	other("contacts", fmt.Sprint(was.Contacts), fmt.Sprint(is.Contacts))
	c.limit(Change{AMC: n, Who: "AMC " + string(n), Nom: is.Nom}, was.Limite, is.Limite, c.standard.AMC)
	other("times", words.Times(was.Delais), words.Times(is.Delais))
}

// numbers are the AMC numbers that somebody reaches.
func numbers(r *reach) map[roc.NumeroAMC]bool {
	reached := map[roc.NumeroAMC]bool{}
	for e := range r.list.Etablissements() {
		r.by(e)
	}
	for _, amcs := range r.cases {
		for _, a := range amcs {
			for _, n := range a.Numeros {
				reached[n] = true
			}
		}
	}
	return reached
}

// plans compares the changes to come.
func (c *comparison) plans() {
	was, is := ops.PlannedIn(c.before), ops.PlannedIn(c.after)
	same := func(a, b ops.Planned) bool { return a.Depuis.Equal(b.Depuis.Time) && a.Who == b.Who && a.To == b.To }
	without := func(list, known []ops.Planned) []ops.Planned {
		out := []ops.Planned{}
		for _, p := range list {
			if !slices.ContainsFunc(known, func(k ops.Planned) bool { return same(p, k) }) {
				out = append(out, p)
			}
		}
		return out
	}
	c.Planned, c.Cancelled = without(is, was), without(was, is)
}
