package fictif

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Row is one address of one AMC. URL is the address of a service, MEL the
// mail address of the invoices (DRE); a row has one of them.
type Row struct {
	AMC        roc.NumeroAMC       `yaml:"numero_amc" strict:"required"`
	Nom        string              `yaml:"nom" strict:"required"`
	ROC        bool                `yaml:"-"`          // column roc; default: true
	Convention roc.Convention      `yaml:"convention"` // "": every convention
	CSR        annuaire.CSRPattern `yaml:"csr"`        // '?' stands for one character; "": every CSR
	Domaine    roc.Domaine         `yaml:"domaine"`    // "": every domaine
	Service    string              `yaml:"service"`    // IDB, SIM, CLC or ANL; nothing or DRE with mel
	Version    string              `yaml:"version"`    // V1 or V2; nothing or V1.0 with mel
	URL        string              `yaml:"url"`
	MEL        string              `yaml:"mel"`
	Debut      Day                 `yaml:"debut" strict:"required"` // first day of validity
	Fin        Day                 `yaml:"fin" strict:"required"`   // last one, included
}

// columns are the names of a row's fields, in the order of a CSV header.
var columns = []string{"numero_amc", "nom", "roc", "convention", "csr", "domaine", "service", "version", "url", "mel", "debut", "fin"}

// A Day is a day in France: the instant at which it starts, Europe/Paris.
type Day struct{ time.Time }

// ParseDay reads a day, "2026-12-31".
func ParseDay(s string) (Day, error) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		return Day{}, err
	}
	t, err := time.ParseInLocation(time.DateOnly, s, paris)
	if err != nil {
		return Day{}, errors.New("a day is written YYYY-MM-DD")
	}
	return Day{t}, nil
}

// Rows are the rows of one file, checked. They never change.
type Rows struct {
	rows  []Row
	byAMC map[roc.NumeroAMC][]Row // in the order of the file
}

// Load reads a file of rows: .yaml, .yml or .csv. The error says everything
// that is wrong, with file and line.
func Load(file string) (*Rows, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".yaml", ".yml":
		return ParseYAML(file, data)
	case ".csv":
		return ParseCSV(file, data)
	}
	return nil, fmt.Errorf("%s: rows are read from .yaml, .yml or .csv", file)
}

// NewRows takes rows made by a program. The error names the first that is
// wrong, by its index.
func NewRows(rows []Row) (*Rows, error) {
	rows, said := slices.Clone(rows), claims{}
	for i := range rows {
		if field, problem := rows[i].complete(); problem != "" {
			return nil, fmt.Errorf("row %d: %s: %s", i, field, problem)
		}
		if twin := said.add(rows, i); twin >= 0 {
			return nil, fmt.Errorf("row %d says the same as row %d", i, twin)
		}
	}
	return index(rows), nil
}

func index(rows []Row) *Rows {
	r := &Rows{rows: rows, byAMC: make(map[roc.NumeroAMC][]Row)}
	for _, row := range rows {
		r.byAMC[row.AMC] = append(r.byAMC[row.AMC], row)
	}
	return r
}

// Len returns how many rows there are.
func (r *Rows) Len() int { return len(r.rows) }

// complete fills what a mail row may leave out, and returns which field is
// wrong and why, or "".
func (r *Row) complete() (field, problem string) {
	if r.MEL != "" && r.Service == "" {
		r.Service = serviceDRE
	}
	if r.MEL != "" && r.Version == "" {
		r.Version = versionDRE
	}
	switch {
	case r.URL == "" && r.MEL == "":
		return "url", "a row has an url or a mel"
	case r.URL != "" && r.MEL != "":
		return "mel", "a row has an url or a mel, not both"
	case r.MEL != "" && (r.Service != serviceDRE || r.Version != versionDRE):
		return "service", "a mel is the address of DRE V1.0"
	case r.MEL != "":
	case !isService(r.Service):
		return "service", "a row with an url has a service: " + roc.OneOf(roc.AMCServices)
	case r.Version != roc.V1.String() && r.Version != roc.V2.String():
		return "version", "a row with an url has a version: V1 or V2"
	}
	if r.Fin.Before(r.Debut.Time) {
		return "fin", "the last day of validity is before the first"
	}
	return "", ""
}

const (
	serviceDRE = "DRE"
	versionDRE = "V1.0"
	normeDRE   = "DRE"
)

func isService(s string) bool {
	v, err := roc.ParseService(s)
	return err == nil && v != roc.Annuaire
}

// claims finds rows that answer the same questions on the same days: nothing
// would tell which one wins.
type claims map[claim][]int

type claim struct {
	pattern annuaire.Pattern
	place   message.Adresse
}

// add takes row i, and returns an earlier row that says the same, or -1.
func (c claims) add(rows []Row, i int) (twin int) {
	r := &rows[i]
	k := claim{r.pattern(), r.place()}
	twin = -1
	for _, j := range c[k] {
		if o := &rows[j]; !o.Fin.Before(r.Debut.Time) && !r.Fin.Before(o.Debut.Time) {
			twin = j
		}
	}
	c[k] = append(c[k], i)
	return twin
}

func (r *Row) pattern() annuaire.Pattern {
	return annuaire.Pattern{AMC: r.AMC, Convention: r.Convention, CSR: r.CSR, Domaine: r.Domaine}
}

// place is what an answer holds one address of: service, norm, version and
// type.
func (r *Row) place() message.Adresse {
	if r.MEL != "" {
		return message.Adresse{Service: r.Service, Norme: normeDRE, Version: r.Version, Type: message.TypeMEL}
	}
	return message.Adresse{Service: r.Service, Norme: message.NormeROC, Version: r.Version, Type: message.TypeURL}
}

func (r *Row) adresse() message.Adresse {
	a := r.place()
	a.Valeur = r.URL + r.MEL
	return a
}

func (r *Row) validAt(at time.Time) bool {
	return !at.Before(r.Debut.Time) && at.Before(r.Fin.AddDate(0, 0, 1))
}
