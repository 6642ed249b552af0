package portal

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/register"
)

// count writes a number with the thin spaces of French: 12 345.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

var (
	unitAfter  = regexp.MustCompile(`(\d) (%|ms|s|min|/s|octets)`)
	shortTime  = regexp.MustCompile(`\b0,0\d\d s\b`)
	longNumber = regexp.MustCompile(`\d{4,}`)
)

// typeset is a figure of a card as a page writes it: its unit stays beside it, its
// thousands are apart, and less than 100 ms is in milliseconds.
func typeset(s string) string {
	s = longNumber.ReplaceAllStringFunc(s, func(digits string) string {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return digits
		}
		return count(n)
	})
	s = shortTime.ReplaceAllStringFunc(s, func(seconds string) string {
		n, _ := strconv.Atoi(seconds[2:5]) // of "0,043 s"
		return strconv.Itoa(n) + " ms"
	})
	return unitAfter.ReplaceAllString(s, "$1\u00a0$2")
}

func plural(n int64, one, many string) string {
	if n < 2 {
		return count(n) + "\u00a0" + one
	}
	return count(n) + "\u00a0" + many
}

// share is a part of all: "4,1 %", or "-".
func share(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return strings.Replace(fmt.Sprintf("%.1f\u00a0%%", 100*float64(n)/float64(of)), ".", ",", 1)
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(store.Paris).Format("02/01/2006")
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(store.Paris).Format("02/01/2006\u00a015:04")
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(store.Paris).Format("02/01/2006\u00a015:04:05,000")
}

// lasted is a duration of seconds to days, in words.
func lasted(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "moins d'une minute"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d\u00a0min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d\u00a0h", int(d.Hours()))
	}
	return fmt.Sprintf("%d\u00a0jours", int(d.Hours()/24))
}

func milliseconds(d time.Duration) string {
	if d > 0 && d < time.Millisecond {
		return "<\u00a01\u00a0ms"
	}
	return count(d.Milliseconds()) + "\u00a0ms"
}

// finess is how a structure is written for people.
func finess(s roc.StructureID) string { return report.FINESS(s) }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// owners are who must act, in the order of the charts.
var owners = roc.Responsables()[1:]

// ownerName is who must act, for a reader.
func ownerName(o roc.Responsable) string {
	switch o {
	case roc.ByEtablissement:
		return "l'établissement"
	case roc.ByAMC:
		return "l'organisme"
	case roc.ByAnnuaire:
		return "l'annuaire"
	case roc.ByRPN:
		return "le RPN"
	case roc.ByReseau:
		return "le réseau"
	}
	return "personne"
}

func outcomeName(o roc.Outcome) string {
	switch o {
	case roc.Answered:
		return "répondu"
	case roc.FarFault:
		return "erreur de l'organisme"
	case roc.Refused:
		return "refusé"
	case roc.Abandoned:
		return "abandonné"
	}
	return string(o)
}

func etatName(e register.Etat) string {
	switch e {
	case register.Attendu:
		return "attendu"
	case register.Clos:
		return "clos"
	}
	return string(e)
}

// A period is what a page shows figures of.
type period struct {
	id, name string
	from, to time.Time
}

const months = 13

// periods are those that a page offers, for a reader of now.
func periods(now time.Time) []period {
	today := store.Day.Begin(now)
	tomorrow := today.AddDate(0, 0, 1)
	y, m, _ := today.Date()
	return []period{
		{"jour", "Aujourd'hui", today, tomorrow},
		{"7j", "7 jours", today.AddDate(0, 0, -6), tomorrow},
		{"28j", "28 jours finis", today.AddDate(0, 0, -28), today},
		{"13mois", "13 mois", time.Date(y, m-(months-1), 1, 0, 0, 0, 0, store.Paris), tomorrow},
	}
}

// period reads ?periode=: one of periods, or a week of ISO 8601 (2026-S47).
func (q *question) period(otherwise string) (period, error) {
	id := or(q.URL.Query().Get("periode"), otherwise)
	for _, p := range periods(q.now()) {
		if p.id == id {
			return p, nil
		}
	}
	if w, err := report.ParseWeek(id); err == nil {
		return period{w.String(), "Semaine " + w.String(), w.Begin(), w.End()}, nil
	}
	return period{}, badRequest("La période est jour, 7j, 28j, 13mois, ou une semaine AAAA-Sxx : 2026-S47.")
}

// shortPeriod is a period of a page that keeps establishments and insurers apart:
// over months it would read what takes seconds.
func (q *question) shortPeriod(otherwise string) (period, error) {
	p, err := q.period(otherwise)
	if err == nil && p.to.Sub(p.from) > access.MaxPeriod {
		err = badRequest(fmt.Sprintf("Cette page montre %d jours au plus : jour, 7j, 28j, ou une semaine AAAA-Sxx.", maxDays))
	}
	return p, err
}

func (q *question) shortChoices(path string, chosen period) []link {
	return slices.DeleteFunc(q.choices(path, chosen), func(l link) bool {
		return slices.ContainsFunc(periods(q.now()), func(p period) bool { return p.name == l.Text && p.to.Sub(p.from) > access.MaxPeriod })
	})
}

// choices are the links to the other periods of a page.
func (q *question) choices(path string, chosen period) (list []link) {
	all := append(periods(q.now()), period{id: report.WeekOf(q.now().AddDate(0, 0, -7)).String(), name: "Dernière semaine finie"})
	for _, p := range all {
		list = append(list, link{p.name, q.link(path + "?periode=" + p.id), p.id == chosen.id})
	}
	return list
}
