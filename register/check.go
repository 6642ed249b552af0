package register

import (
	"net/mail"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
)

// checkAMCs indexes the AMCs by number and refuses what the format of the file
// cannot: a number twice, a domain twice, dates that go backwards.
func checkAMCs(l *List, doc *strict.Document) {
	l.byNumero = make(map[roc.NumeroAMC]int32, 2*len(l.amcs))
	first := make(map[roc.NumeroAMC][2]int, 2*len(l.amcs))
	for i := range l.amcs {
		a := &l.amcs[i]
		for j, n := range a.Numeros {
			if n == "" {
				continue
			}
			if at, twice := first[n]; twice {
				doc.Refuse(doc.At("amcs", i, "numeros", j), "a number belongs to one AMC: keep it once",
					"the number %s is given twice: first at %s%s", n, doc.At("amcs", at[0], "numeros", at[1]), named(l.amcs[at[0]].Nom))
				continue
			}
			first[n], l.byNumero[n] = [2]int{i, j}, int32(i)
		}
		if a.Limite.Rafale > 0 && a.Limite.ParSeconde == 0 {
			doc.Refuse(doc.At("amcs", i, "limite"), "add par_seconde, or remove rafale", "the limit of an AMC needs its par_seconde: there is no default")
		}
		if l := a.Limite; l.Connexions > 0 || l.Octets > 0 || l.ParOrganisme > 0 || l.OctetsParSeconde > 0 || l.RafaleOctets > 0 || l.Mode != "" {
			doc.Refuse(doc.At("amcs", i, "limite"), "remove connexions, octets, par_organisme, octets_par_seconde, rafale_octets and mode", "an AMC has par_seconde, rafale and en_cours: the others are an establishment's")
		}
		if a.Delais.Annuaire != 0 {
			doc.Refuse(doc.At("amcs", i, "delais", "ANNUAIRE"), "keep only "+roc.OneOf(roc.AMCServices), "an AMC answers no search: the annuaire does")
		}
		checkEtatsAMC(a, doc, i)
		refuseTwice(doc, a.Connus, func(d Domaine) DNSName { return d.Nom }, "domain", "amcs", i, "domaines")
		for j := range a.Connus {
			checkPeriod(doc, a.Connus[j].Period, "amcs", i, "domaines", j)
		}
		refuseTwice(doc, a.Versions, itself, "version", "amcs", i, "versions")
		refuseTwice(doc, a.Structures, itself, "structure id", "amcs", i, "structures")
		checkContacts(doc, a.Contacts, "amcs", i)
		checkAlertes(l, doc, a.Alertes, false, "amcs", i)
	}
}

// checkEtablissements indexes the establishments by site and refuses what the
// format of the file cannot. amcsKnown says whether the AMCs could be read: if
// not, the AMCs miroirs are not checked.
func checkEtablissements(l *List, doc *strict.Document, amcsKnown bool) {
	sites := newSites(l, doc)
	for i := range l.etablissements {
		e := &l.etablissements[i]
		if e.EJ != "" {
			e.Structure = roc.StructureOf(e.EJ)
		}
		sites.add(e.EJ, i, -1)
		for j, eg := range e.EGs {
			sites.add(eg, i, j)
		}
		checkEtats(l, doc, i, amcsKnown)
		checkMandats(l, doc, i)
		if !IsDepartement(e.Departement) {
			doc.Refuse(doc.At("etablissements", i, "departement"), `write it like "01", "2A" or "971"`,
				"%.20q is not the code of a département", e.Departement)
		}
		refuseTwice(doc, e.Versions, itself, "version", "etablissements", i, "versions")
		checkContacts(doc, e.Contacts, "etablissements", i)
		checkAlertes(l, doc, e.Alertes, amcsKnown, "etablissements", i)
	}
	l.bySite = sites.owner
	checkStructures(l, doc)
}

// checkStructures indexes the establishments by the other structure ids that
// their certificates may carry.
func checkStructures(l *List, doc *strict.Document) {
	l.byOther = map[roc.StructureID]int32{}
	first := map[roc.StructureID][2]int{}
	for i := range l.etablissements {
		for j, id := range l.etablissements[i].Structures {
			if id == "" {
				continue
			}
			at := doc.At("etablissements", i, "structures", j)
			if _, ok := id.FINESS(); ok {
				doc.Refuse(at, "write a SIREN (2 and 9 digits) or a SIRET (3 and 14 digits); a FINESS goes to finess_ej or finess_eg", "%s is made of a FINESS", id)
				continue
			}
			if f, twice := first[id]; twice {
				doc.Refuse(at, "a structure id belongs to one establishment: keep it once", "the structure id %s is given twice: first at %s%s",
					id, doc.At("etablissements", f[0], "structures", f[1]), named(l.etablissements[f[0]].Nom))
				continue
			}
			first[id], l.byOther[id] = [2]int{i, j}, int32(i)
		}
	}
}

