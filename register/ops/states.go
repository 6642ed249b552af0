package ops

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// stateColumns are the columns that a table of states may have. The first two
// are needed.
var stateColumns = []string{
	"finess_ej", "etat", "depuis", "amc_miroir", "motif", "nom", "gap", "contrat", "versions", "mandats",
	"par_seconde", "rafale", "en_cours", "connexions", "octets", "par_organisme", "octets_par_seconde", "rafale_octets", "mode",
	"contact_nom", "contact_role", "contact_courriel", "contact_telephone", "alerte_courriel", "alerte_webhook",
}

// A stated is what a table of states says of one establishment, over all its
// rows.
type stated struct {
	register.Etablissement
	line int // of its first row
}

// readStates reads a table of states: one row for each state of each
// establishment, the columns named on the first line. Values that an
// establishment has once (its name, its vendor) may be on any of its rows.
func readStates(f File, amcs *register.List) (order []roc.FINESS, by map[roc.FINESS]*stated, unread []string, err error) {
	t := openTable(f)
	by = map[roc.FINESS]*stated{}
	if !t.read() {
		return nil, nil, nil, strict.Errors{at(f.Name, 1, "the file is empty", "name the columns on the first line: finess_ej and etat are needed")}
	}
	t.header("finess_ej", "etat")
	if len(t.errs) > 0 {
		return nil, nil, nil, t.err()
	}
	for t.read() {
		ej := need(t, "finess_ej", roc.ParseFINESS, "010003812")
		s := by[ej]
		if s == nil {
			s = &stated{line: t.line(0)}
			s.EJ = ej
			if ej != "" {
				by[ej] = s
				order = append(order, ej)
			}
		}
		t.state(s, amcs)
		t.details(s)
	}
	return order, by, t.unread(stateColumns...), t.err()
}

// state reads the state of a row.
func (t *table) state(s *stated, amcs *register.List) {
	c := register.Changement{
		Depuis: parse(t, "depuis", register.ParseMoment, "2026-11-01"),
		Etat:   need(t, "etat", register.ParseEtat, string(register.Cercle)),
		Miroir: parse(t, "amc_miroir", roc.ParseNumeroAMC, "0075500025"),
		Motif:  t.get("motif"),
	}
	if amc, ok := amcs.AMC(c.Miroir); c.Miroir != "" && !ok {
		t.refuse("amc_miroir", "add that AMC to the list of AMCs, or correct the number", "no AMC has the number %s", c.Miroir)
	} else if ok && c.Etat == register.Surveillance && amc.Etat == register.AMCValidation && !amc.OnTrial() {
		t.refuse("amc_miroir", "name an AMC of the circle: under surveillance the patients are real", "the AMC %s is a validation platform", c.Miroir)
	}
	if c.Etat == register.Surveillance && c.Miroir == "" && t.get("amc_miroir") == "" {
		t.refuse("amc_miroir", "write the number of its AMC miroir", "an establishment under surveillance needs its AMC miroir")
	}
	if len(s.Etats) > 0 && (c.Depuis.IsZero() || s.Etats[0].Depuis.IsZero()) {
		t.refuse("depuis", "give each of its states its date", "%s has several rows (the first on line %d), and one of them has no date", s.EJ, s.line)
		return
	}
	i, same := slices.BinarySearchFunc(s.Etats, c, byDate)
	if same {
		t.refuse("depuis", "keep one of the two rows", "%s has two states on %s", s.EJ, c.Depuis)
		return
	}
	s.Etats = slices.Insert(s.Etats, i, c)
}

func byDate(a, b register.Changement) int { return a.Depuis.Compare(b.Depuis.Time) }

