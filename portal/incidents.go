package portal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/incident"
)

// incidentName is whose an incident is, for everybody.
func (q *question) incidentName(i *incident.Incident) string {
	if i.AMC == "" {
		return "RPN ROC"
	}
	return or(q.reader.NameOfAMC(i.AMC), "AMC "+string(i.AMC))
}

func incidentText(i *incident.Incident) string {
	if i.Text == "" && i.Measured {
		return "Panne mesurée."
	}
	return i.Text
}

// incidentsSection is what everybody reads of incidents; nil: there is none.
func (q *question) incidentsSection(ctx context.Context) ([]section, error) {
	list, err := q.reader.Incidents(ctx)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	t := &table{Caption: "Incidents en cours, et ceux des sept derniers jours", Quiet: true, Head: columns("Organisme", "Ouvert le", "Clos le", "Ce qu'en dit l'exploitant")}
	for _, i := range list {
		end := cell{Text: "en cours", State: "bad"}
		if !i.Closed.IsZero() {
			end = text(instant(i.Closed))
		}
		t.Rows = append(t.Rows, []cell{text(q.incidentName(&i)), text(instant(i.Opened)), end, plain(incidentText(&i))})
	}
	return []section{{ID: "incidents", Heading: "Incidents", Table: t}}, nil
}

// plain is a text that a person wrote: it is shown as it is.
func plain(s string) cell { return cell{Text: strings.ReplaceAll(s, "`", "'")} }

// incidentsPage is the incidents, for operators: with the forms, for who may speak.
func incidentsPage(q *question) (any, error) {
	list, err := q.about.Incidents(q.Context())
	if err != nil {
		return nil, err
	}
	acts := q.p.o.Incidents != nil && q.reader.Viewer().May(access.Exploitation)
	p := &page{Title: "Incidents", Lead: "Une panne annoncée par les alertes ouvre un incident, et son retour le clôt. Le texte est lu par tous, dans la météo, en JSON et en Atom : rien de confidentiel, aucune donnée de patient. Chaque instance garde ses textes."}
	if acts {
		p.Sections = append(p.Sections, section{ID: "ouvrir", Heading: "Ouvrir un incident", Form: q.incidentForm("Nouvel incident", "Ouvrir", "ouvrir", "",
			field{Name: "amc", Label: "Numéro d'AMC", Hint: "Vide : le RPN lui-même, ou plusieurs organismes."}, field{Name: "texte", Label: "Texte pour tous", Required: true, Longest: incident.MaxText})})
	}
	t := &table{Caption: "Incidents", Quiet: true, Wide: true, Head: columns("Organisme", "Ouvert le", "Clos le", "Origine", "Texte pour tous", "Par", "Agir"), Empty: "Aucun incident depuis 60 jours."}
	for _, i := range list[:min(len(list), maxRows)] {
		who := text("RPN ROC")
		if i.AMC != "" {
			who = q.amcCell(i.AMC)
		}
		end, origin := cell{Text: "en cours", State: "bad"}, "ouvert à la main"
		if !i.Closed.IsZero() {
			end = text(instant(i.Closed))
		}
		if i.Measured {
			origin = "panne mesurée"
		}
		t.Rows = append(t.Rows, []cell{who, text(instant(i.Opened)), end, text(origin), plain(or(i.Text, "-")), text(or(i.By, "-")), q.incidentActs(&i, acts)})
	}
	if len(list) > maxRows {
		t.More = firstRows
	}
	p.Sections = append(p.Sections, section{ID: "incidents", Heading: "Incidents, les plus récents d'abord", Table: t})
	return p, nil
}

func (q *question) incidentForm(label, button, act, id string, fields ...field) *form {
	return &form{Action: q.link("/incidents"), Post: true, Token: q.p.token(q.reader.Viewer(), q.now()), Label: label, Button: button, Hidden: []fact{{"acte", act}, {"incident", id}}, Fields: fields}
}

