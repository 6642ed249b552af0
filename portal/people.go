package portal

import (
	"errors"
	"strings"

	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/invitation"
)

// peoplePath is where a viewer looks at who was let in; "": nowhere, or in several
// places.
func peoplePath(v access.Viewer) string {
	switch {
	case v.Kind() == access.Operator:
		return "/acces"
	case !v.ByCertificate():
	case v.Kind() == access.Etablissement:
		return "/etablissement/" + v.Home() + "/acces"
	case v.Kind() == access.AMC && len(v.Numeros()) == 1:
		return "/amc/" + v.Home() + "/acces"
	}
	return ""
}

// peopleLinks are those places, of an insurer with several numbers.
func (q *question) peopleLinks() (list []link) {
	v := q.reader.Viewer()
	if v.Kind() != access.AMC || len(v.Numeros()) == 1 {
		return nil
	}
	for _, n := range v.Numeros() {
		list = append(list, link{Text: "Accès des personnes, AMC " + string(n), Href: q.link("/amc/" + string(n) + "/acces")})
	}
	return list
}

// peoplePage is who was invited to the pages of the subject.
func peoplePage(q *question) (any, error) { return q.people("") }

// people is that page; link is that of an invitation just made.
func (q *question) people(made string) (*page, error) {
	all, err := q.about.Invitations()
	if err != nil {
		return nil, err
	}
	_, notMine := q.about.Inviter()
	mine := notMine == nil
	p := &page{Title: "Accès des personnes", Lead: "Qui lit ces pages sans certificat, par une invitation. Chaque acte est écrit : qui a invité, quand, et qui a révoqué."}
	if made != "" {
		p.Sections = append(p.Sections, section{ID: "lien", Heading: "Le lien de l'invitation", Note: "Il n'est montré qu'une fois. Remettez-le à la personne par un moyen sûr : la première qui se connecte avec lui a l'accès. Il sert une fois, et prend fin s'il ne sert pas.", Code: made})
	}
	if mine {
		p.Sections = append(p.Sections, section{ID: "inviter", Heading: "Inviter une personne", Form: &form{Action: q.link(q.peopleOf()), Post: true, Token: q.p.token(q.reader.Viewer(), q.now()), Label: "Nouvelle invitation", Button: "Créer le lien",
			Hidden: []fact{{"acte", "inviter"}},
			Fields: []field{{Name: "libelle", Label: "Pour qui", Hint: "Un service ou un poste, plutôt qu'un nom : « bureau des entrées, responsable ».", Required: true}}}})
	}
	t := &table{Caption: "Invitations", Head: columns("Pour qui", "À lire", "Invitée par", "Le", "État", "Fin", "Personne", "Révoquer"), Empty: "Personne n'est invité."}
	for _, i := range all[:min(len(all), maxRows)] {
		t.Rows = append(t.Rows, q.invitationRow(&i))
	}
	if len(all) > maxRows {
		t.More = "Les plus récentes sont montrées ; `rpn portal invitations` les donne toutes."
	}
	p.Sections = append(p.Sections, section{ID: "invitations", Heading: "Invitations", Note: "Une personne est désignée par un pseudonyme, le même à chaque connexion et dans le journal technique.", Table: t})
	return p, nil
}

// peopleOf is the path of the page.
func (q *question) peopleOf() string {
	if q.about.Etablissement() == nil && q.about.Numero() == "" {
		return "/acces"
	}
	return q.path + "/acces"
}

// statesOf are the states of an invitation in French.
var statesOf = map[invitation.State]cell{
	invitation.Waiting: {Text: "à utiliser", State: "warn"}, invitation.Lapsed: {Text: "jamais utilisée"}, invitation.Active: {Text: "accès ouvert", State: "good"},
	invitation.Over: {Text: "accès fini"}, invitation.Revoked: {Text: "révoquée"},
}

func (q *question) invitationRow(i *invitation.Invitation) []cell {
	at := i.StateAt(q.now())
	end := i.Ends
	switch at {
	case invitation.Active, invitation.Over:
		end = i.Until
	case invitation.Revoked:
		end = i.Revoked
	}
	state := statesOf[at]
	if i.RevokedBy != "" {
		state.Text += " par " + i.RevokedBy
	}
	revoke := text("-")
	if (at == invitation.Waiting || at == invitation.Active) && q.about.Revokes() {
		revoke = cell{Form: &form{Action: q.link(q.peopleOf()), Post: true, Token: q.p.token(q.reader.Viewer(), q.now()), Label: "Révoquer l'invitation " + i.Label, Button: "Révoquer", Hidden: []fact{{"acte", "revoquer"}, {"invitation", i.ID}}}}
	}
	return []cell{text(i.Label), q.partyCell(i.Party), text(i.By), text(instant(i.Made)), state, text(instant(end)), text(or(i.Person, "-")), revoke}
}

func (q *question) partyCell(p invitation.Party) cell {
	if p.AMC != "" {
		return q.amcCell(p.AMC)
	}
	return cell{Text: or(q.about.NameOfEtablissement(p.Structure), string(p.Structure)), Href: q.link("/etablissement/" + string(p.Structure))}
}

// invite makes an invitation, or revokes one.
func invite(q *question) (any, error) {
	v, f := q.reader.Viewer(), q.PostForm
	book := q.p.o.Login.Book()
	by := v.Name()
	if v.ByCertificate() {
		by += ", certificat " + v.Key()[:min(16, len(v.Key()))]
	}
	if f.Get("acte") == "revoquer" {
		if err := q.about.Revocable(f.Get("invitation")); err != nil {
			return nil, err
		}
		if _, err := book.Revoke(f.Get("invitation"), by); err != nil {
			return nil, bookError(err)
		}
		return moved(q.peopleOf()), nil
	}
	party, err := q.about.Inviter()
	if err != nil {
		return nil, err
	}
	_, link, err := book.Make(party, strings.TrimSpace(f.Get("libelle")), by)
	if err != nil {
		return nil, bookError(err)
	}
	return q.people(q.p.o.Login.LinkOf(link))
}

// bookError is an error of the invitations, for who reads the page.
func bookError(err error) error {
	switch {
	case errors.Is(err, invitation.ErrTooMany):
		return badRequest("Il y a déjà assez d'invitations : révoquez celles qui ne servent plus, ou recommencez demain.")
	case errors.Is(err, invitation.ErrUnknown):
		return badRequest("Cette invitation n'existe pas, ou a déjà pris fin.")
	case errors.Is(err, invitation.ErrClosed):
		return &unavailable{"Les invitations ne peuvent être ni lues ni écrites pour le moment. Recommencez plus tard, puis prévenez l'exploitant.", err}
	}
	return badRequest("Dites pour qui est l'invitation, en une ligne de 80 caractères au plus.")
}
