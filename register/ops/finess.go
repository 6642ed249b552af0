package ops

import (
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// etalab is the order of the columns of the public extract of FINESS
// ("etalab-cs1100502-stock"), which names none: its first line says
// finess;etalab;..., and each of the others begins with the kind of its row.
var etalab = []string{
	"section", "nofinesset", "nofinessej", "rs", "rslongue", "complrs", "compldistrib", "numvoie", "typvoie", "voie", "compvoie", "lieuditbp",
	"commune", "departement", "libdepartement",
}

// structureET is the section of the rows that are sites.
const structureET = "structureet"

// An extract is what the FINESS extract says: its legal entities, in the order
// of their first site.
type extract struct {
	entities []*entity
	byEJ     map[roc.FINESS]*entity
	sites    int
}

type entity struct {
	ej          roc.FINESS
	egs         []roc.FINESS
	nom         string // of its first site
	departement string
}

// readFINESS reads an extract of FINESS: with the names of its columns on the
// first line (nofinesset, nofinessej, rs or rslongue, departement; others are
// left alone), or as it is published.
func readFINESS(f File) (*extract, error) {
	t := openTable(f)
	x := &extract{byEJ: map[roc.FINESS]*entity{}}
	if !t.finessHeader() {
		return x, t.err()
	}
	first := map[roc.FINESS]int{}
	for t.read() {
		if section := t.get("section"); section != "" && !strings.EqualFold(section, structureET) {
			continue // geolocalisation, in some extracts
		}
		eg := need(t, "nofinesset", roc.ParseFINESS, "010003820")
		ej := need(t, "nofinessej", roc.ParseFINESS, "010003812")
		if eg == "" || ej == "" {
			continue
		}
		if line, twice := first[eg]; twice {
			t.refuse("nofinesset", "keep one of the two rows", "the site %s is given twice: first on line %d", eg, line)
			continue
		}
		first[eg] = t.line(0)
		x.add(ej, eg, t)
	}
	if len(x.entities) == 0 && len(t.errs) == 0 {
		t.row = nil
		t.errs = append(t.errs, at(t.name, 1, "the file holds no site", "a row of the extract begins with structureet;"))
	}
	return x, t.err()
}

// finessHeader determines the columns.
func (t *table) finessHeader() bool {
	if !t.read() {
		t.errs = append(t.errs, at(t.name, 1, "the file is empty", "give the extract of FINESS"))
		return false
	}
	names := strings.ToLower(strings.Join(t.row, ";"))
	switch {
	case strings.Contains(names, "nofinesset"), strings.Contains(names, "nofinessej"):
		needed := []string{"nofinesset", "nofinessej", "departement"}
		if !strings.Contains(names, "rslongue") {
			needed = append(needed, "rs")
		}
		t.header(needed...)
		return len(t.errs) == 0
	case columnName(t.row[0]) == "finess" && len(t.row) > 1 && columnName(t.row[1]) == "etalab":
	case columnName(t.row[0]) == structureET:
		t.again()
	default:
		t.refuseAt(0, "", "give the file as it is published (first line finess;etalab;...), or name its columns on the first line: nofinesset, nofinessej, rs, departement",
			"this is not an extract of FINESS")
		return false
	}
	t.columns = map[string]int{}
	for i, name := range etalab {
		t.columns[name] = i
	}
	return true
}

func (x *extract) add(ej, eg roc.FINESS, t *table) {
	e := x.byEJ[ej]
	if e == nil {
		e = &entity{ej: ej, nom: t.get("rslongue"), departement: t.get("departement")}
		if e.nom == "" {
			e.nom = t.get("rs")
		}
		if e.nom == "" {
			t.refuse("rs", "give the name of the site", "the name is missing")
		}
		if e.departement == "" || !register.IsDepartement(e.departement) {
			t.refuse("departement", `write it like 01, 2A or 971`, "%.20q is not the code of a département", e.departement)
			e.departement = ""
		}
		x.byEJ[ej] = e
		x.entities = append(x.entities, e)
	}
	e.egs = append(e.egs, eg)
	x.sites++
}
