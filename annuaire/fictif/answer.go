package fictif

import (
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"

	"github.com/piano-roc/rpn/annuaire"
)

// Answer says what the rows answer to a search at that instant: for each
// service, norm, version and type one address, from the most specific row that
// matches. An AMC without a row that matches is unknown, code 01. Which
// service was asked changes nothing: the answer lists them all.
func (r *Rows) Answer(s message.SearchRequest, at time.Time) message.SearchAnswer {
	k := roc.Key{AMC: s.AMC, Convention: s.Convention, CSR: s.CSR, Domaine: s.Domaine}
	var valid []Row
	for _, row := range r.byAMC[k.AMC] {
		if row.validAt(at) {
			valid = append(valid, row)
		}
	}
	best := annuaire.Best(valid, (*Row).pattern, k)
	if best < 0 {
		return message.SearchAnswer{Code: message.RetourInconnu, Libelle: "Organisme inconnu"}
	}
	a := message.SearchAnswer{Code: message.RetourTrouve, Libelle: "Organisme trouvé",
		AMC: k.AMC, Nom: valid[best].Nom, ROC: valid[best].ROC, Debut: valid[best].Debut.Time, Fin: valid[best].Fin.Time}
	for _, row := range chosen(valid, k) {
		a.Debut, a.Fin = later(a.Debut, row.Debut.Time), earlier(a.Fin, row.Fin.Time)
		if wants(s.Types, row.place().Type) {
			a.Adresses = append(a.Adresses, row.adresse())
		}
	}
	return a
}

// chosen returns the most specific row of each place, in the order of the file.
func chosen(rows []Row, k roc.Key) []Row {
	places := make(map[message.Adresse][]Row)
	var order []message.Adresse
	for _, row := range rows {
		p := row.place()
		if _, seen := places[p]; !seen {
			order = append(order, p)
		}
		places[p] = append(places[p], row)
	}
	var list []Row
	for _, p := range order {
		if i := annuaire.Best(places[p], (*Row).pattern, k); i >= 0 {
			list = append(list, places[p][i])
		}
	}
	return list
}

// wants reports whether a search asks for addresses of that type; one that
// names none asks for URLs.
func wants(types []string, t string) bool {
	return slices.Contains(types, t) || len(types) == 0 && t == message.TypeURL
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
