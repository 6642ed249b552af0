package explain

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/history"
	"github.com/piano-roc/rpn/register/words"
)

// A Loss is something that worked and that a change of the register would take
// away: how many of those that had it, and from whom.
type Loss struct {
	What string // "establishment loses access", agreed with Lost
	Lost int
	Of   int
	Who  []string
}

func (l Loss) String() string {
	return fmt.Sprintf("%s (%d before): %s", l.What, l.Of, words.Some(l.Who))
}

// ErrTooMuchLost is a register that would take away more than allowed.
var ErrTooMuchLost = errors.New("too much would be lost: more likely a broken export than a decision")

// Losses lists what the change takes away beyond the bounds: it is the one
// place that decides whether a register is too bad to be true. A row that
// disappears is counted where it is missed: by who loses access, and by itself.
func (d *Diff) Losses(b register.Bounds) []Loss {
	var losses []Loss
	look := func(gone []Change, of int, bound register.Bound, one, verb, verbs string) {
		if bound.Allows(len(gone), of) {
			return
		}
		l := Loss{What: words.Agree(len(gone), one, verb, verbs), Lost: len(gone), Of: of}
		for _, c := range gone {
			l.Who = append(l.Who, c.Who)
		}
		slices.Sort(l.Who)
		losses = append(losses, l)
	}
	look(d.Lose, d.had.access, b.Etablissements, "establishment", "loses access", "lose access")
	look(d.Fewer, d.had.access, b.Etablissements, "establishment", "reaches fewer AMCs", "reach fewer AMCs")
	look(d.gone.etablissements, d.had.etablissements, b.Etablissements, "establishment", "is no longer in the register", "are no longer in the register")
	look(d.SitesLost, d.had.sites, b.Sites, "site", "is no longer its establishment's", "are no longer their establishment's")
	look(d.Unreachable, d.had.reached, b.AMCs, "AMC number", "becomes unreachable", "become unreachable")
	look(d.gone.numeros, d.had.numeros, b.AMCs, "AMC number", "is no longer in the register", "are no longer in the register")
	look(d.Emptied, d.had.domains, b.Domaines, "AMC", "has no known domain any more", "have no known domain any more")
	look(d.Cut, d.had.limits, b.Limites, "limit", "is cut", "are cut")
	return losses
}

// LossesOf are the losses of the diff of two registers, which are settled for
// now; where there are none, those at the last date of the new one: a file that
// closes everybody tomorrow is as broken as one that does today.
func LossesOf(before, after *register.List, now *Diff, standard register.Standard, b register.Bounds) []Loss {
	losses := now.Losses(b)
	last := after.Last()
	if len(losses) > 0 || !after.Moment().Before(last) {
		return losses
	}
	losses = Compare(before.At(last), after.At(last), standard).Losses(b)
	for i := range losses {
		losses[i].What = "by " + words.Day(last) + ", " + losses[i].What
	}
	return losses
}

// Refuse is the error of losses, nil when there are none. how says how to mean
// it: a command.
func Refuse(losses []Loss, how string) error {
	if len(losses) == 0 {
		return nil
	}
	var all []string
	for _, l := range losses {
		all = append(all, l.String())
	}
	return fmt.Errorf("%w: %s; complete the files, or mean it: %s", ErrTooMuchLost, strings.Join(all, "; "), how)
}

// had is how many there were before of what may be lost.
type had struct{ access, etablissements, sites, reached, numeros, domains, limits int }

// gone are the rows that are no longer in the register.
type gone struct{ etablissements, numeros []Change }

// cuts compares two limits. standard is what holds where a row says nothing; 0
// there: no limit.
func cuts(was, is, standard register.Limite) bool {
	less := func(was, is, standard float64) bool {
		if was == 0 {
			was = standard
		}
		if is == 0 {
			is = standard
		}
		return is != 0 && (was == 0 || is < was)
	}
	count := func(was, is, standard int) bool { return less(float64(was), float64(is), float64(standard)) }
	return less(was.ParSeconde, is.ParSeconde, standard.ParSeconde) || count(was.Rafale, is.Rafale, standard.Rafale) ||
		count(was.EnCours, is.EnCours, standard.EnCours) || count(was.Connexions, is.Connexions, standard.Connexions) ||
		count(int(was.Octets), int(is.Octets), int(standard.Octets)) || count(was.ParOrganisme, is.ParOrganisme, standard.ParOrganisme) ||
		count(int(was.OctetsParSeconde), int(is.OctetsParSeconde), int(standard.OctetsParSeconde)) || count(int(was.RafaleOctets), int(is.RafaleOctets), int(standard.RafaleOctets)) ||
		slices.Index(register.LimitModes, cmp.Or(is.Mode, standard.Mode)) > slices.Index(register.LimitModes, cmp.Or(was.Mode, standard.Mode))
}

// parts are the changes by kind: the names are those of the JSON.
func (d *Diff) parts() []struct {
	kind string
	list []Change
} {
	return []struct {
		kind string
		list []Change
	}{
		{"lose_access", d.Lose}, {"amcs_unreachable", d.Unreachable}, {"reach_fewer", d.Fewer}, {"sites_lost", d.SitesLost},
		{"domains_emptied", d.Emptied}, {"limits_cut", d.Cut}, {"gain_access", d.Gain}, {"amcs_reachable", d.Reachable},
		{"reach_others", d.Move}, {"sites_gained", d.SitesGained}, {"domains", d.Domains}, {"reach_nobody_still", d.Silent}, {"other", d.Other},
	}
}

// History is the diff as the audit trail keeps it.
func (d *Diff) History() []history.Change {
	var all []history.Change
	for _, p := range d.parts() {
		for _, c := range p.list {
			all = append(all, history.Change{Kind: p.kind, EJ: c.EJ, AMC: c.AMC, Who: c.Who, Nom: c.Nom, Before: c.Before, After: c.After})
		}
	}
	for _, p := range []struct {
		kind string
		of   int
	}{{"planned", 0}, {"cancelled", 1}} {
		list := d.Planned
		if p.of == 1 {
			list = d.Cancelled
		}
		for _, x := range list {
			all = append(all, history.Change{Kind: p.kind, EJ: x.EJ, AMC: x.AMC, Who: x.Who, Nom: x.Nom, Before: x.From, After: x.To + " from " + x.Depuis.String() + words.Because(x.Motif)})
		}
	}
	return all
}