// sites finds whom each FINESS belongs to.
type sites struct {
	list  *List
	doc   *strict.Document
	owner map[roc.FINESS]int32
	first map[roc.FINESS]siteIndex
}

// A siteIndex is a row, and an index in its EGs, or -1 for its EJ.
type siteIndex struct{ row, eg int32 }

func newSites(l *List, doc *strict.Document) *sites {
	n := len(l.etablissements)
	for i := range l.etablissements {
		n += len(l.etablissements[i].EGs)
	}
	return &sites{l, doc, make(map[roc.FINESS]int32, n), make(map[roc.FINESS]siteIndex, n)}
}

func (s *sites) add(f roc.FINESS, row, eg int) {
	if f == "" {
		return
	}
	if at, twice := s.first[f]; twice {
		s.doc.Refuse(s.at(row, eg), "a FINESS belongs to one establishment, as its EJ or as one of its EGs: keep it once",
			"the FINESS %s is given twice: first at %s%s", f, s.at(int(at.row), int(at.eg)), named(s.list.etablissements[at.row].Nom))
		return
	}
	s.first[f], s.owner[f] = siteIndex{int32(row), int32(eg)}, int32(row)
}

func (s *sites) at(row, eg int) strict.Position {
	if eg < 0 {
		return s.doc.At("etablissements", row, "finess_ej")
	}
	return s.doc.At("etablissements", row, "finess_eg", eg)
}

// named adds the name of the first row to its position.
func named(nom string) string {
	if nom == "" {
		return ""
	}
	return " (" + nom + ")"
}

// bothEtats is the remedy for a row that gives its state in two ways: an
// operator who changes `etat` to suspend at once must not be overruled by a
// date further down.
const bothEtats = "keep one of the two: write the state of today as the last entry of etats whose date is past, and remove etat"

// checkEtats checks the states of an establishment and their AMCs miroirs. It
// turns `etat` alone into a state without a date.
func checkEtats(l *List, doc *strict.Document, i int, amcsKnown bool) {
	e := &l.etablissements[i]
	if len(e.Etats) == 0 {
		if e.Etat != "" {
			e.Etats = []Changement{{Etat: e.Etat, Miroir: e.Miroir, Motif: e.Motif}}
		}
		e.flags()
		checkMiroir(l, doc, e.Etat, e.Miroir, amcsKnown, "etablissements", i, "amc_miroir")
		return
	}
	if e.Etat != "" {
		doc.Refuse(doc.At("etablissements", i, "etat"), bothEtats, "the state is given twice: by etat and by etats")
	}
	if e.Miroir != "" {
		doc.Refuse(doc.At("etablissements", i, "amc_miroir"), "move it into the entry of etats that it belongs to", "beside etats, the AMC miroir has no date")
	}
	if e.Motif != "" {
		doc.Refuse(doc.At("etablissements", i, "motif"), "move it into the entry of etats that it belongs to", "beside etats, the motif has no date")
	}
	e.flags()
	for j, c := range e.Etats {
		if j > 0 && !c.Depuis.IsZero() && !e.Etats[j-1].Depuis.Before(c.Depuis.Time) {
			doc.Refuse(doc.At("etablissements", i, "etats", j, "depuis"), inOrder, "%s is not after %s, the date of the entry before", c.Depuis, e.Etats[j-1].Depuis)
		}
		checkMiroir(l, doc, c.Etat, c.Miroir, amcsKnown, "etablissements", i, "etats", j, "amc_miroir")
	}
}

// flags gives each state what the row says for all of them.
func (e *Etablissement) flags() {
	for j := range e.Etats {
		c := &e.Etats[j]
		c.AccrochageComplet = c.Etat == Accrochage && (c.AccrochageComplet || e.AccrochageComplet)
		c.Formation = c.Etat == Cercle && (c.Formation || e.Formation)
	}
}

const inOrder = "put the entries in the order of their dates, one for each date"

