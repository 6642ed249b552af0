package portal

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/proposal"
)

// propose has somebody propose to approve the domain that waits.
func (c *openCountry) propose(who string) (id string) {
	c.t.Helper()
	if w := c.ask(who, http.MethodPost, "/decisions", url.Values{"amc": {otherAMC}, "hote": {"nulle-part.example"}, "acte": {"approuver"}, "motif": {"courriel fictif 12"}}); w.Code != http.StatusSeeOther {
		c.t.Fatalf("proposed as %s: %d\n%s", who, w.Code, text2(w.Body))
	}
	for _, p := range c.proposals.All() {
		if p.StateAt(c.now()) == proposal.Waiting {
			return p.ID
		}
	}
	c.t.Fatal("nothing waits")
	return ""
}

// stateOf is what became of a proposal, by that book.
func stateOf(book *proposal.Book, id string) proposal.State {
	for _, p := range book.All() {
		if p.ID == id {
			return p.StateAt(noon)
		}
	}
	return ""
}

func (c *openCountry) confirm(who, id, act string) int {
	return c.ask(who, http.MethodPost, "/decisions/proposition", url.Values{"proposition": {id}, "acte": {act}, "motif": {"vérifié par téléphone"}}).Code
}

// A domain passes by the word of two persons: nobody is both, whatever certificates,
// names, roles or sessions one has.
func TestASecondPersonConfirms(t *testing.T) {
	t.Parallel()
	c := newOpenCountry(t)
	c.everybodyIn()
	id := c.propose("exploitation")
	for who, want := range map[string]int{
		"exploitation":   http.StatusBadRequest, // itself
		"renewed":        http.StatusBadRequest, // another certificate, name and role; the same subject
		"samekey":        http.StatusBadRequest, // the same key
		"p:exploitation": http.StatusBadRequest, // by OpenID Connect, under the same name
		"lecture":        http.StatusForbidden,
		"p:lecture":      http.StatusForbidden,
		"own":            http.StatusNotFound,
		"p:own":          http.StatusNotFound,
		"public":         http.StatusForbidden,
		"stranger":       http.StatusForbidden,
		"unlisted":       http.StatusForbidden,
		"amc":            http.StatusNotFound,
	} {
		if code := c.confirm(who, id, "confirmer"); code != want || len(c.decided) > 0 {
			t.Errorf("confirmed as %s: %d, want %d; %v", who, code, want, c.decided)
		}
	}
	if w := c.ask("second", http.MethodPost, "/decisions/proposition", url.Values{"jeton": {"x"}, "proposition": {id}, "acte": {"confirmer"}, "motif": {"x"}}); w.Code != http.StatusBadRequest || len(c.decided) > 0 {
		t.Errorf("without the token of the form: %d", w.Code)
	}
	if w := c.ask("second", http.MethodPost, "/decisions", url.Values{"amc": {otherAMC}, "hote": {"Nulle-Part.example"}, "acte": {"approuver"}, "motif": {"x"}}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "déjà proposé") {
		t.Errorf("proposed twice: %d", w.Code)
	}
	if body := c.page("exploitation", "/decisions"); !strings.Contains(body, "par une autre personne que vous") || strings.Contains(body, ">confirmer<") {
		t.Error("who proposed it is offered to confirm it, or is not told why not")
	}
	if body := c.page("second", "/decisions"); !strings.Contains(body, ">confirmer<") || !strings.Contains(body, "courriel fictif 12") {
		t.Error("the second operator is not offered to confirm it, or does not read why")
	}
	for who, want := range map[string]string{"second": "warn", "exploitation": ""} {
		_, after, _ := strings.Cut(c.page(who, "/national"), "Propositions à confirmer")
		if shows := strings.HasPrefix(after, "</dt><dd><b>1</b>"); shows != (want != "") {
			t.Errorf("what waits for %s: %.60s", who, after)
		}
	}
	if code := c.confirm("second", id, "confirmer"); code != http.StatusSeeOther || len(c.decided) != 1 {
		t.Fatalf("confirmed: %d, %v", code, c.decided)
	}
	for _, say := range []string{"true", "nulle-part.example", "exploitant exploitation ; confirmé par exploitant second", "courriel fictif 12 ; vérifié par téléphone"} {
		if !strings.Contains(c.decided[0], say) {
			t.Errorf("what was decided does not say %q: %s", say, c.decided[0])
		}
	}
	for _, log := range []string{c.log.String(), string(must(os.ReadFile(filepath.Join(c.dir, "proposals"))))} {
		for _, say := range []string{"exploitant exploitation", "exploitant second", "courriel fictif 12", "vérifié par téléphone"} {
			if !strings.Contains(log, say) {
				t.Errorf("it is not written down: %q", say)
			}
		}
	}
	if code := c.confirm("p:administration", id, "confirmer"); code != http.StatusBadRequest || len(c.decided) != 1 {
		t.Errorf("confirmed twice: %d, %v", code, c.decided)
	}
	// One session that may be two operators is one person.
	person := func(name string) access.Viewer {
		v, err := c.door.Person(access.Identity{Operator: access.Listed{Name: name, Role: access.Administration}, Person: "0123"}, "k")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if !person("Camille").Operator().Same(person("Dominique").Operator()) || person("Camille").Operator().Same(access.Viewer{}.Operator()) == false {
		t.Error("one pseudonym is two persons, or who bears no mark is a second one")
	}
}

// A proposal ends: by its date, when it is set aside, when its first operator is no
// more, and when what waited does no more. None of them lets anything pass.
func TestAProposalEnds(t *testing.T) {
	t.Parallel()
	c := newOpenCountry(t)
	id := c.propose("exploitation")
	first := id
	c.later = time.Hour
	if code := c.confirm("second", id, "confirmer"); code != http.StatusBadRequest {
		t.Errorf("too late: %d", code)
	}
	if !strings.Contains(c.page("second", "/decisions"), "Dernières propositions") {
		t.Error("what became of it is not shown")
	}
	c.later = 0
	if code := c.confirm("exploitation", id, "ecarter"); code != http.StatusSeeOther {
		t.Errorf("set aside by who proposed it: %d", code)
	}
	if code := c.confirm("second", id, "confirmer"); code != http.StatusBadRequest {
		t.Errorf("set aside, then confirmed: %d", code)
	}
	id = c.propose("exploitation")
	c.gone = "exploitant exploitation"
	if code := c.confirm("second", id, "confirmer"); code != http.StatusBadRequest {
		t.Errorf("of an operator who is no more: %d", code)
	}
	c.gone, c.fails = "", true
	if code := c.confirm("second", id, "confirmer"); code != http.StatusBadRequest || stateOf(c.proposals, id) != proposal.Failed {
		t.Errorf("what waits no more: %d, %s", code, stateOf(c.proposals, id))
	}
	if w := c.ask("exploitation", http.MethodPost, "/decisions", url.Values{"amc": {otherAMC}, "hote": {"ailleurs.example"}, "acte": {"approuver"}, "motif": {"x"}}); w.Code != http.StatusBadRequest {
		t.Errorf("nothing waits there: %d", w.Code)
	}
	if len(c.decided) > 0 {
		t.Errorf("something passed: %v", c.decided)
	}
	// The file alone tells it again; a file that is not one closes the book.
	o := proposal.Options{File: filepath.Join(c.dir, "proposals"), Life: time.Hour, Operates: func(string) bool { return true }, Log: c.portal.o.Log, Now: c.now}
	again, err := proposal.Open(o)
	if err != nil || stateOf(again, id) != proposal.Failed || stateOf(again, first) != proposal.Withdrawn {
		t.Errorf("read again: %+v, %v", again.All(), err)
	}
	if err := os.WriteFile(o.File, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err = proposal.Open(o); err == nil {
		t.Error("a file that is none is read")
	}
	c.portal.o.Proposals = again
	w := c.ask("exploitation", http.MethodPost, "/decisions", url.Values{"amc": {otherAMC}, "hote": {"nulle-part.example"}, "acte": {"approuver"}, "motif": {"x"}})
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "propositions") {
		t.Errorf("with no book: %d", w.Code)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
