package portal

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/incident"
	"github.com/piano-roc/rpn/portal/login"
	"github.com/piano-roc/rpn/portal/proposal"
)

// Options are what a Portal needs. Every field is required, but where it says
// otherwise.
type Options struct {
	Data *access.Data

	// Admit says who asks, by the certificates of the connection.
	Admit func(*http.Request) (access.Viewer, error)

	// Login lets persons in by OpenID Connect. Nil: client certificates alone.
	Login *login.Login

	// Base is the path under which the pages are: "" or "/console".
	Base string

	// Weather shows the weather of the insurers to everybody.
	Weather bool

	// Theme is the style and the logo of whoever runs it. Nil: the neutral one.
	Theme *Theme

	// Decide approves or rejects what waits, for an operator; nil: it is done by
	// the commands of rpn alone.
	Decide func(approve bool, amc roc.NumeroAMC, host, who, why string) (routes int, err error)

	// Proposals has what opens the circle, or lets a domain pass, wait for a second
	// operator. Nil: one decides alone.
	Proposals *proposal.Book

	// Incidents takes what operators say of incidents. Nil: they say nothing here.
	Incidents *incident.Book

	Log *slog.Logger
	Now func() time.Time
}

// A Portal serves the pages.
type Portal struct {
	o      Options
	mux    *http.ServeMux
	none   http.HandlerFunc // what no route is for
	pages  *limit           // of each who comes
	turns  chan struct{}    // pages made at once: the rest of the machine is for exchanges
	secret [32]byte         // of the tokens of forms
	cross  *http.CrossOriginProtection
}

// The bounds: nothing that somebody asks decides how much of the machine it
// takes.
const (
	pagesPerSecond = 5  // of one who comes
	pagesAtOnce    = 60 // of one who comes
	made           = 2  // pages at once, of all
	waitForTurn    = 2 * time.Second
	pageTime       = 8 * time.Second
	maxQuery       = 2 << 10
	maxForm        = 8 << 10
)

// New returns a Portal, whose handler is the Portal itself.
func New(o Options) *Portal {
	p := &Portal{o: o, mux: http.NewServeMux(), pages: newLimit(pagesPerSecond, pagesAtOnce), turns: make(chan struct{}, made), cross: http.NewCrossOriginProtection()}
	rand.Read(p.secret[:])
	for _, r := range p.routes() {
		p.mux.HandleFunc(r.method+" "+r.path, p.serve(r))
	}
	p.none = p.serve(route{answer: nothing})
	p.mux.HandleFunc("GET /style.css", p.serveStyle)
	p.mux.HandleFunc("GET /icon.svg", p.serveIcon)
	p.mux.HandleFunc("GET /theme/{file}", p.serveTheme)
	return p
}

// What a page is about.
const (
	aboutNothing = iota
	aboutEtablissement
	aboutAMC
	aboutNation
)

// A route is one URL, what it is about, and what answers it.
type route struct {
	method, path string
	about        int
	public       bool        // shown to everybody, where Options.Weather says so
	entrance     bool        // how one comes in: shown to everybody, and takes no turn of the pages
	machine      bool        // not asked by a browser: it bears no token of a form
	least        access.Role // of an operator; "": the subject settles it
	answer       func(*question) (any, error)
}

// routes lists every URL. A test asks each of them as everybody.
func (p *Portal) routes() []route {
	get := func(path string, about int, answer func(*question) (any, error)) route {
		return route{method: http.MethodGet, path: path, about: about, answer: answer}
	}
	open := func(path string, answer func(*question) (any, error)) route {
		return route{method: http.MethodGet, path: path, public: true, answer: answer}
	}
	list := []route{
		open("/{$}", home), open("/meteo", weatherPage), open("/meteo.json", weatherJSON), open("/meteo.atom", weatherAtom),
		open("/fiches", cardsPage), open("/accessibilite", accessibilityPage),
		get("/etablissement/{id}", aboutEtablissement, etablissementPage),
		get("/etablissement/{id}/organismes", aboutEtablissement, organismesPage),
		get("/etablissement/{id}/fichiers", aboutEtablissement, filesPage),
		get("/etablissement/{id}/fichiers/{semaine}/{fichier}", aboutEtablissement, fileCSV),
		get("/amc/{id}", aboutAMC, amcPage),
		get("/amc/{id}/appelants", aboutAMC, callersPage),
		get("/national", aboutNation, nationPage),
		get("/national/direct", aboutNation, flowsPage),
		get("/registre", aboutNation, registerPage),
		get("/decisions", aboutNation, decisionsPage),
		get("/incidents", aboutNation, incidentsPage),
		{method: http.MethodPost, path: "/incidents", about: aboutNation, least: access.Exploitation, answer: actOnIncident},
		{method: http.MethodPost, path: "/decisions", about: aboutNation, least: access.Exploitation, answer: decide},
		{method: http.MethodPost, path: "/decisions/proposition", about: aboutNation, least: access.Exploitation, answer: decideProposal},
	}
	for prefix, about := range map[string]int{"/etablissement/{id}": aboutEtablissement, "/amc/{id}": aboutAMC, "/national": aboutNation} {
		list = append(list,
			get(prefix+"/indicateurs", about, figuresPage),
			get(prefix+"/certificats", about, certificatesPage),
			get(prefix+"/echanges", about, exchangesPage),
			get(prefix+"/echange/{echange}", about, exchangePage),
			get(prefix+"/echange/{echange}/preuve", about, proofFile),
		)
	}
	if p.o.Login != nil {
		list = append(list, loginRoutes()...)
	}
	return list
}

// A question is one request, and what it may read.
type question struct {
	*http.Request
	p      *Portal
	reader *access.Reader
	about  *access.Subject // nil: the page is about nothing
	path   string          // of the subject, without the base: "/amc/0099000001"
}

func (q *question) now() time.Time { return q.p.o.Now() }

// link is a path of ours as a page writes it.
func (q *question) link(path string) string { return q.p.o.Base + path }

// A badRequest is of a question that cannot be understood; its text is French.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// An unavailable is of what cannot be done for now; its text is French.
type unavailable struct {
	text  string
	cause error
}

func (u *unavailable) Error() string { return u.cause.Error() }

// A moved sends the reader elsewhere.
type moved string

// A file is an answer that is no page.
type file struct {
	kind string // its media type
	name string // under which it is kept; "": it is shown
	body []byte
	open bool // everybody may have it: it may be kept for some seconds
}

// An errMethod is of a method that an address does not take, which takes another.
type errMethod struct{ allowed string }

func (e errMethod) Error() string { return "that address takes " + e.allowed }

var errForbidden = errors.New("this role may not do that")
