package portal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/portal/access"
)

func weatherState(s access.State) string {
	switch s {
	case access.Out:
		return "bad"
	case access.Disturbed, access.Closed:
		return "warn"
	case access.Calm:
		return "good"
	}
	return ""
}

// weatherPage is how each insurer does, measured, and by which rule.
func weatherPage(q *question) (any, error) {
	p := &page{Title: "Météo des organismes", Lead: "L'état de chaque organisme, mesuré sur les échanges de tous les établissements."}
	sky, err := q.reader.Sky(q.Context())
	if err != nil {
		return nil, err
	}
	if p.Sections, err = q.incidentsSection(q.Context()); err != nil {
		return nil, err
	}
	p.Sections = append(p.Sections, []section{
		{ID: "etats", Note: "Mesuré le " + instant(sky.At) + ".", Table: q.weatherTable(sky, "État des organismes")},
		{ID: "regle", Heading: "La règle", Note: access.Rule},
		{ID: "panne", Heading: "Ce qu'est une panne", Note: report.Outages},
		{ID: "formats", Heading: "Pour un programme", Links: []link{{Text: "JSON", Href: q.link("/meteo.json")}, {Text: "Atom", Href: q.link("/meteo.atom")}}},
	}...)
	return p, nil
}

func (q *question) weatherTable(sky *access.Sky, caption string) *table {
	t := &table{Caption: caption, Quiet: true, Head: columns("Organisme", "Numéro", "État", "Depuis", "Services touchés", "#Échanges en 1 h", "#Échecs"), Empty: "Aucun organisme au registre."}
	operator := q.reader.Viewer().Kind() == access.Operator
	for i := range sky.AMCs {
		w := &sky.AMCs[i]
		services, sent, failed := "", int64(0), int64(0)
		for _, s := range w.Services {
			if s.State == access.Out || s.State == access.Disturbed {
				services += ", " + s.Service.String() + " : " + string(s.State)
			}
			sent, failed = sent+s.Sent, failed+s.Failed
		}
		name := text(w.Nom)
		if operator {
			name.Href = q.link("/amc/" + string(w.Numero))
		}
		t.Rows = append(t.Rows, []cell{name, text(string(w.Numero)), {Text: string(w.State), State: weatherState(w.State)}, text(since(w, sky.At)), text(or(strings.TrimPrefix(services, ", "), "-")), text(count(sent)), text(count(failed))})
	}
	return t
}

// since is from when on, and for how long or until when; "-": it is not known.
func since(w *access.Weather, at time.Time) string {
	switch {
	case w.Since.IsZero() && w.Until.IsZero():
		return "-"
	case w.Since.IsZero():
		return "jusqu'au " + instant(w.Until)
	case !w.Until.IsZero():
		return instant(w.Since) + ", jusqu'au " + instant(w.Until)
	}
	return instant(w.Since) + " (" + lasted(at.Sub(w.Since)) + ")"
}

// A weatherView is one insurer in JSON.
type weatherView struct {
	Numero   string        `json:"numero"`
	Nom      string        `json:"nom"`
	Etat     access.State  `json:"etat"`
	Depuis   string        `json:"depuis,omitempty"`
	Jusque   string        `json:"jusque,omitempty"`
	Services []serviceView `json:"services"`
}

type serviceView struct {
	Service  string       `json:"service"`
	Etat     access.State `json:"etat"`
	Depuis   string       `json:"depuis,omitempty"`
	Echanges int64        `json:"echanges_derniere_heure"`
	Echecs   int64        `json:"echecs_derniere_heure"`
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(store.Paris).Format(time.RFC3339)
}

