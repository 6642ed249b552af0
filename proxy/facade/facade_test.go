package facade

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

const annuaireStructure = "2000000018"

// The answer to a search that says where to answer to, by WS-Addressing, is
// nobody else's: it is not remembered. Nor is one that cannot be read.
func TestASearchWithAddressingIsNobodyElses(t *testing.T) {
	t.Parallel()
	r := message.SearchRequest{
		Requete:   message.Requete{Date: time.Now(), Editeur: "E", Logiciel: "L", VersionLogiciel: "1"},
		Adressage: message.Adressage{AMC: "0075500025", Domaine: roc.HOSP}, Service: "IDB", Norme: "ROC", Version: "V2", Types: []string{"URL"},
	}
	idOf := func(r message.SearchRequest) [32]byte {
		env, err := soap.Read(r.Envelope(soap.SOAP12), soap.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		defer env.Release()
		return questionOf(env).id()
	}
	plain := idOf(r)
	if plain == ([32]byte{}) || plain != idOf(r) {
		t.Error("a plain search is not remembered")
	}
	other := r
	other.Adressage.CSR = "75"
	if idOf(other) == plain {
		t.Error("two searches are remembered as one")
	}
	r.Addressing = &message.Addressing{MessageID: "urn:uuid:1"}
	if idOf(r) != ([32]byte{}) {
		t.Error("a search with WS-Addressing is remembered")
	}
}

// An annuaire whose front answers in its place does not answer: for a search as
// for the RPN's own question. Its fault is handed on as it came.
func TestA5xxWithoutAnEnvelopeIsSilence(t *testing.T) {
	t.Parallel()
	f := New(Options{Limits: soap.DefaultLimits})
	for _, c := range []struct {
		status int
		body   string
		silent bool
	}{
		{503, "<html>Service Unavailable</html>", true},
		{502, "", true},
		{500, `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Server</faultcode><faultstring>?</faultstring></e:Fault></e:Body></e:Envelope>`, false},
		{404, "", false},
	} {
		a, err := f.heard(Answer{Status: c.status, Body: roc.NewContent([]byte(c.body))}, nil)
		if roc.IsRefused(err, roc.AnnuaireSilent) != c.silent || err != nil && !c.silent || a.Status != c.status {
			t.Errorf("HTTP status %d with %q: %v, want silence: %v", c.status, c.body, err, c.silent)
		}
	}
}

// An answer is believed when the annuaire signed it, about the insurer that was
// asked, and serves half the life of its signature.
func TestAnAnswerServesHalfTheLifeOfItsSignature(t *testing.T) {
	t.Parallel()
	pki := igc.New(igc.Options{ECDSA: true})
	store := xmlsig.NewTrust(trust.NewTrust(pki.Roots(igc.AMCSignature), pki.Intermediates(igc.AMCSignature)).Signature(nil))
	f := New(Options{Limits: soap.DefaultLimits, Verifier: xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return store }}), Signer: annuaireStructure})
	at := time.Now()
	answer := func(signer, host string) annuaire.Searched {
		p := pki.AMCSigner(roc.StructureID(signer), "ANNUAIRE FICTIF")
		m, err := xmlsig.Sign(message.SearchAnswer{
			Code: message.RetourTrouve, AMC: "0075500025", Nom: "Mutuelle",
			Adresses: []message.Adresse{
				{Service: "IDB", Norme: "ROC", Version: "V2", Type: "URL", Valeur: "https://" + host + "/roc"},
				{Service: "IDB", Norme: "ROC", Version: "V1", Type: "URL", Valeur: "https://" + host + "/roc"},
			},
		}.Envelope(soap.SOAP11), xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}, xmlsig.SignOptions{At: at})
		if err != nil {
			t.Fatal(err)
		}
		return annuaire.Searched{Status: 200, Body: m, At: at}
	}
	asked := question{amc: "0075500025", text: "x"}
	good := answer(annuaireStructure, "a.example")
	v, err := f.believe(asked, good)
	if err != nil {
		t.Fatal(err)
	}
	checked, err := f.verify(asked, good)
	if err != nil {
		t.Fatal(err)
	}
	if life := checked.Until().Sub(at); life <= 0 || v.Until.Sub(at) != life/2 {
		t.Errorf("it serves %s of its life of %s, want half", v.Until.Sub(at), life)
	}
	if again, err := f.believe(asked, answer(annuaireStructure, "a.example")); err != nil || again.Says != v.Says || v.Says == ([16]byte{}) {
		t.Errorf("an answer that says the same is taken for a change: %v", err)
	}
	if moved, err := f.believe(asked, answer(annuaireStructure, "b.example")); err != nil || moved.Says == v.Says {
		t.Errorf("an answer that says something else is taken for the same: %v", err)
	}
	if _, err := f.believe(question{amc: "0075500033", text: "x"}, good); err == nil {
		t.Error("an answer about another insurer is believed")
	}
	if _, err := f.believe(asked, answer("2000000026", "a.example")); err == nil {
		t.Error("an answer that another one signed is believed")
	}
}

// written is a SearchAnswer of the annuaire, signed, as f reads it.
func written(t *testing.T, f *Facade, pki *igc.PKI, a message.SearchAnswer, at time.Time) annuaire.Searched {
	t.Helper()
	p := pki.AMCSigner(annuaireStructure, "ANNUAIRE FICTIF")
	m, err := xmlsig.Sign(a.Envelope(soap.SOAP11), xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}, xmlsig.SignOptions{At: at})
	if err != nil {
		t.Fatal(err)
	}
	return annuaire.Searched{Status: 200, Body: m, At: at}
}

