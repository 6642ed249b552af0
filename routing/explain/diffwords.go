package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

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
	part(d.Fewer, "establishment", "reaches fewer AMCs", "reach fewer AMCs")
	part(d.Emptied, "AMC", "has no known domain any more", "have no known domain any more")
	part(d.Cut, "limit", "is cut", "are cut")
	part(d.Gain, "establishment", "gains access", "gain access")
	part(d.Reachable, "AMC number", "becomes reachable", "become reachable")
	part(d.Move, "establishment", "reaches others than before", "reach others than before")
	part(d.SitesGained, "site", "is new", "are new")
	part(d.Domains, "AMC", "has other known domains", "have other known domains")
	part(d.Silent, "establishment", "changes, and reaches nobody, as before", "change, and reach nobody, as before")
	words.List(&b, words.Agree(len(d.Planned), "change", "to come is new", "to come are new"), d.Planned)
	words.List(&b, words.Agree(len(d.Cancelled), "change", "to come is cancelled", "to come are cancelled"), d.Cancelled)
	words.List(&b, words.Plural(len(d.Other), "other change"), d.Other)
	words.List(&b, "a reload would refuse this", d.Refused)
	return b.String()
}

func (c Change) String() string {
	return fmt.Sprintf("%s: %s -> %s", strings.TrimSpace(c.Who+" "+c.Nom), c.Before, c.After)
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

func domainWords(a *register.AMC) string {
	var s []string
	for _, d := range a.Connus {
		s = append(s, string(d.Nom)+words.Dates(d.Period))
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}
