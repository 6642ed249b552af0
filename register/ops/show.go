package ops

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

// A Found is the rows that a query matches.
type Found struct {
	Etablissements []EtablissementView `json:"etablissements"`
	AMCs           []AMCView           `json:"amcs"`
}

// An EtablissementView is one establishment as operators see it.
type EtablissementView struct {
	EJ            roc.FINESS            `json:"finess_ej"`
	Structure     roc.StructureID       `json:"structure"`
	Nom           string                `json:"nom"`
	Departement   string                `json:"departement,omitzero"`
	Region        string                `json:"region,omitzero"`
	GAP           string                `json:"gap,omitzero"`
	Contrat       register.Moment       `json:"contrat,omitzero"`
	InForce       register.Changement   `json:"in_force"`
	Etats         []register.Changement `json:"etats"`
	Reaches       []string              `json:"reaches"`
	EGs           []roc.FINESS          `json:"finess_eg"`
	Structures    []roc.StructureID     `json:"structures,omitzero"`
	Versions      []string              `json:"versions,omitzero"`
	Limite        register.Limite       `json:"limite,omitzero"`
	SansTimestamp bool                  `json:"sans_timestamp,omitzero"`
	Mandats       []register.Mandat     `json:"mandats,omitzero"`
	Contacts      []register.Contact    `json:"contacts,omitzero"`
	Alertes       []register.Alerte     `json:"alertes,omitzero"`

	everyone bool // of the circle
	next     *register.Changement
}

// An AMCView is one AMC as operators see it.
type AMCView struct {
	Nom        string                   `json:"nom"`
	Numeros    []roc.NumeroAMC          `json:"numeros"`
	InForce    register.ChangementAMC   `json:"in_force"`
	Etats      []register.ChangementAMC `json:"etats"`
	Domaines   []register.Domaine       `json:"domaines"`
	Essais     []register.Essai         `json:"essais_avec,omitzero"`
	Versions   []string                 `json:"versions,omitzero"`
	Limite     register.Limite          `json:"limite,omitzero"`
	Delais     roc.ServiceTimes         `json:"delais,omitzero"`
	Structures []roc.StructureID        `json:"structures,omitzero"`
	Contacts   []register.Contact       `json:"contacts,omitzero"`
	Alertes    []register.Alerte        `json:"alertes,omitzero"`
	MiroirOf   []roc.FINESS             `json:"miroir_of"` // establishments under surveillance with it

	next *register.ChangementAMC
}

// Reached lists the AMCs that an establishment of the list reaches.
type Reached func(*register.Etablissement) []*register.AMC

// Find returns the rows that a query names, at the moment of the list: a
// FINESS, of an EJ or of a site; a structure id; a number of an AMC; or a part
// of a name, whatever its accents and capitals. reached says whom an
// establishment reaches (routing/explain).
func Find(l *register.List, query string, reached Reached) Found {
	f := Found{Etablissements: []EtablissementView{}, AMCs: []AMCView{}}
	query = strings.TrimSpace(query)
	if e, ok := byNumber(l, query); ok {
		f.Etablissements = append(f.Etablissements, viewOf(l, reached, e))
		return f
	}
	if n, err := roc.ParseNumeroAMC(query); err == nil {
		if a, ok := l.AMC(n); ok {
			f.AMCs = append(f.AMCs, viewOfAMC(l, a))
			return f
		}
	}
	part := plain(query)
	if part == "" {
		return f
	}
	for e := range l.Etablissements() {
		if strings.Contains(plain(e.Nom), part) {
			f.Etablissements = append(f.Etablissements, viewOf(l, reached, e))
		}
	}
	for a := range l.AMCs() {
		if strings.Contains(plain(a.Nom), part) {
			f.AMCs = append(f.AMCs, viewOfAMC(l, a))
		}
	}
	return f
}

