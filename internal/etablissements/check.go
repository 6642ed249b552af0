package etablissements

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
)

// checkAMCs indexes the AMCs by number and refuses what the shape of the file
// does not: a number twice, a domain twice.
func checkAMCs(l *List, doc *strict.Document) {
	l.byNumero = make(map[roc.NumeroAMC]*AMC, 2*len(l.amcs))
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
			first[n], l.byNumero[n] = [2]int{i, j}, a
		}
		refuseTwice(doc, a.Domaines, "domain", "amcs", i, "domaines")
	}
}

// checkEtablissements indexes the establishments by site and refuses what the
// shape of the file does not. amcsKnown says whether the AMCs could be read:
// if not, nothing is said of the AMCs miroirs.
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
		checkMiroir(l, doc, i, amcsKnown)
		checkMandats(l, doc, i)
		if !isDepartement(e.Departement) {
			doc.Refuse(doc.At("etablissements", i, "departement"), `write it like "01", "2A" or "971"`,
				"%.20q is not the code of a département", e.Departement)
		}
		refuseTwice(doc, e.Versions, "version", "etablissements", i, "versions")
	}
	l.bySite = sites.owner
}

// sites finds whom each FINESS belongs to.
type sites struct {
	list  *List
	doc   *strict.Document
	owner map[roc.FINESS]*Etablissement
	first map[roc.FINESS]sitePlace
}

// A sitePlace is a row, and an index in its EGs, or -1 for its EJ.
type sitePlace struct{ row, eg int32 }

func newSites(l *List, doc *strict.Document) *sites {
	n := len(l.etablissements)
	for i := range l.etablissements {
		n += len(l.etablissements[i].EGs)
	}
	return &sites{l, doc, make(map[roc.FINESS]*Etablissement, n), make(map[roc.FINESS]sitePlace, n)}
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
	s.first[f], s.owner[f] = sitePlace{int32(row), int32(eg)}, &s.list.etablissements[row]
}

func (s *sites) at(row, eg int) strict.Place {
	if eg < 0 {
		return s.doc.At("etablissements", row, "finess_ej")
	}
	return s.doc.At("etablissements", row, "finess_eg", eg)
}

// named puts the name of the first row beside its place.
func named(nom string) string {
	if nom == "" {
		return ""
	}
	return " (" + nom + ")"
}

func checkMiroir(l *List, doc *strict.Document, i int, amcsKnown bool) {
	e := &l.etablissements[i]
	switch {
	case e.Miroir == "" && e.Etat == Surveillance:
		doc.Refuse(doc.At("etablissements", i, "amc_miroir"), "add a line `amc_miroir: ...` with a number of the list of AMCs", "an establishment under surveillance needs its AMC miroir")
	case e.Miroir == "" || !amcsKnown:
	case l.byNumero[e.Miroir] == nil:
		doc.Refuse(doc.At("etablissements", i, "amc_miroir"), "add that AMC to the list of AMCs, or correct the number", "no AMC has the number %s", e.Miroir)
	case e.Etat == Surveillance && l.byNumero[e.Miroir].Etat == AMCValidation:
		doc.Refuse(doc.At("etablissements", i, "amc_miroir"), "name an AMC of the circle: under surveillance the patients are real",
			"the AMC %s is a validation platform", e.Miroir)
	}
}

func checkMandats(l *List, doc *strict.Document, i int) {
	e := &l.etablissements[i]
	for j, m := range e.Mandats {
		if m != "" && m == e.Structure {
			doc.Refuse(doc.At("etablissements", i, "mandats", j), "remove it", "an establishment signs its own messages without a mandate")
		}
	}
	refuseTwice(doc, e.Mandats, "mandate", "etablissements", i, "mandats")
}

// refuseTwice refuses a value that a short list holds twice.
func refuseTwice[T ~string | ~uint8](doc *strict.Document, values []T, what string, path ...any) {
	var zero T
	for j, v := range values {
		for k, w := range values[:j] {
			if v == w && v != zero {
				doc.Refuse(doc.At(append(path[:len(path):len(path)], j)...), "keep it once",
					"this %s is given twice: first at %s", what, doc.At(append(path[:len(path):len(path)], k)...))
				break
			}
		}
	}
}

// isDepartement accepts two or three digits and capital letters, or nothing.
func isDepartement(s string) bool {
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
