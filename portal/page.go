package portal

import (
	"bytes"
	"compress/gzip"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/portal/access"
)

// A page is what the one template shows: every page is made of the same parts.
type page struct {
	Title    string
	Lead     string // one sentence, below the title
	Sections []section

	// Filled by write.
	Base, Site, Who string
	Logo            string
	Styled          bool // by a theme
	Nav             []link
	At              string
	Path            string
	Console         bool
}

// A section is one part of a page. What is empty is not shown.
type section struct {
	ID, Heading string
	Note        string
	Alert       string // what must be seen first
	Stats       []stat
	Facts       []fact
	Table       *table
	Charts      []*chart
	Flows       *flowMap
	Form        *form
	Links       []link
	Code        string // a command to type
}

type link struct {
	Text, Href string
	Here       bool // it is this page
}

// A stat is one figure, large, with its definition.
type stat struct {
	Name, Value, Beside string
	Card                *report.Card
	State               string // "bad", "warn", ""
}

type fact struct{ Name, Value string }

type table struct {
	Caption string
	Head    []column
	Rows    [][]cell
	Wide    bool   // takes all the room, although its columns are few
	Quiet   bool   // its heading says enough: the caption is for who does not see the page
	Empty   string // what is said where there is no row
	More    string // what is said below
	Fold    int    // so many rows stand open; 0: all
	Rest    string // what is said of the others
}

type column struct {
	Text   string
	Number bool
}

type cell struct {
	Text, Href string
	State      string // "bad", "warn", "good", ""
	Card       *report.Card
	Links      []link
	Form       *form
}

// A form asks for something (GET), or does something (POST).
type form struct {
	Action string
	Post   bool
	Token  string
	Fields []field
	Hidden []fact
	Button string
	Label  string // of the whole form, where there are several alike
}

type field struct {
	Name, Label, Value, Hint string
	Kind                     string // "text", "date", "select"
	Options                  []option
	Required                 bool
	Longest                  int // in characters; 0: 200
}

type option struct {
	Value, Text string
	Chosen      bool
}

func text(s string) cell { return cell{Text: s} }

func columns(texts ...string) (list []column) {
	for _, t := range texts {
		number := len(t) > 0 && t[0] == '#'
		if number {
			t = t[1:]
		}
		list = append(list, column{t, number})
	}
	return list
}

//go:embed html/*.html
var templates embed.FS

//go:embed assets/style.css
var style []byte

//go:embed assets/icon.svg
var icon []byte

// spaces keeps French punctuation beside its word.
var spaces = strings.NewReplacer(" ;", "\u00a0;", " :", "\u00a0:", " ?", "\u00a0?", " !", "\u00a0!", " %", "\u00a0%", "« ", "«\u00a0", " »", "\u00a0»")

var layout = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"number": func(head []column, i int) bool { return i < len(head) && head[i].Number },
	"narrow": func(t *table) bool { return len(t.Head) <= 4 && !t.Wide },
	"code":   func(s string) []string { return strings.Split(spaces.Replace(s), "`") },
	"odd":    func(i int) bool { return i%2 == 1 },
	"open": func(t *table) [][]cell {
		if t.Fold > 0 {
			return t.Rows[:min(t.Fold, len(t.Rows))]
		}
		return t.Rows
	},
	"folded": func(t *table) *table {
		rest := *t
		rest.Caption, rest.Quiet, rest.Rows, rest.Fold, rest.More = t.Rest, true, t.Rows[min(t.Fold, len(t.Rows)):], 0, ""
		return &rest
	},
}).ParseFS(templates, "html/*.html"))

// write writes an answer.
func (p *Portal) write(w http.ResponseWriter, r *http.Request, viewer access.Viewer, answer any) {
	switch a := answer.(type) {
	case moved:
		http.Redirect(w, r, p.o.Base+string(a), http.StatusSeeOther)
	case *file:
		w.Header().Set("Content-Type", a.kind)
		if a.name != "" {
			w.Header().Set("Content-Disposition", `attachment; filename="`+a.name+`"`)
		}
		if a.open {
			w.Header().Set("Cache-Control", "public, max-age=20")
			w.Header().Set("Vary", "Accept-Encoding")
			if acceptsGzip(r) { // of what everybody reads alone: it holds no secret that its length could tell
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				z.Write(a.body)
				z.Close()
				return
			}
		}
		w.Write(a.body)
	case *reply:
		p.reply(w, r, viewer, a)
	case *page:
		p.render(w, r, viewer, http.StatusOK, a)
	}
}

// acceptsGzip reports whether a browser or a program takes gzip.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(weight, "q="), 64)
			return weight == "" || err == nil && q > 0
		}
	}
	return false
}

// fail writes a page that says why there is no other.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, viewer access.Viewer, status int, title, why string) {
	p.render(w, r, viewer, status, &page{Title: title, Sections: []section{{Alert: why}}})
}

func (p *Portal) render(w http.ResponseWriter, r *http.Request, viewer access.Viewer, status int, a *page) {
	a.Base, a.Site, a.Who, a.Path = p.o.Base, "RPN ROC", viewer.Name(), r.URL.Path
	a.At, a.Nav = instant(p.o.Now()), p.nav(viewer, r.URL.Path)
	a.Console = p.o.Base != ""
	if t := p.o.Theme; t != nil {
		a.Logo, a.Styled = t.logo, t.styled
		if t.Name != "" {
			a.Site = t.Name
		}
	}
	var b bytes.Buffer // a page that fails in the middle is no page
	if err := layout.Execute(&b, a); err != nil {
		p.o.Log.Error("a page could not be written", "event", "portal_page_failed", "path", r.URL.Path, "error", err.Error())
		http.Error(w, "Cette page ne peut pas être écrite.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", "fr")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(b.Bytes())
	}
}

// nav is the menu of a viewer.
func (p *Portal) nav(v access.Viewer, here string) (list []link) {
	add := func(text, path string) {
		list = append(list, link{text, p.o.Base + path, here == path || here == p.o.Base+path})
	}
	switch home := v.Home(); v.Kind() {
	case access.Etablissement:
		at := "/etablissement/" + home
		add("Aujourd'hui", at)
		add("Indicateurs", at+"/indicateurs")
		add("Organismes", at+"/organismes")
		add("Échanges", at+"/echanges")
		add("Certificats", at+"/certificats")
		add("Fichiers", at+"/fichiers")
	case access.AMC:
		for _, n := range v.Numeros() {
			at := "/amc/" + string(n)
			if len(v.Numeros()) > 1 {
				add("AMC "+string(n), at)
				continue
			}
			add("Aujourd'hui", at)
			add("Indicateurs", at+"/indicateurs")
			add("Appelants", at+"/appelants")
			add("Échanges", at+"/echanges")
			add("Certificats", at+"/certificats")
		}
	case access.Operator:
		add("Situation nationale", "/national")
		add("En direct", "/national/direct")
		add("Indicateurs", "/national/indicateurs")
		add("Registre", "/registre")
		add("À décider", "/decisions")
		add("Incidents", "/incidents")
		add("Certificats", "/national/certificats")
		add("Échanges", "/national/echanges")
	}
	if v.Kind() != access.Public || p.o.Weather {
		add("Météo des organismes", "/meteo")
		add("Définitions", "/fiches")
	}
	p.loginNav(v, add)
	return list
}