func byNumber(l *register.List, query string) (*register.Etablissement, bool) {
	if f, err := roc.ParseFINESS(query); err == nil {
		return l.BySite(f)
	}
	if id, err := roc.ParseStructureID(query); err == nil {
		return l.ByStructure(id)
	}
	return nil, false
}

// plain drops what people do not type: capitals and the accents of French.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch r := unicode.ToLower(r); r {
		case 'à', 'â', 'ä':
			return 'a'
		case 'é', 'è', 'ê', 'ë':
			return 'e'
		case 'î', 'ï':
			return 'i'
		case 'ô', 'ö':
			return 'o'
		case 'ù', 'û', 'ü':
			return 'u'
		case 'ç':
			return 'c'
		case '’', '-':
			return '\''
		default:
			return r
		}
	}, s)
}

func viewOf(l *register.List, reached Reached, e *register.Etablissement) EtablissementView {
	v := EtablissementView{
		EJ: e.EJ, Structure: e.Structure, Nom: e.Nom, Departement: e.Departement, Region: e.Region, GAP: e.GAP, Contrat: e.Contrat,
		Etats: e.Etats, Reaches: []string{}, EGs: e.EGs, Structures: e.Structures, Versions: roc.Texts(e.Versions), Limite: e.Limite, SansTimestamp: e.SansTimestamp,
		Mandats: e.Delegations, Contacts: e.Contacts, Alertes: e.Alertes, everyone: e.Etat == register.Cercle,
	}
	v.InForce, _ = e.EtatAt(l.Moment())
	if next, ok := e.Next(l.Moment()); ok {
		v.next = &next
	}
	for _, a := range reached(e) {
		v.Reaches = append(v.Reaches, fmt.Sprintf("%s %s", a.Numeros[0], a.Nom))
	}
	return v
}

func viewOfAMC(l *register.List, a *register.AMC) AMCView {
	v := AMCView{
		Nom: a.Nom, Numeros: a.Numeros, Etats: a.Etats, Domaines: a.Connus, Essais: a.EssaisAvec, Versions: roc.Texts(a.Versions), Limite: a.Limite, Delais: a.Delais, Structures: a.Structures, Contacts: a.Contacts, Alertes: a.Alertes,
		MiroirOf: []roc.FINESS{},
	}
	v.InForce, _ = a.EtatAt(l.Moment())
	if next, ok := a.Next(l.Moment()); ok {
		v.next = &next
	}
	for e := range l.Etablissements() {
		if e.Etat == register.Surveillance && a.Has(e.Miroir) {
			v.MiroirOf = append(v.MiroirOf, e.EJ)
		}
	}
	return v
}

// mostShown is how many rows are written whole; more are listed.
const mostShown = 3

// String writes what was found, for people.
func (f Found) String() string {
	var b strings.Builder
	whole := len(f.Etablissements)+len(f.AMCs) <= mostShown
	for i := range f.Etablissements {
		f.Etablissements[i].write(&b, whole)
	}
	for i := range f.AMCs {
		f.AMCs[i].write(&b, whole)
	}
	return b.String()
}

func (v *EtablissementView) write(b *strings.Builder, whole bool) {
	fmt.Fprintf(b, "%s  %s: %s%s%s\n", v.EJ, v.Nom, words.State(v.InForce), words.Since(v.InForce.Depuis), words.Because(v.InForce.Motif))
	if !whole {
		return
	}
	line := liner(b)
	line("structure", "%s", v.Structure)
	line("other ids", "%s", words.Join(v.Structures, " "))
	line("where", "%s", strings.Trim(v.Departement+" "+v.Region, " "))
	line("software", "%s", v.GAP)
	line("contract", "%s", v.Contrat)
	for i, c := range v.Etats {
		name := ""
		if i == 0 {
			name = "states"
		}
		mark := ""
		if c == v.InForce {
			mark = "   <- in force"
		}
		line(name, "%s%s%s%s", words.State(c), words.Since(c.Depuis), words.Because(c.Motif), mark)
	}
	if v.next != nil {
		line("next", "%s on %s", words.State(*v.next), v.next.Depuis)
	}
	line("reaches", "%s", v.reachWords())
	line("sites", "%s", siteWords(v.EGs))
	line("versions", "%s", strings.Join(v.Versions, ", "))
	line("limit", "%s", words.Limit(v.Limite))
	if v.SansTimestamp {
		line("timestamp", "not required")
	}
	for _, m := range v.Mandats {
		line("mandate", "%s may sign%s", m.Structure, words.Dates(m.Period))
	}
	writeContacts(line, v.Contacts)
	writeAlertes(line, v.Alertes)
}