func weatherJSON(q *question) (any, error) {
	sky, err := q.reader.Sky(q.Context())
	if err != nil {
		return nil, err
	}
	incidents, err := q.reader.Incidents(q.Context())
	if err != nil {
		return nil, err
	}
	list := []weatherView{}
	for _, w := range sky.AMCs {
		v := weatherView{string(w.Numero), w.Nom, w.State, rfc3339(w.Since), rfc3339(w.Until), []serviceView{}}
		for _, s := range w.Services {
			if s.State == access.Unknown && s.Sent == 0 {
				continue
			}
			v.Services = append(v.Services, serviceView{s.Service.String(), s.State, rfc3339(s.Since), s.Sent, s.Failed})
		}
		list = append(list, v)
	}
	b, err := json.Marshal(map[string]any{"a": rfc3339(sky.At), "regle": access.Rule, "panne": report.Outages, "incidents": q.incidentViews(incidents), "organismes": list})
	return &file{kind: "application/json", body: append(b, '\n'), open: true}, err
}

// weatherAtom is a feed of the insurers that are not calm.
func weatherAtom(q *question) (any, error) {
	sky, err := q.reader.Sky(q.Context())
	if err != nil {
		return nil, err
	}
	incidents, err := q.reader.Incidents(q.Context())
	if err != nil {
		return nil, err
	}
	return &file{kind: "application/atom+xml", body: atomOf(sky, q.incidentEntries(incidents)), open: true}, nil
}

// stateWords are the states in the ids of the feed, which have no accent.
var stateWords = map[access.State]string{access.Out: "panne", access.Disturbed: "perturbe", access.Closed: "ferme"}

// atomOf has one entry for each insurer that is not calm. Its id is that of the
// state and of its beginning, so that a reader is told of it once; the end of an
// outage is another state, and another entry. Where the beginning is not known,
// the id is that of the state alone, and the entry is of this hour.
func atomOf(sky *access.Sky, incidents string) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr">` + "\n")
	fmt.Fprintf(&b, "<title>Météo des organismes</title>\n<id>urn:rpn:meteo</id>\n<updated>%s</updated>\n<author><name>RPN ROC</name></author>\n", rfc3339(sky.At))
	b.WriteString(incidents)
	for _, w := range sky.AMCs {
		word := stateWords[w.State]
		if word == "" {
			continue
		}
		id, at, text := "urn:rpn:meteo:"+string(w.Numero)+":"+word, sky.At.Truncate(time.Hour), ""
		if !w.Since.IsZero() {
			id, at, text = id+":"+w.Since.UTC().Format("20060102T150405Z"), w.Since, ", depuis le "+instant(w.Since)
		}
		if !w.Until.IsZero() {
			text += ", jusqu'au " + instant(w.Until)
		}
		nom := html.EscapeString(w.Nom)
		fmt.Fprintf(&b, "<entry><title>%s : %s</title><id>%s</id><updated>%s</updated><summary>%s, AMC %s : %s%s.</summary></entry>\n",
			nom, w.State, id, rfc3339(at), nom, w.Numero, w.State, text)
	}
	b.WriteString("</feed>\n")
	return b.Bytes()
}

// home sends each viewer to its own first page.
func home(q *question) (any, error) {
	v := q.reader.Viewer()
	switch v.Kind() {
	case access.Etablissement:
		return moved("/etablissement/" + v.Home()), nil
	case access.AMC:
		return moved("/amc/" + v.Home()), nil
	case access.Operator:
		return moved("/national"), nil
	}
	return moved("/meteo"), nil
}

func accessibilityPage(*question) (any, error) {
	return &page{Title: "Accessibilité : non auditée", Lead: "Ces pages n'ont pas encore fait l'objet d'un audit de conformité au RGAA.", Sections: []section{
		{Note: "Elles sont faites pour se lire au clavier, sans JavaScript, agrandies à 400 %, imprimées et avec un lecteur d'écran : chaque graphique a ses chiffres dans un tableau. Des vérifications automatiques sont faites à chaque version ; elles ne remplacent pas un audit."},
		{Heading: "Signaler un défaut", Note: "Si un défaut vous empêche d'utiliser une page, signalez-le à l'exploitant du RPN, qui doit vous répondre. Sans réponse, vous pouvez saisir le Défenseur des droits."},
	}}, nil
}