// checkEtatsAMC checks the states of an AMC, and makes of `etat` alone a state
// without a date.
func checkEtatsAMC(a *AMC, doc *strict.Document, i int) {
	if len(a.Etats) == 0 {
		if a.Etat != "" {
			a.Etats = []ChangementAMC{{Etat: a.Etat, Motif: a.Motif}}
		}
		if a.Etat == AMCMaintenance {
			doc.Refuse(doc.At("amcs", i, "etat"), "write etats: the state before it, then {depuis: ..., etat: maintenance, jusque: ...}; without a known end, write suspendu",
				"a maintenance has a first and a last instant")
		}
		return
	}
	if a.Etat != "" {
		doc.Refuse(doc.At("amcs", i, "etat"), bothEtats, "the state is given twice: by etat and by etats")
	}
	if a.Motif != "" {
		doc.Refuse(doc.At("amcs", i, "motif"), "move it into the entry of etats that it belongs to", "beside etats, the motif has no date")
	}
	for j, c := range a.Etats {
		if j > 0 && !c.Depuis.IsZero() && !a.Etats[j-1].Depuis.Before(c.Depuis.Time) {
			doc.Refuse(doc.At("amcs", i, "etats", j, "depuis"), inOrder, "%s is not after %s, the date of the entry before", c.Depuis, a.Etats[j-1].Depuis)
		}
	}
	a.Etats = maintained(a.Etats, doc, i)
}

// maintained checks the maintenances of an AMC, and puts after each what the
// AMC was before it: that comes back at the end, by itself.
func maintained(etats []ChangementAMC, doc *strict.Document, i int) []ChangementAMC {
	var all []ChangementAMC
	var before *ChangementAMC // the last one that is no maintenance
	for j, c := range etats {
		at := []any{"amcs", i, "etats", j}
		all = append(all, c)
		if c.Etat != AMCMaintenance {
			before = &etats[j]
		}
		switch {
		case c.Etat != AMCMaintenance && c.Jusque.IsZero():
		case c.Etat != AMCMaintenance:
			doc.Refuse(doc.At(append(at, "jusque")...), "remove jusque: the next entry says from when something else holds", "only a maintenance has an end of its own")
		case c.Jusque.IsZero():
			doc.Refuse(doc.At(at...), "add jusque: its last day, or its end; without a known end, write suspendu", "a maintenance needs its end")
		case Period{c.Depuis, c.Jusque}.backwards():
			checkPeriod(doc, Period{c.Depuis, c.Jusque}, at...)
		case before == nil:
			doc.Refuse(doc.At(at...), "write before it the state that the AMC has outside its maintenance", "nothing says what the AMC is after this maintenance")
		case j+1 < len(etats) && !etats[j+1].Depuis.IsZero() && etats[j+1].Depuis.Before(c.Jusque.end()):
			doc.Refuse(doc.At("amcs", i, "etats", j+1, "depuis"), "end the maintenance before this entry, or begin the entry later", "%s is within the maintenance before it, which ends on %s", etats[j+1].Depuis, c.Jusque)
		case j+1 < len(etats) && etats[j+1].Depuis.Equal(c.Jusque.end()): // the next entry says what comes then
		default:
			again := *before
			again.Depuis = c.Jusque.after()
			all = append(all, again)
		}
	}
	return all
}

// checkEssais checks that the establishments of the trials of an AMC are in the
// register.
func checkEssais(l *List, doc *strict.Document) {
	for i := range l.amcs {
		a := &l.amcs[i]
		refuseTwice(doc, a.EssaisAvec, itself, "establishment", "amcs", i, "essais_avec")
		for j, f := range a.EssaisAvec {
			if f == "" {
				continue
			}
			if e, ok := l.BySite(roc.FINESS(f)); !ok {
				doc.Refuse(doc.At("amcs", i, "essais_avec", j), "add that establishment to the list of establishments, or remove it here", "no establishment has the FINESS %s", f)
			} else if e.EJ != roc.FINESS(f) {
				doc.Refuse(doc.At("amcs", i, "essais_avec", j), "name the legal entity: "+string(e.EJ), "%s is a site (EG)", f)
			}
		}
	}
}

