package ops

import (
	"fmt"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

// A Filter chooses rows of a register; its zero value chooses all of them.
type Filter struct {
	Etat   string // a state in force, of an establishment or of an AMC
	Region string // of an establishment, whatever its accents and capitals; no AMC has one
	Text   string // a part of a name, of a motif or of a number
}

// A Listed is what a filter chooses, in the order of the files: a line each.
type Listed struct {
	Etablissements []Row `json:"etablissements"`
	AMCs           []Row `json:"amcs"`
}

// A Row is one establishment or one AMC of a list.
type Row struct {
	EJ      roc.FINESS      `json:"finess_ej,omitzero"`
	Numero  roc.NumeroAMC   `json:"numero,omitzero"` // the first one of an AMC
	Nom     string          `json:"nom"`
	Etat    string          `json:"etat"`
	InWords string          `json:"in_words"`
	Motif   string          `json:"motif,omitzero"`
	Depuis  register.Moment `json:"depuis,omitzero"`
	Region  string          `json:"region,omitzero"`
}

// List lists the rows that a filter chooses, at the moment of the list.
func List(l *register.List, f Filter) Listed {
	out := Listed{Etablissements: []Row{}, AMCs: []Row{}}
	for e := range l.Etablissements() {
		c, _ := e.EtatAt(l.Moment())
		if f.state(string(e.Etat)) && f.region(e.Region) && f.text(append([]string{e.Nom, e.Motif, string(e.EJ), string(e.Structure)}, words.Strings(e.EGs)...)...) {
			out.Etablissements = append(out.Etablissements, Row{EJ: e.EJ, Nom: e.Nom, Etat: string(e.Etat), InWords: words.StateOf(e), Motif: e.Motif, Depuis: c.Depuis, Region: e.Region})
		}
	}
	for a := range l.AMCs() {
		if f.state(string(a.Etat)) && f.Region == "" && f.text(append([]string{a.Nom, a.Motif}, words.Strings(a.Numeros)...)...) {
			out.AMCs = append(out.AMCs, Row{Numero: a.Numeros[0], Nom: a.Nom, Etat: string(a.Etat), InWords: words.AMCStateOf(a), Motif: a.Motif, Depuis: a.Depuis})
		}
	}
	return out
}

func (f Filter) state(etat string) bool { return f.Etat == "" || f.Etat == etat }

func (f Filter) region(region string) bool {
	return f.Region == "" || plain(region) == plain(f.Region)
}

func (f Filter) text(of ...string) bool {
	return f.Text == "" || strings.Contains(plain(strings.Join(of, "\n")), plain(f.Text))
}

// String writes the rows for people, all of them.
func (l Listed) String() string {
	var b strings.Builder
	for _, r := range l.Etablissements {
		fmt.Fprintf(&b, "%s  %s\n", r.EJ, r.line())
	}
	for _, r := range l.AMCs {
		fmt.Fprintf(&b, "AMC %s  %s\n", r.Numero, r.line())
	}
	fmt.Fprintf(&b, "%s, %s\n", words.Plural(len(l.Etablissements), "establishment"), words.Plural(len(l.AMCs), "AMC"))
	return b.String()
}

func (r Row) line() string {
	where := ""
	if r.Region != "" {
		where = ", " + r.Region
	}
	return r.Nom + where + ": " + r.InWords + words.Since(r.Depuis) + words.Because(r.Motif)
}
