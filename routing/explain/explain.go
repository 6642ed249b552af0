package explain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
	"github.com/piano-roc/rpn/routing"
)

// A Question is a hypothetical message: what would happen to it?
type Question struct {
	Structure roc.StructureID // as the certificate would say: an EJ or one of its EG
	EG        roc.FINESS      // finess_eg of the message; "": none
	Key       roc.Key
}

// Parts are what answers a Question: the parts of the path of an exchange.
type Parts struct {
	List *register.List // at the moment asked about

	// Find asks the annuaire, or its cached answers.
	Find func(context.Context, roc.Key) (annuaire.Entry, error)

	Policy routing.Policy
	Now    time.Time // to give the age of the annuaire's answer
}

// A Step is one step of the path.
type Step struct {
	Name    string   `json:"step"` // "establishment", "AMC", "annuaire", "addresses", "choice"
	OK      bool     `json:"ok"`
	What    string   `json:"what"`
	Details []string `json:"details,omitzero"`
}

// An Explanation tells, step by step, what would happen to a message, up to its
// sending: the insurer is not called.
type Explanation struct {
	At    time.Time `json:"at"`
	Steps []Step    `json:"steps"`
	Pass  bool      `json:"pass"`

	// Of a message that would pass.
	URL          string   `json:"url,omitzero"`
	Alternatives []string `json:"alternatives,omitzero"`

	// If it would be refused, as its fault would tell it.
	Code        string          `json:"code,omitzero"`
	Reason      roc.Reason      `json:"reason,omitzero"`
	Responsable roc.Responsable `json:"responsable,omitzero"`
	Libelle     string          `json:"libelle,omitzero"`
	Detail      string          `json:"detail,omitzero"`
	Remede      string          `json:"remede,omitzero"`
	Cause       string          `json:"cause,omitzero"`
	CauseCode   roc.CauseCode   `json:"cause_code,omitzero"`
	Since       time.Time       `json:"since,omitzero"`
	Until       time.Time       `json:"until,omitzero"` // what Retry-After is counted to
}

// Explain answers a question. It takes the steps of the path of an exchange in
// their order, with the same code; it leaves out what depends on the message
// itself (rate, signature) and on the network (where the name leads).
func Explain(ctx context.Context, p Parts, q Question) *Explanation {
	x := &Explanation{At: p.List.Moment()}
	es, err := p.List.Admit(q.Structure)
	if err != nil {
		return x.refuse("establishment", err)
	}
	if q.EG != "" {
		if err := p.List.CheckSites(es, q.Structure, es.EJ, q.EG); err != nil {
			return x.refuse("establishment", err)
		}
	}
	x.establishment(p.List, es)
	amc, _ := p.List.AMC(q.Key.AMC)
	x.amc(p, es, amc, q.Key)
	permit, err := routing.Allow(es, amc, q.Key, p.Policy)
	if err != nil {
		return x.refuse("choice", err)
	}
	entry, err := p.Find(ctx, q.Key)
	if err != nil {
		return x.refuse("annuaire", err)
	}
	x.annuaire(p, entry, q.Key)
	route, err := permit.Choose(entry)
	if err != nil {
		return x.refuse(chooses(err), err)
	}
	x.choice(route)
	return x
}

// chooses names the step at which Choose refuses.
func chooses(err error) string {
	switch roc.RefusalOf(err).Reason {
	case roc.Quarantined, roc.AnnuaireRefused:
		return "addresses"
	}
	return "choice"
}

func (x *Explanation) step(name, format string, args ...any) *Step {
	x.Steps = append(x.Steps, Step{Name: name, OK: true, What: fmt.Sprintf(format, args...)})
	return &x.Steps[len(x.Steps)-1]
}

func (s *Step) detail(format string, args ...any) {
	s.Details = append(s.Details, fmt.Sprintf(format, args...))
}

func (x *Explanation) refuse(step string, err error) *Explanation {
	r := roc.RefusalOf(err)
	m := r.Meaning()
	x.Code, x.Reason, x.Responsable = m.Code, r.Reason, m.Responsable
	x.CauseCode, x.Since, x.Until = r.CauseCode, r.Since, r.Until
	x.Libelle, x.Remede, x.Detail = m.Libelle, m.Remede, r.Detail
	if r.Cause != nil {
		x.Cause = r.Cause.Error()
	}
	x.Steps = append(x.Steps, Step{Name: step, What: fmt.Sprintf("%s %s: %s", x.Code, x.Reason, x.Cause)})
	return x
}

func (x *Explanation) establishment(l *register.List, es *register.Etablissement) {
	c, _ := es.EtatAt(l.Moment())
	s := x.step("establishment", "%s %s: %s%s%s", es.EJ, es.Nom, words.State(c), words.Since(c.Depuis), words.Because(c.Motif))
	if next, ok := es.Next(l.Moment()); ok {
		s.detail("then %s on %s%s", words.State(next), next.Depuis, words.Because(next.Motif))
	}
	if len(es.Versions) > 0 {
		s.detail("speaks %s", strings.Join(roc.Texts(es.Versions), " and "))
	}
}

