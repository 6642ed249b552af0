package scenarios

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// asSearch makes the draft a search of the annuaire.
func asSearch(d *inner.Draft) {
	d.Body = func(d *inner.Draft) roc.Content {
		return message.SearchRequest{Requete: d.Demande.Requete, Adressage: d.Demande.Adressage, Types: []string{"URL", "MEL"}}.Envelope(d.SOAP)
	}
	d.ContentType, d.SOAPAction = d.SOAP.ContentType(), new(string)
}

// answerOf is the answer to a search, checked as an establishment would: signed
// by that structure.
func answerOf(t *testing.T, n *nation.Nation, side igc.Side, signer roc.StructureID, body roc.Content) message.SearchAnswer {
	t.Helper()
	env, err := soap.Read(body, soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	trust := xmlsig.NewTrust(trust.NewTrust(n.PKI.Roots(side), n.PKI.Intermediates(side)).Signature(nil))
	v := xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }})
	c, err := v.Check(env, xmlsig.Policy{}, xmlsig.Expect{Structure: signer}, n.Started)
	if err != nil {
		t.Fatalf("the answer's signature: %v", err)
	}
	a, err := message.ReadSearchAnswer(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Profile section 5, mode reecriture.
func TestTheFacadeGivesOutAddressesOfTheRPN(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Facade)
	chu := n.Etablissement(func(c *inner.Character) { c.Facade = "reecriture" })
	other := n.Etablissement(func(c *inner.Character) { c.Facade = "reecriture" })
	plain := n.Etablissement()

	r := chu.Send(roc.IDB, "bleue", asSearch)
	if r.Status != http.StatusOK || r.Origin() != roc.FromAnnuaire {
		t.Fatalf("got %s", r.Outcome)
	}
	tokens := map[string]string{}
	for _, a := range answerOf(t, n, igc.EtablissementSignature, igc.RPN, r.Body).Adresses {
		_, token, ok := strings.Cut(a.Valeur, "/roc/")
		if !ok || !strings.HasPrefix(a.Valeur, "https://localhost:") || strings.Contains(a.Valeur, "bleue") {
			t.Errorf("%s %s: %s is no address of the RPN", a.Service, a.Version, a.Valeur)
		}
		tokens[a.Service+a.Version] = token
	}
	if len(tokens) != 8 {
		t.Fatalf("%d addresses, want one for each service and version", len(tokens))
	}
	at := func(token string) nation.Mutation { return inner.WithPath("/" + token) }

	// The address leads where the signed message says, and nowhere else.
	if r := chu.Send(roc.IDB, "bleue", at(tokens["IDBV2"])); !r.Answered("00") {
		t.Errorf("at its address: %s", r.Outcome)
	}
	n.AMC("bleue").WantReceived(1)
	tampered := []byte(tokens["IDBV2"])
	tampered[20] ^= 1
	for name, c := range map[string]struct {
		who   *nation.Etablissement
		amc   string
		token string
		how   []nation.Mutation
		want  roc.Reason
	}{
		"another insurer":           {chu, "verte", tokens["IDBV2"], nil, roc.BadKey},
		"another service":           {chu, "bleue", tokens["CLCV2"], nil, roc.BadKey},
		"another version":           {chu, "bleue", tokens["IDBV1"], nil, roc.BadKey},
		"tampered":                  {chu, "bleue", string(tampered), nil, roc.BadKey},
		"cut short":                 {chu, "bleue", tokens["IDBV2"][:40], nil, roc.BadKey},
		"another establishment":     {other, "bleue", tokens["IDBV2"], nil, roc.StructureMismatch},
		"a search":                  {chu, "bleue", tokens["IDBV2"], []nation.Mutation{asSearch}, roc.BadKey},
		"the message is not signed": {chu, "bleue", tokens["IDBV2"], []nation.Mutation{inner.Unsigned}, roc.NotSigned},
		"the message was altered":   {chu, "bleue", tokens["IDBV2"], []nation.Mutation{inner.Altered}, roc.BadSignature},
	} {
		if r := c.who.Send(roc.IDB, c.amc, append(c.how, at(c.token))...); r.Code != c.want.Meaning().Code {
			t.Errorf("%s: %s, want %s", name, r.Outcome, c.want)
		}
	}
	n.AMC("bleue").WantReceived(1)
	n.AMC("verte").WantReceived(0)

	// From memory too, and for who asks for nothing special nothing changes.
	n.Annuaire.Break(fictif.Down)
	if r := chu.Send(roc.IDB, "bleue", asSearch); r.Status != http.StatusOK || r.Origin() != roc.FromCache {
		t.Errorf("while the annuaire is down: %s", r.Outcome)
	}
	r = plain.Send(roc.IDB, "bleue", asSearch)
	if r.Origin() != roc.FromCache || !bytes.Contains(r.Body.Bytes(), []byte("roc.mutuelle-bleue.example")) {
		t.Errorf("in the mode transparent: %s", r.Outcome)
	}
	answerOf(t, n, igc.AMCSignature, "300000000000026", r.Body)
}

// The keys of the façade change without a break: what was given out under the
// old one is taken as long as it stands in the list.
func TestTheKeysOfTheFacadeChangeWithoutABreak(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Facade)
	chu := n.Etablissement(func(c *inner.Character) { c.Facade = "reecriture" })
	r := chu.Send(roc.IDB, "bleue", asSearch)
	token := ""
	for _, a := range answerOf(t, n, igc.EtablissementSignature, igc.RPN, r.Body).Adresses {
		if a.Service == "IDB" && a.Version == "V2" {
			_, token, _ = strings.Cut(a.Valeur, "/roc/")
		}
	}
	file := filepath.Join(n.Dir, "rpn", "secrets.txt")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fresh := strings.Repeat("5a", 32) + "\n"
	for _, step := range []struct{ keys, code string }{{fresh + string(old), "00"}, {fresh, "RPN222"}} {
		if err := os.WriteFile(file, []byte(step.keys), 0o600); err != nil {
			t.Fatal(err)
		}
		n.Restart()
		if r := chu.Send(roc.IDB, "bleue", inner.WithPath("/"+token)); r.Code != step.code {
			t.Errorf("got %s, want %s", r.Outcome, step.code)
		}
	}
}
