package portal

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// certificatesPage is what ends, the nearest end first; for an operator by
// région and département.
func certificatesPage(q *question) (any, error) {
	values := q.URL.Query()
	within := -1
	if s := values.Get("jours"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 10_000 {
			return nil, badRequest("jours est un nombre de jours : 30.")
		}
		within = n
	}
	region, departement := values.Get("region"), values.Get("departement")
	all := q.about.Certificates()
	list := slices.DeleteFunc(slices.Clone(all), func(e expiry.Expiry) bool {
		return region != "" && e.Region != region || departement != "" && e.Departement != departement || within >= 0 && (e.Days >= within || e.Renewed)
	})
	p := &page{Title: "Certificats", Lead: q.subjectName() + ". Ceux qui ont été vus ou qui sont configurés, la fin la plus proche d'abord."}
	national := q.about.Etablissement() == nil && q.about.Numero() == ""
	if national {
		p.Sections = append(p.Sections, section{ID: "filtre", Form: &form{Action: q.link(q.path + "/certificats"), Label: "Filtre des certificats", Button: "Filtrer", Fields: []field{
			{Name: "jours", Label: "Finissent dans (jours)", Value: values.Get("jours")}, {Name: "region", Label: "Région", Value: region}, {Name: "departement", Label: "Département", Value: departement},
		}}})
	}
	t := certificatesTable(plural(int64(len(list)), "certificat", "certificats"), list[:min(len(list), maxRows)], national, q)
	if len(list) > maxRows {
		t.More = fmt.Sprintf("Les %d premiers sont montrés.", maxRows)
		if national {
			t.More = fmt.Sprintf("Les %d premiers sont montrés : filtrez.", maxRows)
		}
	}
	found := section{ID: "certificats", Heading: "Certificats", Table: t}
	if !national {
		p.Sections = append(p.Sections, found)
		return p, nil
	}
	places := section{ID: "territoires", Heading: "Par région et département", Note: "Où un certificat d'établissement, qui n'a pas été renouvelé, prend fin dans les 60 jours.", Table: territories(all)}
	if within >= 0 || region != "" || departement != "" {
		p.Sections = append(p.Sections, found, places) // what was asked for
	} else {
		p.Sections = append(p.Sections, places, found)
	}
	return p, nil
}

func certificatesTable(caption string, list []expiry.Expiry, national bool, q *question) *table {
	t := &table{Caption: caption, Head: columns("Fin", "#Jours", "Usage", "Sujet", "Numéro de série", "Vu", "#Échanges en 24 h"), Empty: "Aucun certificat n'a encore été vu."}
	if national {
		t.Head = columns("Fin", "#Jours", "Usage", "À qui", "Sujet", "Numéro de série", "Vu", "#Échanges en 24 h")
	}
	for _, e := range list {
		days := cell{Text: strconv.Itoa(e.Days)}
		switch {
		case e.Renewed:
			days.Text += " (renouvelé)"
		case e.Days < 0:
			days = cell{Text: "terminé", State: "bad"}
		case e.Days < 30:
			days.State = "warn"
		}
		row := []cell{text(instant(e.End)), days, text(e.Kind.Nom())}
		if national {
			who := cell{Text: or(e.Nom, e.Owner)}
			if (e.Kind == expiry.CallerTLS || e.Kind == expiry.CallerSignature) && e.Nom != "" {
				who.Href = q.link("/etablissement/" + e.Owner)
			}
			row = append(row, who)
		}
		t.Rows = append(t.Rows, append(row, text(e.Subject), text(e.Serial), text(instant(e.Seen)), text(count(int64(e.Calls)))))
	}
	return t
}

// territories counts, by région and département, the certificates of
// establishments that end within 60, 30 and 7 days and were not renewed.
func territories(all []expiry.Expiry) *table {
	type place struct{ region, departement string }
	counts := map[place]*[4]int64{}
	for _, e := range all {
		if e.Kind != expiry.CallerTLS && e.Kind != expiry.CallerSignature || e.Renewed {
			continue
		}
		k := place{e.Region, e.Departement}
		if counts[k] == nil {
			counts[k] = &[4]int64{}
		}
		for i, days := range []int{0, 7, 30, 60} {
			if e.Days < days {
				counts[k][i]++
			}
		}
	}
	var places []place
	for k, n := range counts {
		if n[3] > 0 {
			places = append(places, k)
		}
	}
	slices.SortFunc(places, func(x, y place) int {
		return cmp.Or(cmp.Compare(access.Alphabetical(x.region), access.Alphabetical(y.region)), cmp.Compare(x.departement, y.departement))
	})
	t := &table{Caption: "Certificats d'établissements qui prennent fin", Quiet: true, Head: columns("Région", "Département", "#Terminés", "#7 jours", "#30 jours", "#60 jours"), Empty: "Aucun ne prend fin dans les 60 jours."}
	for _, k := range places {
		n := counts[k]
		t.Rows = append(t.Rows, []cell{text(or(k.region, "non renseignée")), text(or(k.departement, "-")), text(count(n[0])), text(count(n[1])), text(count(n[2])), text(count(n[3]))})
	}
	return t
}
