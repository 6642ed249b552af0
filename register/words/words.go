// Package words is the wording of the register for operators: its states, dates
// and counts. Every command and page that shows them uses it.
package words

import (
	"fmt"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// Plural writes a count and its noun: "1 establishment", "2 establishments".
func Plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Agree is plural with its verb: "1 AMC becomes", "2 AMCs become".
func Agree(n int, one, verb, verbs string) string {
	if n == 1 {
		return Plural(n, one) + " " + verb
	}
	return Plural(n, one) + " " + verbs
}

// State words a state in force: "surveillance (AMC miroir 0075500025)".
func State(c register.Changement) string {
	switch {
	case c.Etat == register.Attendu:
		return "no state yet"
	case c.Etat == register.Surveillance:
		return fmt.Sprintf("surveillance (AMC miroir %s)", c.Miroir)
	case c.Etat == register.Accrochage && c.AccrochageComplet:
		return "accrochage (every service)"
	case c.Etat == register.Cercle && c.Formation:
		return "cercle (and formation)"
	}
	return string(c.Etat)
}

// StateName says a state alone.
func StateName(s register.Etat) string {
	if s == register.Attendu {
		return "without a state yet"
	}
	return string(s)
}

// StateOf says the state in force of an establishment.
func StateOf(e *register.Etablissement) string {
	return State(register.Changement{Etat: e.Etat, Miroir: e.Miroir, AccrochageComplet: e.AccrochageComplet, Formation: e.Formation})
}

// AMCState says a state of an AMC.
func AMCState(s register.EtatAMC) string {
	if s == register.AMCAttendue {
		return "no state yet"
	}
	return string(s)
}

// AMCStateOf says the state in force of an AMC: "maintenance until 2026-12-02
// 06:00:00 CET", "validation (trials with 010003812)".
func AMCStateOf(a *register.AMC) string {
	s := AMCState(a.Etat)
	if a.Etat == register.AMCValidation && a.OnTrial() {
		s += " (trials with " + Join(a.EssaisAvec, ", ") + ")"
	}
	if !a.Fin.IsZero() {
		s += " until " + Instant(a.Fin)
	}
	return s
}

// Since says from when: " since 2026-11-01", "" without a date.
func Since(m register.Moment) string {
	if m.IsZero() {
		return ""
	}
	return " since " + m.String()
}

// Because says why, or by which decision: " (PV du 28 octobre)", "" without.
func Because(motif string) string {
	if motif == "" {
		return ""
	}
	return " (" + motif + ")"
}

// Dates words a period: "", " from 2026-11-01", " until 2026-12-31".
func Dates(p register.Period) string {
	s := ""
	if !p.Depuis.IsZero() {
		s += " from " + p.Depuis.String()
	}
	if !p.Jusque.IsZero() {
		s += " until " + p.Jusque.String()
	}
	return s
}

// Instant writes an instant for people, in the zone of the register.
func Instant(t time.Time) string { return register.InParis(t).Format("2006-01-02 15:04:05 MST") }

// Join writes the items one after the other.
func Join[T ~string](items []T, sep string) string { return strings.Join(Strings(items), sep) }

// Limit words a limit; "" when there is none.
func Limit(l register.Limite) string {
	if l == (register.Limite{}) {
		return ""
	}
	s := fmt.Sprintf("%g messages a second, %d at once, %d in flight (0: the default)", l.ParSeconde, l.Rafale, l.EnCours)
	for _, more := range []struct {
		n    int64
		what string
	}{
		{int64(l.Connexions), "connections"}, {int64(l.Octets), "bytes in memory"}, {int64(l.ParOrganisme), "in flight to one AMC"},
		{int64(l.OctetsParSeconde), "bytes a second"}, {int64(l.RafaleOctets), "bytes at once"},
	} {
		if more.n > 0 {
			s += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	if l.Mode != "" {
		s += ", " + string(l.Mode)
	}
	return s
}

// Times words the times given to services; "" when there are none.
func Times(t roc.ServiceTimes) string {
	var s []string
	for _, v := range roc.Services {
		if d := t.Of(v); d > 0 {
			s = append(s, v.String()+" "+d.String())
		}
	}
	return strings.Join(s, ", ")
}

// Day writes a date for people, in the zone of the register.
func Day(t time.Time) string { return register.InParis(t).Format(time.DateOnly) }

// mostListed is how many items are written out.
const mostListed = 20

// List writes a head and the items below it, as many as a person reads; nothing
// when there are none.
func List[T any](b *strings.Builder, head string, items []T) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n", head)
	for i, v := range items {
		if i == mostListed {
			fmt.Fprintf(b, "  ... and %d more (--json gives them all)\n", len(items)-i)
			break
		}
		fmt.Fprintf(b, "  %v\n", v)
	}
}

// Some names the first of a list.
func Some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

// Strings are the items as plain texts.
func Strings[T ~string](items []T) []string {
	s := make([]string, len(items))
	for i, v := range items {
		s[i] = string(v)
	}
	return s
}
