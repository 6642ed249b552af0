package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

// Check does all that New does, opens no port, and returns what an operator
// wants to read before a start: `rpn check`.
func Check(o Options) (summary string, err error) {
	o, done, err := onACopy(o)
	if err != nil {
		return "", err
	}
	defer done()
	a, err := New(o)
	if err != nil {
		return "", err
	}
	summary = a.summary(a.now())
	return summary, errors.Join(a.checkLists(), a.unwind(context.Background()))
}

// checkLists is an error when a configured revocation list cannot serve: after a
// restart nobody under its CA would come in.
func (a *App) checkLists() error {
	err := a.revocation.Problems()
	if err == nil {
		return nil
	}
	return &config.SetupError{
		What:   a.config.File() + ": revocation.lists: " + oneLine(err),
		Remedy: "put the list of each CA there, or remove what is none; a CA without a list is closed or open by revocation.then and revocation.unannounced",
		Cause:  err,
	}
}

func (a *App) summary(now time.Time) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-32s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s: ok (%s)\n", a.config.File(), a.config.Environment)
	l := a.register.Current()
	es, sites, numbers := l.Size()
	states := map[register.Etat]int{}
	for e := range l.Etablissements() {
		states[e.Etat]++
	}
	var parts []string
	for _, s := range register.Etats() {
		if states[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", states[s], words.StateName(s)))
		}
	}
	amcs := 0
	for range l.AMCs() {
		amcs++
	}
	line("establishments", "%d (%s), %d sites", es, strings.Join(parts, ", "), sites)
	line("AMCs", "%d, %d numbers", amcs, numbers)
	for _, own := range a.own {
		for _, pair := range own.Certificates() {
			c := pair.Leaf
			line(own.Name+" certificate", "%s, %s, until %s (%d days)", c.Subject, c.PublicKeyAlgorithm, day(c.NotAfter), int(c.NotAfter.Sub(now).Hours()/24))
		}
		if own.Certificate() == nil {
			line(own.Name+" certificate", "none yet: ACME obtains it at start")
		}
		for _, problem := range own.Unlinked() {
			line("", "WARNING: %s", problem)
		}
	}
	for _, s := range storesOf(a.config, a.stores) {
		t := s.store.Trust()
		line("trust."+s.name, "%d roots, %d intermediates; %s (%s)", len(t.Roots()), len(t.Intermediates()), lastRoot(t, now).Detail, filepath.Base(s.path))
	}
	line("revocation", "%s", a.checkRevoked(now).Detail)
	line("annuaire", "%s", a.config.Annuaire.URL)
	line("listen", "%s, admin %s (not opened)", a.config.Listen, a.config.Admin)
	return b.String()
}

// oneLine writes an error of a file on one line.
func oneLine(err error) string {
	var list strict.Errors
	if errors.As(err, &list) && len(list) > 0 {
		s := list[0].Error()
		if n := len(list) - 1; n > 0 {
			s += fmt.Sprintf(" (and %d more; `rpn check` shows them)", n)
		}
		return s
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
