package explain

import (
	"cmp"
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

	// Unreachable are AMC numbers that some establishment reached and none
	// does any more; Reachable the reverse.
	Unreachable []Change `json:"amcs_unreachable"`
	Reachable   []Change `json:"amcs_reachable"`

	SitesLost   []Change `json:"sites_lost"`
	SitesGained []Change `json:"sites_gained"`
	Domains     []Change `json:"domains"` // an AMC's known domains

	Planned   []ops.Planned `json:"planned"`   // changes to come that are new
	Cancelled []ops.Planned `json:"cancelled"` // changes to come that are no longer

	Other []Change `json:"other"` // versions, mandates, limits, names...
}

// A Change is what happens to one establishment, site or AMC.
type Change struct {
	Who    string `json:"who"`
	Nom    string `json:"nom"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (c Change) String() string {
	return fmt.Sprintf("%s: %s -> %s", strings.TrimSpace(c.Who+" "+c.Nom), c.Before, c.After)
}

// Compare tells what happens to everybody when before is replaced by after.
// Both must be resolved for the same instant.
func Compare(before, after *register.List) *Diff {
	d := &Diff{
		At: after.Moment(), Lose: []Change{}, Gain: []Change{}, Move: []Change{}, Silent: []Change{}, Unreachable: []Change{}, Reachable: []Change{},
		SitesLost: []Change{}, SitesGained: []Change{}, Domains: []Change{}, Planned: []ops.Planned{}, Cancelled: []ops.Planned{}, Other: []Change{},
	}
	c := &comparison{Diff: d, before: before, after: after, was: reachOf(before), is: reachOf(after)}
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

// Grave reports that somebody loses something that worked.
func (d *Diff) Grave() bool {
	return len(d.Lose)+len(d.Unreachable)+len(d.SitesLost) > 0
}

type comparison struct {
	*Diff
	before, after *register.List
	was, is       *reach
}

// establishment compares the two rows of an establishment; one may be nil.
func (c *comparison) establishment(was, is *register.Etablissement) {
	ch := Change{Before: "not in the register", After: "not in the register"}
	reached, reaches := 0, 0
	var from, to register.Changement
	if was != nil {
		from, _ = was.EtatAt(c.before.Moment())
		ch.Who, ch.Nom, ch.Before, reached = string(was.EJ), was.Nom, words.State(from), len(c.was.by(was))
	}
	if is != nil {
		to, _ = is.EtatAt(c.after.Moment())
		ch.Who, ch.Nom, ch.After, reaches = string(is.EJ), is.Nom, words.State(to), len(c.is.by(is))
	}
	if ch.Before != ch.After {
		ch.After += words.Because(to.Motif)
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
	case reaches > 0:
		c.Move = append(c.Move, ch)
	default:
		c.Silent = append(c.Silent, ch)
	}
	if was != nil && is != nil {
		c.sites(was, is)
		if words.State(from) == words.State(to) { // else the change of state says it
			c.other(string(is.EJ)+" "+is.Nom, "motif", was.Motif, is.Motif)
		}
		c.rest(was, is)
	}
}

// sites compares the sites of an establishment that is in both registers. The
// sites of a new or removed establishment are not listed.
func (c *comparison) sites(was, is *register.Etablissement) {
	for _, eg := range was.EGs {
		now, ok := c.after.BySite(eg)
		if ok && now == is {
			continue
		}
		ch := Change{string(eg), "", "site of " + string(was.EJ) + " " + was.Nom, "of nobody"}
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
		ch := Change{string(id), "", "SIREN or SIRET of " + string(was.EJ) + " " + was.Nom, "of nobody"}
		if ok {
			ch.After = "of " + string(now.EJ) + " " + now.Nom
		}
		c.SitesLost = append(c.SitesLost, ch)
	}
	for _, id := range is.Structures {
		if _, known := c.before.ByStructure(id); !known {
			c.SitesGained = append(c.SitesGained, Change{string(id), "", "of nobody", "SIREN or SIRET of " + string(is.EJ) + " " + is.Nom})
		}
	}
	for _, eg := range is.EGs {
		if _, known := c.before.BySite(eg); !known {
			c.SitesGained = append(c.SitesGained, Change{string(eg), "", "of nobody", "site of " + string(is.EJ) + " " + is.Nom})
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
		{"versions", fmt.Sprint(words.Texts(was.Versions)), fmt.Sprint(words.Texts(is.Versions))},
		{"limit", words.Limit(was.Limite), words.Limit(is.Limite)},
		{"timestamp required", fmt.Sprint(!was.SansTimestamp), fmt.Sprint(!is.SansTimestamp)},
		{"façade", string(was.Facade), string(is.Facade)},
		{"mandates", mandateWords(was.Delegations), mandateWords(is.Delegations)},
		{"contacts", fmt.Sprint(was.Contacts), fmt.Sprint(is.Contacts)},
	} {
		c.other(string(is.EJ)+" "+is.Nom, f.what, f.before, f.after)
	}
}

func (c *comparison) other(who, what, before, after string) {
	if before != after {
		c.Other = append(c.Other, Change{who, what, orNothing(before), orNothing(after)})
	}
}

func orNothing(s string) string {
	if s == "" || s == "[]" {
		return "none"
	}
	return s
}

func mandateWords(mandates []register.Mandat) string {
	var s []string
	for _, m := range mandates {
		s = append(s, string(m.Structure)+words.Dates(m.Period))
	}
	return strings.Join(s, ", ")
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
		ch := Change{Who: string(n), Before: "not in the register", After: "not in the register"}
		if wasThere {
			ch.Nom, ch.Before = was.Nom, words.AMCStateOf(was)
		}
		if isThere {
			ch.Nom, ch.After = is.Nom, words.AMCStateOf(is)
		}
		if isThere && ch.Before != ch.After {
			ch.After += words.Because(is.Motif)
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
			c.Other = append(c.Other, Change{"AMC " + string(n) + " " + ch.Nom, "state", ch.Before, ch.After})
		}
		if wasThere && isThere && n == is.Numeros[0] {
			c.amc(was, is)
		}
	}
}

func (c *comparison) amc(was, is *register.AMC) {
	who := "AMC " + string(is.Numeros[0]) + " " + is.Nom
	before, after := domainWords(was), domainWords(is)
	if before != after {
		c.Domains = append(c.Domains, Change{string(is.Numeros[0]), is.Nom, orNothing(before), orNothing(after)})
	}
	c.other(who, "name", was.Nom, is.Nom)
	if was.Etat == is.Etat { // else the change of state says it
		c.other(who, "motif", was.Motif, is.Motif)
	}
	c.other(who, "versions", fmt.Sprint(words.Texts(was.Versions)), fmt.Sprint(words.Texts(is.Versions)))
	c.other(who, "limit", words.Limit(was.Limite), words.Limit(is.Limite))
	c.other(who, "contacts", fmt.Sprint(was.Contacts), fmt.Sprint(is.Contacts))
}

func domainWords(a *register.AMC) string {
	var s []string
	for _, d := range a.Connus {
		s = append(s, string(d.Nom)+words.Dates(d.Period))
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
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

// String writes the diff for people, the gravest first.
func (d *Diff) String() string {
	if d.Empty() {
		return "nothing changes\n"
	}
	var b strings.Builder
	part := func(items []Change, one, verb, verbs string) {
		if len(items) > 0 {
			slices.SortStableFunc(items, func(a, b Change) int { return cmp.Compare(a.Who, b.Who) })
			words.List(&b, words.Agree(len(items), one, verb, verbs), items)
		}
	}
	part(d.Lose, "establishment", "loses access", "lose access")
	part(d.Unreachable, "AMC number", "becomes unreachable", "become unreachable")
	part(d.SitesLost, "site", "is no longer its establishment's (its messages are refused)", "are no longer their establishment's (their messages are refused)")
	part(d.Gain, "establishment", "gains access", "gain access")
	part(d.Reachable, "AMC number", "becomes reachable", "become reachable")
	part(d.Move, "establishment", "reaches others than before", "reach others than before")
	part(d.SitesGained, "site", "is new", "are new")
	part(d.Domains, "AMC", "has other known domains", "have other known domains")
	part(d.Silent, "establishment", "changes, and reaches nobody, as before", "change, and reach nobody, as before")
	words.List(&b, words.Agree(len(d.Planned), "change", "to come is new", "to come are new"), d.Planned)
	words.List(&b, words.Agree(len(d.Cancelled), "change", "to come is cancelled", "to come are cancelled"), d.Cancelled)
	words.List(&b, words.Plural(len(d.Other), "other change"), d.Other)
	return b.String()
}