func (x *Explanation) amc(p Parts, es *register.Etablissement, amc *register.AMC, key roc.Key) {
	if amc == nil {
		policy := "quarantined"
		if p.Policy.NewAMC == routing.Accept {
			policy = "accepted on the annuaire's statement alone, for establishments in the circle"
		}
		x.step("AMC", "%s is not in the register; by policy such an AMC is %s", key.AMC, policy)
		return
	}
	c, _ := amc.EtatAt(p.List.Moment())
	s := x.step("AMC", "%s %s: %s%s%s", key.AMC, amc.Nom, words.AMCStateOf(amc), words.Since(c.Depuis), words.Because(c.Motif))
	if next, ok := amc.Next(p.List.Moment()); ok {
		s.detail("then %s on %s%s", next.Etat, next.Depuis, words.Because(next.Motif))
	}
	if len(amc.Domaines) > 0 {
		s.detail("known domains: %s", words.Join(amc.Domaines, ", "))
	} else {
		s.detail("no domain of it is known")
	}
	if !routing.Reaches(es, amc, key.Service) {
		s.detail("%s does not reach it for %s in its state, whatever the annuaire answers", es.EJ, key.Service)
	}
}

func (x *Explanation) annuaire(p Parts, e annuaire.Entry, key roc.Key) {
	how := "asked just now"
	if age := p.Now.Sub(e.At).Round(time.Second); e.Remembered {
		how = fmt.Sprintf("cached, %s old", age)
	}
	s := x.step("annuaire", "%s (%s)", orUnnamed(e.Nom), how)
	if !e.Debut.IsZero() || !e.Fin.IsZero() {
		s.detail("valid%s%s", dateWords(" from ", e.Debut), dateWords(" to ", e.Fin))
	}
	if at := p.List.Moment(); at.Before(e.Debut) || !e.Fin.IsZero() && !at.Before(e.Fin.AddDate(0, 0, 1)) {
		s.detail("this answer does not cover %s: the annuaire would be asked again", words.Instant(at))
	}
	if e.Stale {
		s.detail("no longer fresh: it is used while it is revalidated in the background")
	}
	if !e.ROC {
		s.detail("it takes no part in ROC")
	}
	for _, a := range e.Adresses {
		mark := ""
		if a.Service == key.Service && a.Version == key.Version {
			mark = "   <- asked"
		}
		s.detail("%s %s: %.200q%s", a.Service, a.Version, a.URL, mark)
	}
}

func orUnnamed(nom string) string {
	if nom == "" {
		return "an answer without a name"
	}
	return nom
}

func dateWords(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + words.Day(t)
}

func instantWords(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + words.Instant(t)
}

func (x *Explanation) choice(r routing.Route) {
	usable := x.step("addresses", "1 address may be used")
	if n := len(r.Alternatives()); n > 0 {
		usable.What = fmt.Sprintf("%d addresses may be used", 1+n)
	}
	if r.NewAMC() {
		usable.detail("the AMC is not in the register: accepted by policy, and counted")
	} else if r.NewDomain() {
		usable.detail("outside the known domains of the AMC: accepted by policy, and counted")
	}
	for _, a := range r.SetAside() {
		usable.detail("set aside: %s %s: %v", a.Reason.Meaning().Code, a.Reason, a.Cause)
	}
	x.Pass, x.URL, x.Alternatives = true, r.URL(), r.Alternatives()
	s := x.step("choice", "%s", x.URL)
	for _, u := range x.Alternatives {
		s.detail("then, only if nothing could be sent: %s", u)
	}
}

// String writes the explanation for people.
func (x *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %s\n", words.Instant(x.At))
	for i, s := range x.Steps {
		outcome := "ok"
		if !s.OK {
			outcome = "REFUSED"
		}
		fmt.Fprintf(&b, "%d. %-14s %-8s %s\n", i+1, s.Name, outcome, s.What)
		for _, d := range s.Details {
			fmt.Fprintf(&b, "%26s %s\n", "", d)
		}
	}
	if x.Pass {
		fmt.Fprintf(&b, "it would go to %s\n", x.URL)
	} else {
		fmt.Fprintf(&b, "it would be refused: %s %s; who must act: %s\n", x.Code, x.Reason, x.Responsable)
		if x.CauseCode != "" {
			fmt.Fprintf(&b, "   cause %s%s%s\n", x.CauseCode, instantWords(", since ", x.Since), instantWords(", until ", x.Until))
		}
		for _, l := range []string{x.Libelle, x.Detail, x.Remede} {
			if l != "" {
				fmt.Fprintf(&b, "   %s\n", l)
			}
		}
	}
	b.WriteString("not checked: rate, signature and replay (they depend on the message), where the name leads (checked when connecting)\n")
	return b.String()
}

// ParseQuestion reads a question from texts by name: structure (a structure id,
// or a FINESS), eg, amc, convention, csr, domaine, service, version. The
// optional ones are eg, convention and csr.
func ParseQuestion(get func(name string) string) (q Question, err error) {
	read := func(name string, parse func(s string) error) {
		if e := parse(get(name)); e != nil && err == nil {
			err = fmt.Errorf("%s %.40q: %w", name, get(name), e)
		}
	}
	read("structure", func(s string) (err error) { q.Structure, err = roc.ParseStructure(s); return err })
	read("eg", optional(&q.EG, roc.ParseFINESS))
	read("amc", func(s string) (err error) { q.Key.AMC, err = roc.ParseNumeroAMC(s); return err })
	read("convention", optional(&q.Key.Convention, roc.ParseConvention))
	read("csr", optional(&q.Key.CSR, roc.ParseCSR))
	read("domaine", func(s string) (err error) { q.Key.Domaine, err = roc.ParseDomaine(s); return err })
	read("service", func(s string) (err error) {
		q.Key.Service, err = roc.ParseService(s)
		if err == nil && !q.Key.Service.OfAMC() {
			err = errors.New("a message goes to " + roc.OneOf(roc.AMCServices))
		}
		return err
	})
	read("version", func(s string) (err error) { q.Key.Version, err = roc.ParseVersion(s); return err })
	return q, err
}

func optional[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		if s != "" {
			*to, err = parse(s)
		}
		return err
	}
}