// incidentActs are the forms of one incident that goes on.
func (q *question) incidentActs(i *incident.Incident, acts bool) cell {
	if !acts || !i.Closed.IsZero() {
		return text("-")
	}
	label := "l'incident de " + q.incidentName(i) + " du " + instant(i.Opened)
	choices := []option{{Value: "texte", Text: "changer le texte"}}
	if !i.Measured {
		choices = append(choices, option{Value: "clore", Text: "clore"})
	}
	f := q.incidentForm("Agir sur "+label, "Enregistrer", "", i.ID,
		field{Name: "acte", Label: "Acte", Kind: "select", Options: choices}, field{Name: "texte", Label: "Texte pour tous", Value: i.Text, Longest: incident.MaxText})
	f.Hidden = f.Hidden[1:]
	return cell{Form: f}
}

// actOnIncident opens an incident, gives it its text or closes it. It is a POST, with
// its token; the role was looked at.
func actOnIncident(q *question) (any, error) {
	book, f, by := q.p.o.Incidents, q.PostForm, q.reader.Viewer().Name()
	if book == nil {
		return nil, errForbidden
	}
	var err error
	switch f.Get("acte") {
	case "ouvrir":
		var amc roc.NumeroAMC
		if n := strings.TrimSpace(f.Get("amc")); n != "" {
			if amc, err = roc.ParseNumeroAMC(n); err != nil || q.reader.NameOfAMC(amc) == "" {
				return nil, badRequest("Ce numéro n'est pas celui d'un organisme du registre.")
			}
		}
		err = book.Begin(amc, f.Get("texte"), by)
	case "texte":
		all, unread := q.about.Incidents(q.Context())
		if unread != nil {
			return nil, unread
		}
		err = incident.ErrUnknown
		for _, i := range all {
			if i.ID == f.Get("incident") && i.Closed.IsZero() {
				err = book.Describe(i, f.Get("texte"), by)
			}
		}
	case "clore":
		err = book.End(f.Get("incident"), by)
	default:
		return nil, badRequest("Choisissez ce qu'il faut faire de cet incident.")
	}
	switch {
	case errors.Is(err, incident.ErrText):
		return nil, badRequest(fmt.Sprintf("Un incident a un texte, d'une ligne et de %d caractères au plus.", incident.MaxText))
	case errors.Is(err, incident.ErrUnknown):
		return nil, badRequest("Cet incident n'existe pas, est clos, ou est clos par la mesure seule.")
	case errors.Is(err, incident.ErrTooMany):
		return nil, badRequest("Il y a déjà assez d'incidents ouverts, ou d'actes aujourd'hui : closez ceux qui sont finis.")
	case err != nil:
		return nil, &unavailable{"Les incidents ne peuvent être ni lus ni écrits pour le moment. Recommencez plus tard, puis prévenez l'exploitant de cette machine.", err}
	}
	return moved("/incidents"), nil
}

// An incidentView is one incident in JSON.
type incidentView struct {
	ID     string `json:"id"`
	Numero string `json:"numero,omitempty"`
	Nom    string `json:"nom"`
	Mesure bool   `json:"mesure"`
	Ouvert string `json:"ouvert"`
	Clos   string `json:"clos,omitempty"`
	Texte  string `json:"texte"`
}

func (q *question) incidentViews(list []incident.Incident) []incidentView {
	views := []incidentView{}
	for _, i := range list {
		views = append(views, incidentView{i.ID, string(i.AMC), q.incidentName(&i), i.Measured, rfc3339(i.Opened), rfc3339(i.Closed), incidentText(&i)})
	}
	return views
}

// incidentEntries are the incidents in the feed. An entry keeps its id, and is updated
// when its text or its end comes.
func (q *question) incidentEntries(list []incident.Incident) string {
	var b strings.Builder
	escape := html.EscapeString
	for _, i := range list {
		state := "incident en cours depuis le " + instant(i.Opened)
		if !i.Closed.IsZero() {
			state = "incident clos le " + instant(i.Closed)
		}
		fmt.Fprintf(&b, "<entry><title>%s : %s</title><id>urn:rpn:incident:%s</id><updated>%s</updated><summary>%s</summary></entry>\n",
			escape(q.incidentName(&i)), state, escape(i.ID), rfc3339(cmp.Or(i.Changed, i.Opened)), escape(incidentText(&i)))
	}
	return b.String()
}
