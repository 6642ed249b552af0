package scenarios

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Profile section 6: what each state of an establishment opens at each insurer,
// by IDB and by CLC ("i", "c"; "-": refused before anything leaves, RPN303).
func TestEachStateOpensWhatItOpensAndNothingElse(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	insurers := []string{"validation", "verte", "bleue"}
	for _, c := range []struct {
		state nation.Trait
		more  []string // lines of its row
		opens string   // for each insurer
	}{
		{nation.Accrochage, nil, "i - -"},
		{nation.Accrochage, []string{"accrochage_complet: true"}, "ic - -"},
		{nation.Accrochage, []string{"formation: true"}, "i - -"},
		{nation.State("formation"), nil, "ic - -"},
		{nation.UnderSurveillance("verte"), nil, "- ic -"},
		{nation.UnderSurveillance("verte"), []string{"formation: true"}, "- ic -"},
		{nation.InCircle, nil, "- ic ic"},
		{nation.InCircle, []string{"accrochage_complet: true"}, "- ic ic"},
		{nation.InCircle, []string{"formation: true"}, "ic ic ic"},
	} {
		e := n.Etablissement(c.state, nation.Row(c.more...))
		for i, opens := range strings.Fields(c.opens) {
			amc := insurers[i]
			for _, s := range []struct {
				letter  string
				service roc.Service
			}{{"i", roc.IDB}, {"c", roc.CLC}} {
				before := n.AMC(amc).Received()
				if strings.Contains(opens, s.letter) {
					e.SendBoth(s.service, amc).WantAnswer()
					continue
				}
				e.SendBoth(s.service, amc).WantRefused(roc.OutsideCircle)
				n.AMC(amc).WantReceived(before)
			}
		}
	}
	n.Etablissement(nation.Speaking(roc.V1)).Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle)
}

// row is the row of an insurer of the nation, in that state, as far as its
// domains.
func row(n *nation.Nation, id, etat string) string {
	return fmt.Sprintf("numeros: [%q]\n    %s\n", n.AMC(id).Numero(), etat)
}

// An insurer in validation may be called by the establishments that its row
// names, whatever their state, for every service, and by nobody else.
func TestAnInsurerOnTrialIsReachedByThoseItNames(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	named, other, training := n.Etablissement(nation.InCircle), n.Etablissement(nation.InCircle), n.Etablissement(nation.State("formation"))
	n.Edit("amc.yaml", row(n, "verte", "etat: cercle"), row(n, "verte", fmt.Sprintf("etat: validation\n    essais_avec: [%q]", named.EJ)))
	n.Reload()
	for _, s := range []roc.Service{roc.IDB, roc.SIM, roc.CLC} {
		named.SendBoth(s, "verte").WantAnswer()
	}
	before := n.AMC("verte").Received()
	other.SendBoth(roc.IDB, "verte").WantRefused(roc.OutsideCircle)
	training.SendBoth(roc.IDB, "verte").WantRefused(roc.OutsideCircle)
	n.AMC("verte").WantReceived(before)
	training.SendBoth(roc.CLC, "validation").WantAnswer()
}

// An insurer in maintenance is refused with its end in Retry-After and since
// when, one suspended or closed without an end; who could not reach it anyway
// is told so instead. After the end it is reached, by the clock alone.
func TestAnInsurerThatIsClosedSaysUntilWhen(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	e, starting := n.Etablissement(nation.InCircle), n.Etablissement(nation.Accrochage)
	since, end := time.Now().Add(-time.Hour).Truncate(time.Second), time.Now().Add(2*time.Hour).Truncate(time.Second)
	maintained := func(jusque time.Time) string {
		return row(n, "verte", fmt.Sprintf("etats: [{depuis: 2026-01-01, etat: cercle}, {depuis: %s, etat: maintenance, jusque: %s}]", since.Format(time.RFC3339), jusque.Format(time.RFC3339)))
	}
	n.Edit("amc.yaml", row(n, "verte", "etat: cercle"), maintained(end))
	n.Edit("amc.yaml", row(n, "bleue", "etat: cercle"), row(n, "bleue", "etat: clos"))
	n.Reload()
	before := n.AMC("verte").Received()
	for _, r := range e.SendBoth(roc.IDB, "verte").WantRefused(roc.AMCSuspended).WantSaying(`<rpn:Cause code="amc-maintenance" depuis="` + since.UTC().Format(time.RFC3339)) {
		if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || s < 7000 || s > 7200 {
			t.Errorf("Retry-After %q, and the maintenance ends in two hours", r.Header.Get("Retry-After"))
		}
	}
	starting.SendBoth(roc.IDB, "verte").WantRefused(roc.OutsideCircle)
	n.AMC("verte").WantReceived(before)
	for amc, cause := range map[string]roc.CauseCode{"grise": roc.SuspendedAMC, "bleue": roc.ClosedAMC} {
		for _, r := range e.SendBoth(roc.IDB, amc).WantRefused(roc.AMCSuspended) {
			if r.Cause() != cause || r.Header.Get("Retry-After") != "" {
				t.Errorf("%s: cause %s, Retry-After %q, and no date says when it is back", amc, r.Cause(), r.Header.Get("Retry-After"))
			}
		}
	}
	n.Edit("amc.yaml", maintained(end), maintained(time.Now().Add(2*time.Second).Truncate(time.Second)))
	n.Reload()
	await.Until(t, "the maintenance ends by the clock", func() bool { return e.Send(roc.IDB, "verte").Answered("00") })
}

// A certificate that carries a SIRET is one of the establishment that the
// register gives it to, and the refusal of any other says what is missing.
func TestASIRETIsMappedByTheRegister(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	const siret = "355500000000019"
	e := n.Etablissement(nation.TLS(igc.OU(siret)), nation.Signing(igc.OU(siret)))
	e.Send(roc.IDB, "bleue").WantRefused(roc.UnknownStructure).WantSaying("SIRET")
	n.Move(e, nation.Row(fmt.Sprintf("structures: [%q]", siret)))
	e.SendBoth(roc.IDB, "bleue").WantAnswer()
}
