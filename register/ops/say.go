package ops

import (
	"fmt"
	"strings"
	"time"

	"github.com/piano-roc/rpn/register"
)

// plural writes a count and its noun: "1 establishment", "2 establishments".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// agree is plural with its verb: "1 AMC becomes", "2 AMCs become".
func agree(n int, one, verb, verbs string) string {
	if n == 1 {
		return plural(n, one) + " " + verb
	}
	return plural(n, one) + " " + verbs
}

// stateWords says a state in force: "surveillance (AMC miroir 0075500025)".
func stateWords(c register.Changement) string {
	switch {
	case c.Etat == register.Attendu:
		return "no state yet"
	case c.Etat == register.Surveillance:
		return fmt.Sprintf("surveillance (AMC miroir %s)", c.Miroir)
	}
	return string(c.Etat)
}

func amcStateWords(s register.EtatAMC) string {
	if s == register.AMCAttendue {
		return "no state yet"
	}
	return string(s)
}

// since says from when: " since 2026-11-01", "" without a date.
func since(m register.Moment) string {
	if m.IsZero() {
		return ""
	}
	return " since " + m.String()
}

func because(motif string) string {
	if motif == "" {
		return ""
	}
	return " (" + motif + ")"
}

// dates says a period: "", " from 2026-11-01", " until 2026-12-31".
func dates(p register.Period) string {
	s := ""
	if !p.Depuis.IsZero() {
		s += " from " + p.Depuis.String()
	}
	if !p.Jusque.IsZero() {
		s += " until " + p.Jusque.String()
	}
	return s
}

// instant writes an instant for people, in the zone of the register.
func instant(t time.Time) string { return register.InParis(t).Format("2006-01-02 15:04:05 MST") }

func join[T ~string](items []T, sep string) string {
	s := make([]string, len(items))
	for i, v := range items {
		s[i] = string(v)
	}
	return strings.Join(s, sep)
}