// checkOwners refuses a structure id that stands for an establishment and for an
// AMC: who shows it would be both.
func checkOwners(l *List, doc *strict.Document) {
	for i := range l.amcs {
		for j, id := range l.amcs[i].Structures {
			if e, ok := l.ByStructure(id); ok && id != "" {
				doc.Refuse(doc.At("amcs", i, "structures", j), "give the id of the AMC's own certificates, or remove it from the establishment", "the structure id %s is one of establishment %s", id, e.EJ)
			}
		}
	}
}

// checkMiroir checks the AMC miroir of one state; path is where it is written.
func checkMiroir(l *List, doc *strict.Document, etat Etat, miroir roc.NumeroAMC, amcsKnown bool, path ...any) {
	switch {
	case miroir == "" && etat == Surveillance:
		doc.Refuse(doc.At(path...), "add a line `amc_miroir: ...` with a number of the list of AMCs", "an establishment under surveillance needs its AMC miroir")
	case miroir == "" || !amcsKnown:
	default:
		amc, ok := l.AMC(miroir)
		if !ok {
			doc.Refuse(doc.At(path...), "add that AMC to the list of AMCs, or correct the number", "no AMC has the number %s", miroir)
		} else if etat == Surveillance && amc.everValidation() {
			doc.Refuse(doc.At(path...), "name an AMC of the circle: under surveillance the patients are real",
				"the AMC %s is a validation platform", miroir)
		}
	}
}

// everValidation reports whether the AMC is, was or will be a validation
// platform. An insurer on trial is none, before its trials, during and after.
func (a *AMC) everValidation() bool {
	if len(a.EssaisAvec) > 0 {
		return false
	}
	for _, c := range a.Etats {
		if c.Etat == AMCValidation {
			return true
		}
	}
	return false
}

func checkMandats(l *List, doc *strict.Document, i int) {
	e := &l.etablissements[i]
	for j, m := range e.Delegations {
		if m.Structure != "" && m.Structure == e.Structure {
			doc.Refuse(doc.At("etablissements", i, "mandats", j), "remove it", "an establishment signs its own messages without a mandate")
		}
		checkPeriod(doc, m.Period, "etablissements", i, "mandats", j)
	}
	refuseTwice(doc, e.Delegations, func(m Mandat) roc.StructureID { return m.Structure }, "mandate", "etablissements", i, "mandats")
}

func checkPeriod(doc *strict.Document, p Period, path ...any) {
	if p.backwards() {
		doc.Refuse(doc.At(append(path, "jusque")...), "the last day comes after the first", "jusque (%s) is before depuis (%s)", p.Jusque, p.Depuis)
	}
}

func checkContacts(doc *strict.Document, contacts []Contact, path ...any) {
	for j, c := range contacts {
		at := append(path[:len(path):len(path)], "contacts", j)
		switch {
		case c.Nom == "": // reported already: it is required
		case c.Courriel == "" && c.Telephone == "":
			doc.Refuse(doc.At(at...), "add a line `courriel: ...` or `telephone: ...`", "this contact has neither e-mail address nor telephone")
		case c.Courriel != "" && !IsCourriel(c.Courriel):
			doc.Refuse(doc.At(append(at, "courriel")...), "write it like dsi@chu.example", "%.60q is not an e-mail address", c.Courriel)
		}
	}
}

// IsCourriel reports whether a text may be an e-mail address: somebody at a name
// of the DNS that has a dot.
func IsCourriel(s string) bool {
	who, where, _ := strings.Cut(s, "@")
	domain, err := ParseDNSName(where)
	if err != nil || domain.SingleLabel() || who == "" || strings.ContainsAny(who, " \t\r\n,;<>\"") {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// refuseTwice refuses an item that a short list names twice.
func refuseTwice[T any, K comparable](doc *strict.Document, items []T, name func(T) K, what string, path ...any) {
	var zero K
	for j, v := range items {
		for k, w := range items[:j] {
			if name(v) == name(w) && name(v) != zero {
				doc.Refuse(doc.At(append(path[:len(path):len(path)], j)...), "keep it once",
					"this %s is given twice: first at %s", what, doc.At(append(path[:len(path):len(path)], k)...))
				break
			}
		}
	}
}

func itself[T any](v T) T { return v }

// IsDepartement reports whether a text may be the code of a département: two or
// three digits and capital letters ("01", "2A", "971"), or nothing.
func IsDepartement(s string) bool {
	if s == "" {
		return true
	}
	if len(s) < 2 || len(s) > 3 || s[0] < '0' || s[0] > '9' {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'A' || s[i] > 'Z') {
			return false
		}
	}
	return true
}
