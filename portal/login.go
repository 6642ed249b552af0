package portal

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/login"
)

// loginRoutes are how persons come in by OpenID Connect, and who let them.
func loginRoutes() []route {
	enter := func(path string, answer func(*question) (any, error)) route {
		return route{method: http.MethodGet, path: path, entrance: true, answer: answer}
	}
	list := []route{
		enter("/connexion", loginPage), enter("/connexion/aller", goToProvider), enter(login.ReturnPath, comeBack), enter("/invitation", invitationPage),
		{method: http.MethodPost, path: login.LogoutPath, entrance: true, machine: true, answer: loggedOut},
		{method: http.MethodGet, path: "/moi", answer: mePage},
		{method: http.MethodPost, path: "/moi", answer: chooseMe},
		{method: http.MethodPost, path: "/deconnexion", answer: signOut},
	}
	for prefix, about := range map[string]int{"/etablissement/{id}": aboutEtablissement, "/amc/{id}": aboutAMC, "": aboutNation} {
		list = append(list,
			route{method: http.MethodGet, path: prefix + "/acces", about: about, answer: peoplePage},
			route{method: http.MethodPost, path: prefix + "/acces", about: about, answer: invite},
		)
	}
	return list
}

// admit says who asks: by its certificate, else by its session.
func (p *Portal) admit(r *http.Request) (access.Viewer, error) {
	v, err := p.o.Admit(r)
	if err != nil || v.Kind() != access.Public || p.o.Login == nil {
		return v, err
	}
	return p.o.Login.Viewer(r)
}

// loginNav adds to the menu what is about coming in.
func (p *Portal) loginNav(v access.Viewer, add func(text, path string)) {
	switch {
	case p.o.Login == nil:
	case v.Kind() == access.Public:
		add("Se connecter", "/connexion")
	default:
		if path := peoplePath(v); path != "" {
			add("Accès des personnes", path)
		}
		add("Mon accès", "/moi")
	}
}

// unidentified says to who is nobody how to come in.
func (p *Portal) unidentified(w http.ResponseWriter, r *http.Request) {
	const byCertificate = "Ces pages se lisent avec le certificat d'un établissement, d'un organisme ou d'un exploitant : choisissez-le quand le navigateur le demande. S'il ne le demande plus, fermez-le et rouvrez-le."
	if p.o.Login == nil {
		p.fail(w, r, access.Viewer{}, http.StatusForbidden, "Certificat demandé", byCertificate)
		return
	}
	p.render(w, r, access.Viewer{}, http.StatusForbidden, &page{Title: "Identification demandée", Sections: []section{
		{Alert: "Ces pages se lisent après identification."},
		{Heading: p.o.Login.Name(), Links: []link{{Text: "Se connecter avec " + p.o.Login.Name(), Href: p.o.Base + "/connexion/aller"}}},
		{Heading: "Certificat", Note: byCertificate},
	}})
}

// A reply is a page, a way elsewhere or a text, with cookies.
type reply struct {
	cookies []*http.Cookie
	to      string // ours, or the provider's
	page    *page
	text    string // for a machine
	status  int
	later   bool // the same may succeed later
	left    bool // the reader is nobody any more
}

func (p *Portal) reply(w http.ResponseWriter, r *http.Request, viewer access.Viewer, a *reply) {
	for _, c := range a.cookies {
		http.SetCookie(w, c)
	}
	if a.later {
		w.Header().Set("Retry-After", retryLogin)
	}
	if a.left {
		viewer = access.Viewer{}
	}
	switch {
	case a.to != "":
		http.Redirect(w, r, a.to, http.StatusSeeOther)
	case a.page != nil:
		p.render(w, r, viewer, a.status, a.page)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		w.Write([]byte(a.text))
	}
}

func (p *Portal) failedLogin(w http.ResponseWriter, r *http.Request, viewer access.Viewer, problem *login.Problem) {
	p.reply(w, r, viewer, &reply{page: p.problemPage(problem), status: statusOf(problem), later: problem.Later})
}

