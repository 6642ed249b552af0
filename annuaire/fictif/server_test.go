package fictif

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// newServer makes a server, and the verifier that trusts its signature.
func newServer(t *testing.T) (*Server, *xmlsig.Verifier) {
	t.Helper()
	pki := igc.New(igc.Options{ECDSA: true})
	p := pki.AMCSigner("2000000018", "ANNUAIRE FICTIF")
	s, err := NewServer(Options{Rows: load(t, "bon.csv"), Key: xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}})
	if err != nil {
		t.Fatal(err)
	}
	trust := xmlsig.NewTrust(trust.NewTrust(pki.Roots(igc.AMCSignature), pki.Intermediates(igc.AMCSignature)).Signature(nil))
	return s, xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }})
}

func search(amc roc.NumeroAMC, a *message.Addressing) message.SearchRequest {
	return message.SearchRequest{
		Addressing: a,
		Requete:    message.Requete{Date: time.Now(), Editeur: "EDITEUR FICTIF", Logiciel: "GAP-FICTIF", VersionLogiciel: "1"},
		Adressage:  message.Adressage{AMC: amc, Domaine: roc.HOSP},
		Service:    "IDB", Norme: "ROC", Version: "V1", Types: []string{"URL", "MEL"},
	}
}

func post(s *Server, contentType string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/annuaire", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestTheAnswerIsSignedInTheVersionOfTheQuestion(t *testing.T) {
	t.Parallel()
	s, v := newServer(t)
	for _, version := range []soap.Version{soap.SOAP11, soap.SOAP12} {
		for amc, code := range map[roc.NumeroAMC]string{"77565712": "00", "0012345678": "01"} {
			w := post(s, version.ContentType(), search(amc, nil).Envelope(version).Bytes())
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != version.ContentType() {
				t.Fatalf("%s: HTTP %d, %s", amc, w.Code, w.Header().Get("Content-Type"))
			}
			m := roc.NewContent(w.Body.Bytes())
			messagetest.Valid(t, m)
			env, err := soap.Read(m, soap.DefaultLimits)
			if err != nil || env.Version() != version {
				t.Fatalf("%s: %v", amc, err)
			}
			checked, err := v.Check(env, xmlsig.Policy{}, xmlsig.Expect{Structure: "2000000018"}, time.Now())
			if err != nil {
				t.Fatalf("%s: %v", amc, err)
			}
			if a, err := message.ReadSearchAnswer(checked); err != nil || a.Code != code {
				t.Errorf("%s: code %s, %v; want %s", amc, a.Code, err, code)
			}
		}
	}
	if n := s.Questions(); n != 4 {
		t.Errorf("%d questions, want 4", n)
	}
}

func TestTheExampleOfTheProfileIsAnswered(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("testdata/annuaire-requete.xml")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newServer(t)
	if w := post(s, "text/xml; charset=utf-8", example); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<code>00</code>") {
		t.Errorf("HTTP %d", w.Code)
	}
}

func TestAnAddressedQuestionGetsAnAddressedAnswer(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	const id = "urn:uuid:01890000-0000-7000-8000-000000000001"
	w := post(s, soap.SOAP12.ContentType(), search("77565712", &message.Addressing{MessageID: id}).Envelope(soap.SOAP12).Bytes())
	if !strings.Contains(w.Body.String(), "RelatesTo>"+id+"<") {
		t.Error("the answer does not say which question it relates to")
	}
	messagetest.Valid(t, roc.NewContent(w.Body.Bytes()))
}

func TestWhatIsNotASearchGetsAFault(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	good := string(search("77565712", nil).Envelope(soap.SOAP11).Bytes())
	for name, c := range map[string]struct{ body, code string }{
		"nothing":              {"", "RPN202"},
		"HTML":                 {"<html><br></html>", "RPN203"},
		"an AMC of 3 digits":   {strings.Replace(good, "77565712", "775", 1), "RPN222"},
		"a domaine unheard of": {strings.Replace(good, "HOSP", "SSR", 1), "RPN222"},
		"another operation":    {strings.ReplaceAll(good, "ann:search", "ann:delete"), "RPN204"},
	} {
		w := post(s, "text/xml", []byte(c.body))
		if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `code="`+c.code+`"`) {
			t.Errorf("%s: HTTP %d, want a fault %s in %s", name, w.Code, c.code, w.Body)
		}
	}
	if s.Questions() != 0 {
		t.Error("counted as questions")
	}
	r := httptest.NewRecorder()
	s.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/", nil))
	if r.Code != http.StatusMethodNotAllowed || r.Header().Get("Allow") != http.MethodPost {
		t.Errorf("GET: HTTP %d", r.Code)
	}
}

func TestNewRowsServeFromTheNextQuestionOn(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	day, _ := ParseDay("2026-01-01")
	last, _ := ParseDay("2099-01-01")
	rows, err := NewRows([]Row{{AMC: "0012345678", Nom: "Mutuelle fictive neuve", ROC: true, Service: "IDB", Version: "V1", URL: "https://neuve.example/", Debut: day, Fin: last}})
	if err != nil {
		t.Fatal(err)
	}
	s.Use(rows)
	question := search("0012345678", nil).Envelope(soap.SOAP11).Bytes()
	if w := post(s, "text/xml", question); !strings.Contains(w.Body.String(), "https://neuve.example/") {
		t.Error("the new rows do not serve")
	}
}

func TestEveryFaultHasAName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for f := range faults {
		if n := f.String(); n == "" || seen[n] {
			t.Errorf("fault %d is named %q", f, n)
		} else {
			seen[n] = true
		}
	}
}
