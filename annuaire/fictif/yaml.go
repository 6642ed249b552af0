package fictif

import (
	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
)

// ParseYAML reads rows under the key "lignes". Numbers are read as text: an
// unquoted 077565712 stays what it says. The error is a strict.Errors.
func ParseYAML(file string, data []byte) (*Rows, error) {
	var f struct {
		Lignes []yamlRow `yaml:"lignes" strict:"required"`
	}
	doc := strict.Read(file, data, &f,
		strict.Text(roc.ParseNumeroAMC, "0077565712"),
		strict.Text(roc.ParseConvention, "RO"),
		strict.Text(annuaire.ParseCSRPattern, "94???????"),
		strict.Text(roc.ParseDomaine, "HOSP"),
		strict.Text(ParseDay, "2026-12-31"))
	rows, said := make([]Row, len(f.Lignes)), claims{}
	for i := range f.Lignes {
		rows[i] = f.Lignes[i].row()
		if field, problem := rows[i].complete(); problem != "" {
			doc.Refuse(doc.At("lignes", i, field), "", "%s", problem)
		}
		if twin := said.add(rows, i); twin >= 0 {
			doc.Refuse(doc.At("lignes", i), "remove one of them, or make their days differ",
				"this row says the same as the one of line %d", doc.At("lignes", twin).Line())
		}
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return index(rows), nil
}

// A yamlRow is a Row whose roc may be left out.
type yamlRow struct {
	Row `yaml:",inline"`
	ROC *bool `yaml:"roc"`
}

func (y *yamlRow) row() Row {
	r := y.Row
	r.ROC = y.ROC == nil || *y.ROC
	return r
}