func (v *EtablissementView) reachWords() string {
	switch n := len(v.Reaches); {
	case n == 0:
		return "nobody"
	case v.everyone:
		return "the circle: " + words.Plural(n, "AMC")
	default:
		return words.Some(v.Reaches)
	}
}

func siteWords(egs []roc.FINESS) string {
	if len(egs) == 0 {
		return "none"
	}
	const most = 20
	if len(egs) <= most {
		return fmt.Sprintf("%d: %s", len(egs), words.Join(egs, " "))
	}
	return fmt.Sprintf("%d: %s ... (--json gives them all)", len(egs), words.Join(egs[:most], " "))
}

func (v *AMCView) write(b *strings.Builder, whole bool) {
	fmt.Fprintf(b, "AMC %s  %s: %s%s%s\n", v.Numeros[0], v.Nom, words.AMCState(v.InForce.Etat), words.Since(v.InForce.Depuis), words.Because(v.InForce.Motif))
	if !whole {
		return
	}
	line := liner(b)
	line("numbers", "%s", words.Join(v.Numeros, " "))
	for i, c := range v.Etats {
		name := ""
		if i == 0 {
			name = "states"
		}
		mark := ""
		if c == v.InForce {
			mark = "   <- in force"
		}
		line(name, "%s%s%s%s", words.AMCState(c.Etat), words.Since(c.Depuis), words.Because(c.Motif), mark)
	}
	if v.next != nil {
		line("next", "%s on %s", v.next.Etat, v.next.Depuis)
	}
	line("trials with", "%s", words.Join(v.Essais, " "))
	for _, d := range v.Domaines {
		line("domain", "%s%s", d.Nom, words.Dates(d.Period))
	}
	if len(v.Domaines) == 0 {
		line("domain", "none is known")
	}
	line("versions", "%s", strings.Join(v.Versions, ", "))
	line("limit", "%s", words.Limit(v.Limite))
	line("times", "%s", words.Times(v.Delais))
	line("portal", "%s", words.Join(v.Structures, " "))
	if n := len(v.MiroirOf); n > 0 {
		line("AMC miroir of", "%s: %s", words.Plural(n, "establishment"), words.Join(v.MiroirOf, " "))
	}
	writeContacts(line, v.Contacts)
	writeAlertes(line, v.Alertes)
}

// liner writes one line a field; an empty field has none.
func liner(b *strings.Builder) func(name, format string, args ...any) {
	return func(name, format string, args ...any) {
		if s := fmt.Sprintf(format, args...); strings.TrimSpace(s) != "" {
			fmt.Fprintf(b, "  %-14s %s\n", name, s)
		}
	}
}

func writeAlertes(line func(string, string, ...any), alertes []register.Alerte) {
	for _, a := range alertes {
		of := "every AMC"
		if len(a.Organismes) > 0 {
			of = words.Join(a.Organismes, " ")
		}
		line("alert", "%s (%s)", a.Courriel+a.Webhook, of)
	}
}

func writeContacts(line func(string, string, ...any), contacts []register.Contact) {
	for _, c := range contacts {
		var parts []string
		for _, p := range []string{c.Role, c.Courriel, c.Telephone} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		line("contact", "%s: %s", c.Nom, strings.Join(parts, ", "))
	}
}