// retryLogin is after how many seconds somebody may try again to come in.
const retryLogin = "10"

func statusOf(problem *login.Problem) int {
	if !problem.Later {
		return http.StatusForbidden
	}
	return http.StatusServiceUnavailable
}

func (p *Portal) problemPage(problem *login.Problem) *page {
	return &page{Title: "Vous n'êtes pas connecté", Sections: []section{
		{Alert: problem.Text, Links: []link{{Text: "Se connecter", Href: p.o.Base + "/connexion"}}},
	}}
}

func loginPage(q *question) (any, error) {
	name := q.p.o.Login.Name()
	return &page{Title: "Se connecter", Lead: "Les pages d'un établissement ou d'un organisme se lisent de deux manières.", Sections: []section{
		{ID: "fournisseur", Heading: "Avec " + name, Note: "Pour une personne. Vous lirez les pages des établissements et organismes qui vous sont ouverts, par ce que dit " + name + " de vous ou par une invitation. Si vous avez reçu une invitation, ouvrez son lien plutôt que cette page.",
			Links: []link{{Text: "Se connecter avec " + name, Href: q.link("/connexion/aller")}}},
		{ID: "certificat", Heading: "Avec un certificat", Note: "Pour qui tient le certificat d'un établissement, d'un organisme ou d'un exploitant : choisissez-le quand le navigateur le demande, puis ouvrez l'accueil. S'il ne le demande plus, fermez le navigateur et rouvrez-le.",
			Links: []link{{Text: "Accueil", Href: q.link("/")}}},
		{ID: "traces", Heading: "Ce qui est conservé", Note: "Le portail ne conserve ni votre nom, ni votre adresse, ni votre identifiant : un pseudonyme vous désigne dans ses journaux. Un cookie, sans contenu, tient votre connexion ; il disparaît avec elle."},
	}}, nil
}

// goToProvider begins a login, where the person has asked for it on a page of ours.
func goToProvider(q *question) (any, error) {
	link := q.URL.Query().Get("jeton")
	if site := q.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return moved("/connexion"), nil
	}
	to, cookie, err := q.p.o.Login.Begin(q.Context(), link)
	if err != nil {
		return nil, err
	}
	return &reply{cookies: []*http.Cookie{cookie}, to: to}, nil
}

// comeBack ends a login.
func comeBack(q *question) (any, error) {
	cookie, err := q.p.o.Login.Finish(q.Request)
	var problem *login.Problem
	if errors.As(err, &problem) {
		return &reply{cookies: []*http.Cookie{login.Forget()}, page: q.p.problemPage(problem), status: statusOf(problem), later: problem.Later}, nil
	}
	if err != nil {
		return nil, err
	}
	return &reply{cookies: []*http.Cookie{login.Forget(), cookie}, to: q.link("/")}, nil
}

// loggedOut is told by the provider, not by a browser.
func loggedOut(q *question) (any, error) {
	if err := q.ParseForm(); err != nil {
		return &reply{status: http.StatusBadRequest, text: `{"error":"invalid_request"}`}, nil
	}
	if err := q.p.o.Login.Logout(q.Context(), q.PostForm.Get("logout_token")); err != nil {
		if problem := (*login.Problem)(nil); errors.As(err, &problem) && problem.Later { // the provider may say it again
			return &reply{status: http.StatusServiceUnavailable, text: `{"error":"temporarily_unavailable"}`, later: true}, nil
		}
		return &reply{status: http.StatusBadRequest, text: `{"error":"invalid_request"}`}, nil
	}
	return &reply{status: http.StatusOK}, nil
}