// details reads what an establishment has once.
func (t *table) details(s *stated) {
	once(t, "nom", &s.Nom, t.get("nom"))
	once(t, "gap", &s.GAP, t.get("gap"))
	once(t, "contrat", &s.Contrat, parse(t, "contrat", register.ParseMoment, "2026-10-15"))
	t.limit(&s.Limite)
	if list := parse(t, "versions", wordsOf(roc.ParseVersion), `"V1 V2"`); len(list) > 0 {
		s.Versions = list
	}
	for _, m := range parse(t, "mandats", wordsOf(roc.ParseStructureID), `"318751275100020 12A0000014"`) {
		if !slices.ContainsFunc(s.Delegations, func(d register.Mandat) bool { return d.Structure == m }) {
			s.Delegations = append(s.Delegations, register.Mandat{Structure: m})
		}
	}
	c := register.Contact{Nom: t.get("contact_nom"), Role: t.get("contact_role"), Courriel: t.get("contact_courriel"), Telephone: t.get("contact_telephone")}
	if c != (register.Contact{}) && !slices.Contains(s.Contacts, c) {
		if c.Nom == "" {
			c.Nom = "contact"
		}
		s.Contacts = append(s.Contacts, c)
	}
	for _, a := range []register.Alerte{{Courriel: t.get("alerte_courriel")}, {Webhook: t.get("alerte_webhook")}} {
		if known := func(x register.Alerte) bool { return x.Courriel == a.Courriel && x.Webhook == a.Webhook }; a.Courriel+a.Webhook != "" && !slices.ContainsFunc(s.Alertes, known) {
			s.Alertes = append(s.Alertes, a)
		}
	}
}

// limit reads every field of a limit, by the names that it has in the register.
func (t *table) limit(l *register.Limite) {
	once(t, "par_seconde", &l.ParSeconde, parse(t, "par_seconde", positive, "20"))
	once(t, "rafale", &l.Rafale, parse(t, "rafale", count, "40"))
	once(t, "en_cours", &l.EnCours, parse(t, "en_cours", count, "50"))
	once(t, "connexions", &l.Connexions, parse(t, "connexions", count, "200"))
	once(t, "octets", &l.Octets, parse(t, "octets", size, "64MiB"))
	once(t, "par_organisme", &l.ParOrganisme, parse(t, "par_organisme", count, "30"))
	once(t, "octets_par_seconde", &l.OctetsParSeconde, parse(t, "octets_par_seconde", size, "8MiB"))
	once(t, "rafale_octets", &l.RafaleOctets, parse(t, "rafale_octets", size, "64MiB"))
	once(t, "mode", &l.Mode, parse(t, "mode", limitMode, string(register.Shape)))
}

// once keeps the value of a row, and refuses a different one further down.
func once[T comparable](t *table, column string, kept *T, v T) {
	var none T
	switch {
	case v == none:
	case *kept == none:
		*kept = v
	case *kept != v:
		t.refuse(column, "keep one of the two", "another row of this establishment says %v", *kept)
	}
}

// wordsOf reads values separated by spaces.
func wordsOf[T any](read func(string) (T, error)) func(string) ([]T, error) {
	return func(s string) (all []T, err error) {
		for w := range strings.FieldsSeq(s) {
			v, err := read(w)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
}

func positive(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || !(v > 0) || v > 1e6 {
		return 0, errors.New("a number above zero is expected")
	}
	return v, nil
}

func count(s string) (int, error) {
	v, err := strconv.Atoi(s)
	if err != nil || v <= 0 || v > 1e6 {
		return 0, errors.New("a whole number above zero is expected")
	}
	return v, nil
}

func size(s string) (strict.Size, error) {
	v, err := strict.ParseSize(s)
	if err != nil || v <= 0 {
		return 0, errors.New("a number of bytes above zero is expected")
	}
	return v, nil
}

func limitMode(s string) (register.LimitMode, error) {
	if m := register.LimitMode(s); slices.Contains(register.LimitModes, m) {
		return m, nil
	}
	return "", errors.New("a mode is observe, shape or reject")
}

// at makes an error of a file as a whole.
func at(file string, line int, problem, remedy string) strict.Error {
	return strict.Error{File: file, Line: line, Column: 1, Problem: problem, Remedy: remedy}
}
