package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/indicators/top"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// mostShown is how many lines a part of the status has at most: it is one screen.
const mostShown = 8

// String writes the status for people: what does not go comes first.
func (s status) String() string {
	var b strings.Builder
	verdict := "PRÊT"
	switch {
	case !s.Ready.Ready:
		verdict = "PAS PRÊT (/readyz répond 503)"
	case len(s.Ready.Degraded) > 0:
		verdict = "PRÊT, dégradé"
	}
	fmt.Fprintf(&b, "RPN ROC, version %s, depuis %s : %s\n", printable(s.Activity.Version), lasting(s.started()), verdict)
	s.writeParts(&b)
	t := s.Activity.Total
	fmt.Fprintf(&b, "\nTRAFIC  %s éch./s, %s refus/s (dont quota %s, organismes %s), p95 %s ms, %d en cours, %d en attente\n",
		number(t.Rate), number(t.Refused), number(t.Quota), number(t.Failed), number(t.P95), t.InFlight, t.Waiting)
	var queues []string
	for _, c := range s.Activity.Capacity {
		queues = append(queues, fmt.Sprintf("%s %d / %d", printable(c.Nom), c.Used, c.Total))
	}
	fmt.Fprintf(&b, "FILES   %s ; limites %s\n", strings.Join(queues, ", "), printable(s.Activity.Limits))
	s.writeInsurers(&b)
	s.writeEnds(&b)
	s.writeWaiting(&b)
	return b.String()
}

// writeParts writes each part that does not go, with its remedy, then those that do.
func (s status) writeParts(b *strings.Builder) {
	var good []string
	for _, h := range s.Ready.Checks {
		p := partOf(h.Name)
		if h.OK && !h.Degraded {
			good = append(good, p.name)
			continue
		}
		word := "dégradé"
		if !h.OK {
			word = "MANQUE"
		}
		fmt.Fprintf(b, "  %-8s %s : %s\n", word, p.name, printable(detailOf(h)))
		fmt.Fprintf(b, "           que faire : %s\n", p.remedy)
	}
	fmt.Fprintf(b, "  va       %s\n", strings.Join(good, ", "))
}

// detailOf is what the RPN says of a part, with its last error.
func detailOf(h admin.Health) string {
	if h.LastError != "" {
		return h.Detail + " ; dernière erreur : " + h.LastError
	}
	return h.Detail
}

// unknownPart is the remedy of a part that has none of its own.
const unknownPart = "le journal technique dit la cause"

// partOf is the name and the remedy of a part of /readyz.
func partOf(name string) partName {
	if p, ok := partNames[name]; ok {
		return p
	}
	if of, ok := strings.CutSuffix(name, "_certificate"); ok {
		p := partNames["_certificate"]
		return partName{p.name + " " + strings.ReplaceAll(of, "_", "."), p.remedy}
	}
	if of, ok := strings.CutPrefix(name, "trust_"); ok {
		p := partNames["trust_"]
		return partName{p.name + " " + of, p.remedy}
	}
	return partName{name: name, remedy: unknownPart}
}

// insurerStates are the states of the table of insurers, the worst first.
var insurerStates = []string{"au repos", "en échec", "en attente", "actifs", "sans échange"}

func stateOfInsurer(l *top.AMC) string {
	switch {
	case l.Rests != nil:
		return "au repos"
	case l.Failed > 0:
		return "en échec"
	case l.Waiting > 0:
		return "en attente"
	case l.Rate > 0 || l.InFlight > 0:
		return "actifs"
	}
	return "sans échange"
}

// writeInsurers writes how many insurers are in each state, then each that does
// not go, and the busiest of the others.
func (s status) writeInsurers(b *strings.Builder) {
	states := map[string]int{}
	all := slices.Clone(s.Activity.AMC)
	for i := range all {
		states[stateOfInsurer(&all[i])]++
	}
	slices.SortStableFunc(all, func(x, y top.AMC) int {
		return slices.Index(insurerStates, stateOfInsurer(&x)) - slices.Index(insurerStates, stateOfInsurer(&y))
	})
	var counts []string
	for _, name := range insurerStates {
		if states[name] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", states[name], name))
		}
	}
	if len(counts) == 0 {
		counts = []string{"aucun échange depuis le démarrage"}
	}
	fmt.Fprintf(b, "\nORGANISMES  %s\n", strings.Join(counts, ", "))
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(b, "  "+cells("", maxName, "éch./s", "échecs/s", "p95 ms", "en cours", "file")+"  état")
	for i := range all {
		if i == mostShown {
			fmt.Fprintf(b, "  et %d de plus : rpn top\n", len(all)-i)
			break
		}
		l := &all[i]
		state := stateOfInsurer(l)
		if l.Rests != nil {
			state += " depuis " + hour(*l.Rests)
		}
		if l.Etat != "" && register.EtatAMC(l.Etat) != register.AMCCercle {
			state += " (" + printable(l.Etat) + ")"
		}
		fmt.Fprintln(b, "  "+cells(label(&l.Line), maxName, number(l.Rate), number(l.Failed), number(l.P95), fmt.Sprint(l.InFlight), fmt.Sprint(l.Waiting))+"  "+state)
	}
}

// writeEnds writes the certificates and lists that end soon.
func (s status) writeEnds(b *strings.Builder) {
	if len(s.Certificates) == 0 {
		fmt.Fprintf(b, "\nFIN PROCHE  aucun certificat, aucune liste avant %d jours\n", nearEnd)
		return
	}
	fmt.Fprintf(b, "\nFIN PROCHE  %d certificats ou listes avant %d jours\n", len(s.Certificates), nearEnd)
	for i, e := range s.Certificates {
		if i == mostShown {
			fmt.Fprintf(b, "  et %d de plus : rpn certificates --within %d\n", len(s.Certificates)-i, nearEnd)
			break
		}
		left := fmt.Sprintf("dans %d jours", e.Days)
		if e.Level == expiry.Ended {
			left = "FINI"
		}
		name := e.Nom
		if name == "" {
			name = e.Subject
		}
		fmt.Fprintf(b, "  %s  %-14s %s, %s\n", e.End.UTC().Format("2006-01-02"), left, e.Kind, printable(shortened(name, 70)))
	}
}

// writeWaiting writes what waits for a decision of an operator, with its command.
func (s status) writeWaiting(b *strings.Builder) {
	if s.Held.Waiting() == 0 {
		fmt.Fprintln(b, "\nDÉCISIONS  rien n'attend")
		return
	}
	fmt.Fprintf(b, "\nDÉCISIONS  %d attendent (rpn annuaire held les montre toutes)\n", s.Held.Waiting())
	shown := 0
	say := func(format string, args ...any) {
		if shown++; shown <= mostShown {
			fmt.Fprintf(b, "  "+format+"\n", args...)
		}
	}
	for _, c := range s.Held.Changes {
		if !c.Rejected {
			say("retenu : AMC %s, %s %s, vers %s : rpn annuaire approve --amc %s --host %s --why ...", c.AMC, c.Service, c.Version, printable(c.Host), c.AMC, printable(c.Host))
		}
	}
	for _, q := range s.Held.Quarantined {
		switch {
		case q.Rejected:
		case q.NewAMC:
			say("AMC %s hors du registre, à %s : l'ajouter à la liste des AMC", q.AMC, printable(q.Host))
		default:
			say("en quarantaine : AMC %s, %s, %d messages refusés : rpn annuaire approve --amc %s --host %s --why ...", q.AMC, printable(q.Host), q.Refused, q.AMC, printable(q.Host))
		}
	}
}