// A rewritten answer has one address of ours for each service and version, for
// its time; addresses of other norms and types stay; it says whom it answers.
func TestARewrittenAnswer(t *testing.T) {
	t.Parallel()
	pki := igc.New(igc.Options{ECDSA: true})
	store := xmlsig.NewTrust(trust.NewTrust(pki.Roots(igc.AMCSignature), pki.Intermediates(igc.AMCSignature)).Signature(nil))
	now := time.Now().Truncate(time.Second)
	f := New(Options{Verifier: xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return store }}), Signer: annuaireStructure, Limits: soap.DefaultLimits,
		Keys: ring(t, ours), Endpoint: "https://rpn.example/roc/", Life: time.Hour, Now: func() time.Time { return now },
		Sign: func(m roc.Content, _ time.Time) (roc.Content, error) { return m, nil }})
	url := func(service, version, host string) message.Adresse {
		return message.Adresse{Service: service, Norme: "ROC", Version: version, Type: "URL", Valeur: "https://" + host + "/roc"}
	}
	mail := message.Adresse{Service: "DRE", Norme: "DRE", Version: "V1.0", Type: "MEL", Valeur: "dre@amc.example"}
	post := url("IDB", "V2", "amc.example")
	post.Type, post.Valeur = "MEL", "roc@amc.example"
	other := url("IDB", "V2", "autre.example")
	other.Norme = "DRE"
	said := message.SearchAnswer{Addressing: &message.Addressing{RelatesTo: "urn:uuid:of-the-annuaire"}, Code: message.RetourTrouve, AMC: "0075500025", Nom: "Mutuelle",
		Adresses: []message.Adresse{url("IDB", "V1", "amc.example"), url("IDB", "V2", "amc.example"), url("IDB", "V2", "amc2.example"), url("SIM", "V2", "amc.example"), mail, post, other}}
	es := &register.Etablissement{Structure: "1010003812", Facade: register.Reecriture}
	for _, id := range []string{"", "urn:uuid:asked"} {
		r := message.SearchRequest{Requete: message.Requete{Date: now, Editeur: "E", Logiciel: "L", VersionLogiciel: "1"},
			Adressage: message.Adressage{AMC: "0075500025", Domaine: roc.HOSP}}
		if id != "" {
			r.Addressing = &message.Addressing{MessageID: id}
		}
		asked, err := soap.Read(r.Envelope(soap.SOAP11), soap.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		defer asked.Release()
		checked, err := f.verify(question{amc: "0075500025"}, written(t, f, pki, said, now))
		if err != nil {
			t.Fatal(err)
		}
		defer checked.Envelope().Release()
		a, err := f.rewrite(es, asked, Answer{Status: 200}, checked)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(a.Body.Bytes(), []byte("of-the-annuaire")); got != 0 {
			t.Error("it says to answer what the annuaire answered")
		}
		if id != "" && !bytes.Contains(a.Body.Bytes(), []byte(id)) {
			t.Error("it does not say whom it answers")
		}
		var given []string
		for _, m := range regexp.MustCompile(`https://rpn\.example/roc/([\w-]+)`).FindAllSubmatch(a.Body.Bytes(), -1) {
			k, err := f.OpenToken(string(m[1]), es.Structure, now.Add(time.Hour-time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if k.amc != said.AMC || !k.until.Equal(now.Add(time.Hour)) {
				t.Errorf("it gives %+v", k)
			}
			given = append(given, k.service.String()+k.version.String())
		}
		if got := strings.Join(given, " "); got != "IDBV1 IDBV2 SIMV2" {
			t.Errorf("addresses of ours: %s", got)
		}
		for text, want := range map[string]int{"https://amc": 0, "dre@amc.example": 1, "roc@amc.example": 1, "https://autre.example/roc": 1} {
			if n := bytes.Count(a.Body.Bytes(), []byte(text)); n != want {
				t.Errorf("%s stands there %d times, want %d", text, n, want)
			}
		}
	}
}

// What an answer says does not depend on the order of its addresses, and one
// that knows no such AMC says nothing.
func TestWhatAnAnswerSays(t *testing.T) {
	t.Parallel()
	pki := igc.New(igc.Options{ECDSA: true})
	store := xmlsig.NewTrust(trust.NewTrust(pki.Roots(igc.AMCSignature), pki.Intermediates(igc.AMCSignature)).Signature(nil))
	f := New(Options{Verifier: xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return store }}), Signer: annuaireStructure, Limits: soap.DefaultLimits})
	says := func(a message.SearchAnswer) [16]byte {
		v, err := f.believe(question{amc: "0075500025"}, written(t, f, pki, a, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		return v.Says
	}
	one := message.Adresse{Service: "IDB", Norme: "ROC", Version: "V2", Type: "URL", Valeur: "https://a.example/roc"}
	two := one
	two.Service = "SIM"
	found := message.SearchAnswer{Code: message.RetourTrouve, AMC: "0075500025", Nom: "Mutuelle", Adresses: []message.Adresse{one, two}}
	turned := found
	turned.Adresses = []message.Adresse{two, one}
	if says(found) != says(turned) || says(found) == ([16]byte{}) {
		t.Error("another order of the addresses says something else")
	}
	if says(message.SearchAnswer{Code: message.RetourInconnu, Libelle: "inconnu"}) != ([16]byte{}) {
		t.Error("an answer that knows no such AMC says something")
	}
}