func invitationPage(q *question) (any, error) {
	jeton := q.URL.Query().Get("jeton")
	to, err := q.p.o.Login.Invited(jeton)
	if err != nil {
		return nil, err
	}
	name := q.p.o.Login.Name()
	return &page{Title: "Invitation", Lead: "Vous êtes invité à lire les pages de " + to.Name() + ".", Sections: []section{
		{Note: "Identifiez-vous : l'invitation sert une seule fois, à la première personne qui se connecte avec elle. Ne transmettez pas ce lien.",
			Links: []link{{Text: "Accepter, et se connecter avec " + name, Href: q.link("/connexion/aller?jeton=" + jeton)}}},
		{Heading: "Ce qui est conservé", Note: "Un pseudonyme, tiré de votre identifiant, est inscrit en face de l'invitation ; ni votre nom, ni votre adresse, ni votre identifiant. Qui vous a invité, et l'ANS, peuvent révoquer l'accès à tout moment."},
	}}, nil
}

// mePage says who the reader is for these pages.
func mePage(q *question) (any, error) {
	v := q.reader.Viewer()
	p := &page{Title: "Mon accès"}
	facts := []fact{{"Vous lisez ces pages comme", v.Name()}}
	if v.Role() != "" {
		facts = append(facts, fact{"Rôle", string(v.Role())})
	}
	s, is := q.p.o.Login.Session(q.Request)
	if !is || v.ByCertificate() {
		key := v.Key()
		facts = append(facts, fact{"Identification", "certificat " + key[:min(16, len(key))]})
		p.Sections = append(p.Sections, section{Facts: facts, Note: "Pour ne plus être identifié, fermez le navigateur.", Links: q.peopleLinks()})
		return p, nil
	}
	how := "ce que " + q.p.o.Login.Name() + " dit de vous"
	if s.Invited {
		how = "une invitation"
	}
	facts = append(facts, fact{"Identification", q.p.o.Login.Name()}, fact{"Accès ouvert par", how}, fact{"Pseudonyme", s.Person},
		fact{"Connecté depuis", instant(s.Began)}, fact{"Connecté au plus tard jusqu'à", instant(s.Ends)})
	token := q.p.token(v, q.now())
	p.Sections = append(p.Sections, section{Facts: facts})
	if len(s.Choices) > 1 {
		choose := field{Name: "choix", Label: "Lire les pages de", Kind: "select"}
		for i, c := range s.Choices {
			choose.Options = append(choose.Options, option{strconv.Itoa(i), c, i == s.Chosen})
		}
		p.Sections = append(p.Sections, section{ID: "choix", Heading: "Changer d'établissement ou d'organisme", Form: &form{Action: q.link("/moi"), Post: true, Token: token, Label: "Choix des pages à lire", Button: "Changer", Fields: []field{choose}}})
	}
	p.Sections = append(p.Sections, section{ID: "sortie", Heading: "Se déconnecter", Form: &form{Action: q.link("/deconnexion"), Post: true, Token: token, Label: "Déconnexion", Button: "Se déconnecter"}})
	return p, nil
}

func chooseMe(q *question) (any, error) {
	i, err := strconv.Atoi(strings.TrimSpace(q.PostForm.Get("choix")))
	if err != nil || q.reader.Viewer().ByCertificate() {
		return nil, badRequest("Choisissez un établissement ou un organisme de la liste.")
	}
	if err := q.p.o.Login.Choose(q.Request, i); err != nil {
		return nil, err
	}
	return moved("/"), nil
}

// signOut ends the session here, and shows how to end the provider's. Not by a
// redirection: the policy of the pages has a form sent nowhere else.
func signOut(q *question) (any, error) {
	gone := q.p.o.Login.Leave(q.Request)
	p := &page{Title: "Vous êtes déconnecté", Lead: "Votre connexion à ce portail a pris fin."}
	if to := q.p.o.Login.EndURL(); to != "" {
		name := q.p.o.Login.Name()
		p.Sections = append(p.Sections, section{Heading: name, Note: "Vous y êtes peut-être encore connecté : qui se sert de ce navigateur après vous pourrait rouvrir ces pages.", Links: []link{{Text: "Se déconnecter aussi de " + name, Href: to}}})
	}
	return &reply{cookies: []*http.Cookie{gone}, page: p, status: http.StatusOK, left: true}, nil
}
