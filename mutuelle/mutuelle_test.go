package mutuelle_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/mutuelle"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

const ourAMC roc.NumeroAMC = "0077565712"

// parties is the keys of the tests, made once: an establishment, the insurer,
// and a stranger that nobody trusts.
var parties = sync.OnceValue(func() (w struct{ es, amc, stranger party }) {
	pki := igc.New(igc.Options{ECDSA: true})
	w.es = newParty(pki, igc.EtablissementSignature, pki.Sign("1010003812", "CH FICTIF"))
	w.amc = newParty(pki, igc.AMCSignature, pki.AMCSigner(igc.AMC, "MUTUELLE FICTIVE"))
	w.stranger = newParty(pki, igc.EtablissementSignature, pki.Sign("1010003812", "CH FICTIF", igc.OtherCA()))
	return w
})

// A party signs, and is checked by its verifier.
type party struct {
	key      xmlsig.Key
	verifier *xmlsig.Verifier
}

func newParty(pki *igc.PKI, side igc.Side, p igc.Pair) party {
	trust := xmlsig.NewTrust(trust.NewTrust(pki.Roots(side), pki.Intermediates(side)).Signature(nil))
	return party{
		xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key},
		xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }}),
	}
}

func (p party) sign(t *testing.T, m roc.Content) roc.Content {
	t.Helper()
	s, err := xmlsig.Sign(m, p.key, xmlsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs an insurer; change may alter its options.
func start(t *testing.T, change func(*mutuelle.Options)) (*mutuelle.Mutuelle, *httptest.Server) {
	t.Helper()
	o := mutuelle.Options{AMC: []roc.NumeroAMC{ourAMC}, Key: parties().amc.key, Verifier: parties().es.verifier}
	if change != nil {
		change(&o)
	}
	m, err := mutuelle.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	return m, s
}

// An answer is what came back.
type answer struct {
	status      int
	contentType string
	content     roc.Content
	env         *soap.Envelope
}

func send(t *testing.T, s *httptest.Server, v soap.Version, m roc.Content) answer {
	t.Helper()
	a, err := try(s, v, m)
	if err != nil {
		t.Fatal(err)
	}
	if a.env, err = soap.Read(a.content, soap.DefaultLimits); err != nil {
		t.Fatalf("HTTP %d: %v", a.status, err)
	}
	return a
}

func try(s *httptest.Server, v soap.Version, m roc.Content) (answer, error) {
	r, err := s.Client().Post(s.URL+"/roc/idb", v.ContentType(), bytes.NewReader(m.Bytes()))
	if err != nil {
		return answer{}, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return answer{status: r.StatusCode, contentType: r.Header.Get("Content-Type"), content: roc.NewContent(b)}, err
}

func (a answer) text(path ...string) string {
	s, _ := a.env.Body().First().Path(path...).Text()
	return s
}

// wantSigned checks the insurer's signature and the schemas.
func (a answer) wantSigned(t *testing.T) {
	t.Helper()
	if _, err := parties().amc.verifier.Check(a.env, xmlsig.Policy{}, xmlsig.Expect{}, time.Now()); err != nil {
		t.Errorf("the answer's signature: %v", err)
	}
	messagetest.Valid(t, a.content)
}

func demande(v roc.Version, adherent string) message.Demande {
	d := message.Demande{
		Requete:       message.Requete{Date: time.Now(), Editeur: "EDITEUR DEMO", Logiciel: "GAP-DEMO-0001", VersionLogiciel: "12.4"},
		Etablissement: message.Etablissement{EJ: "010003812", EG: "010003820"},
		Adressage:     message.Adressage{AMC: "77565712", Convention: "RO", Domaine: roc.HOSP},
		Beneficiaire:  message.Beneficiaire{NumeroAdherent: adherent, Nom: "FICTIF", Prenom: "Zoé", DateNaissance: "1980-02-29"},
	}
	if v == roc.V2 {
		d.Etablissement.Champ, d.Etablissement.Statut = "MCO", "EX_DG"
	}
	return d
}

var deuxPrestations = []message.Prestation{
	{Rang: 1, Code: "FJ", Date: "2026-11-18", Quantite: 3, Total: 6001},
	{Rang: 2, Code: "TM", Date: "2026-11-18", Quantite: 1, Total: 81240, AMO: 64992},
}

func idb(v roc.Version, adherent string) message.IDBRequest {
	return message.IDBRequest{Version: v, Demande: demande(v, adherent)}
}

func clc(v roc.Version, adherent string) message.CLCRequest {
	return message.CLCRequest{Version: v, Demande: demande(v, adherent), Prestations: deuxPrestations}
}

type builder interface {
	Envelope(soap.Version) roc.Content
}

func TestFunctionalAnswers(t *testing.T) {
	t.Parallel()
	_, s := start(t, nil)
	for _, v := range []roc.Version{roc.V1, roc.V2} {
		for _, sv := range []soap.Version{soap.SOAP11, soap.SOAP12} {
			for _, c := range []struct {
				name    string
				request builder
				answer  string // local name
				want    map[string]string
			}{
				{"IDB open", idb(v, mutuelle.DroitsOuverts), "interrogerReponse", map[string]string{"CR/CodeCR": "00", "droits/ouverts": "true", "organisme/numero_amc": string(ourAMC), "organisme/nom": "Mutuelle ANS", "garanties/garantie/taux": "100"}},
				{"IDB closed", idb(v, mutuelle.DroitsFermes), "interrogerReponse", map[string]string{"CR/CodeCR": "02", "droits/ouverts": "false", "garanties/garantie/taux": ""}},
				{"IDB unknown", idb(v, mutuelle.Inconnu), "interrogerReponse", map[string]string{"CR/CodeCR": "01", "droits/ouverts": ""}},
				{"IDB unpublished", idb(v, "ADH9999999"), "interrogerReponse", map[string]string{"CR/CodeCR": "01"}},
				{"CLC granted", clc(v, mutuelle.DroitsOuverts), "calculerReponse", map[string]string{"CR/CodeCR": "00", "prestations/prestation/montant_amc": "60.01", "prestations/prestation/reste_a_charge": "0.00"}},
				{"CLC half", clc(v, mutuelle.AccordPartiel), "calculerReponse", map[string]string{"CR/CodeCR": "00", "prestations/prestation/montant_amc": "30.01", "prestations/prestation/reste_a_charge": "30.00"}},
				{"CLC refused", clc(v, mutuelle.CalculRefuse), "calculerReponse", map[string]string{"CR/CodeCR": "03", "garantie_paiement/reference": "", "prestations/prestation/rang": ""}},
				{"CLC closed", clc(v, mutuelle.DroitsFermes), "calculerReponse", map[string]string{"CR/CodeCR": "02", "garantie_paiement/reference": ""}},
				{"SIM", message.SIMRequest{Version: v, Demande: demande(v, mutuelle.DroitsOuverts), Prestations: deuxPrestations}, "simulerReponse", map[string]string{"CR/CodeCR": "00", "prestations/prestation/montant_amc": "60.01", "garantie_paiement/reference": ""}},
				{"ANL of another's", message.ANLRequest{Version: v, Demande: demande(v, mutuelle.DroitsOuverts), Reference: "GP-2026-11-0000042"}, "annulerReponse", map[string]string{"CR/CodeCR": "06", "annulation/reference": ""}},
			} {
				t.Run(fmt.Sprintf("%s %s SOAP %s", c.name, v, sv), func(t *testing.T) {
					t.Parallel()
					a := send(t, s, sv, parties().es.sign(t, c.request.Envelope(sv)))
					if a.status != 200 || a.env.Version() != sv || a.contentType != sv.ContentType() || a.env.Operation().Local != c.answer {
						t.Errorf("HTTP %d, SOAP %s, %s, %v", a.status, a.env.Version(), a.contentType, a.env.Operation())
					}
					a.wantSigned(t)
					for path, want := range c.want {
						if got := a.text(strings.Split(path, "/")...); got != want {
							t.Errorf("%s is %q, not %q", path, got, want)
						}
					}
				})
			}
		}
	}
}

// The insurer keeps no state, and yet knows what it promised.
func TestAGuaranteeCanBeCancelledByAnotherInstance(t *testing.T) {
	t.Parallel()
	_, one := start(t, nil)
	_, two := start(t, nil)
	granted := send(t, one, soap.SOAP12, parties().es.sign(t, clc(roc.V2, mutuelle.DroitsOuverts).Envelope(soap.SOAP12)))
	ref := granted.text("garantie_paiement", "reference")
	if ref == "" {
		t.Fatal("no guarantee")
	}
	cancel := func(ref string) answer {
		m := message.ANLRequest{Version: roc.V1, Demande: demande(roc.V1, mutuelle.DroitsFermes), Reference: ref}
		return send(t, two, soap.SOAP11, parties().es.sign(t, m.Envelope(soap.SOAP11)))
	}
	for range 2 {
		if a := cancel(ref); a.text("CR", "CodeCR") != "00" || a.text("annulation", "reference") != ref {
			t.Errorf("cancelling %s: CR %s", ref, a.text("CR", "CodeCR"))
		}
	}
	if a := cancel(ref[:len(ref)-1] + "X"); a.text("CR", "CodeCR") != "06" {
		t.Errorf("a changed reference: CR %s", a.text("CR", "CodeCR"))
	}
}

func TestAnotherAMCNumber(t *testing.T) {
	t.Parallel()
	_, s := start(t, func(o *mutuelle.Options) { o.AMC = []roc.NumeroAMC{"0775671993"} })
	if a := send(t, s, soap.SOAP12, parties().es.sign(t, idb(roc.V1, mutuelle.DroitsOuverts).Envelope(soap.SOAP12))); a.text("CR", "CodeCR") != "04" {
		t.Errorf("CR %s", a.text("CR", "CodeCR"))
	}
	_, every := start(t, func(o *mutuelle.Options) { o.AMC = nil })
	if a := send(t, every, soap.SOAP12, parties().es.sign(t, idb(roc.V1, mutuelle.DroitsOuverts).Envelope(soap.SOAP12))); a.text("CR", "CodeCR") != "00" {
		t.Errorf("CR %s", a.text("CR", "CodeCR"))
	}
}

func TestAddressingIsMirrored(t *testing.T) {
	t.Parallel()
	const id = "urn:uuid:0f3c3f5e-6b0a-4a54-9a0c-6f8f4f1f2f10"
	_, s := start(t, nil)
	r := idb(roc.V1, mutuelle.DroitsOuverts)
	r.Addressing = &message.Addressing{MessageID: id, To: "https://rpn.example/roc"}
	a := send(t, s, soap.SOAP12, parties().es.sign(t, r.Envelope(soap.SOAP12)))
	if got, ok := message.AddressingOf(a.env); !ok || got != (message.Addressing{RelatesTo: id}) {
		t.Errorf("addressing %+v", got)
	}
	if action, _ := a.env.Header().Child(soap.NSWSA, "Action").Text(); action != "urn:roc:idb:1.0.0:interrogerReponse" {
		t.Errorf("action %s", action)
	}
	r.Addressing = nil
	a = send(t, s, soap.SOAP12, parties().es.sign(t, r.Envelope(soap.SOAP12)))
	if _, ok := message.AddressingOf(a.env); ok {
		t.Error("a request without addressing has an answer with it")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	_, s := start(t, nil)
	for _, sv := range []soap.Version{soap.SOAP11, soap.SOAP12} {
		good := parties().es.sign(t, idb(roc.V1, mutuelle.DroitsOuverts).Envelope(sv))
		altered := bytes.Replace(good.Bytes(), []byte("Zoé"), []byte("Zoë"), 1)
		for name, c := range map[string]struct {
			m      []byte
			code   string
			sender bool
			says   string
		}{
			"technical fault":   {parties().es.sign(t, idb(roc.V2, mutuelle.PanneTechnique).Envelope(sv)).Bytes(), "AMC90", false, "indisponible"},
			"not XML":           {append([]byte("x"), good.Bytes()...), "AMC01", true, "SOAP"},
			"too large":         {append(bytes.Clone(good.Bytes()), bytes.Repeat([]byte(" "), 2<<20)...), "AMC01", true, "SOAP"},
			"unknown operation": {bytes.ReplaceAll(good.Bytes(), []byte("urn:roc:idb:1.0.0"), []byte("urn:roc:idb:9.0.0")), "AMC02", true, "opération"},
			"a search":          {parties().es.sign(t, message.SearchRequest{Adressage: demande(roc.V1, "X").Adressage}.Envelope(sv)).Bytes(), "AMC02", true, "opération"},
			"unsigned":          {idb(roc.V1, mutuelle.DroitsOuverts).Envelope(sv).Bytes(), "AMC03", true, "signature"},
			"altered":           {altered, "AMC03", true, "signature"},
			"a stranger":        {parties().stranger.sign(t, idb(roc.V1, mutuelle.DroitsOuverts).Envelope(sv)).Bytes(), "AMC03", true, "signature"},
			"no adherent":       {parties().es.sign(t, idb(roc.V1, "").Envelope(sv)).Bytes(), "AMC04", true, "beneficiaire/numero_adherent"},
		} {
			a := send(t, s, sv, roc.NewContent(c.m))
			if a.status != 500 || a.env.Version() != sv || a.contentType != sv.ContentType() {
				t.Errorf("%s: HTTP %d, SOAP %s, %s", name, a.status, a.env.Version(), a.contentType)
			}
			a.wantSigned(t)
			code, who, reason := a.fault(sv)
			if code != c.code || (who == "sender") != c.sender || !strings.Contains(reason, c.says) {
				t.Errorf("%s: %s of the %s: %s", name, code, who, reason)
			}
		}
	}
}

// fault reads a fault of the insurer: its code, whose it is, its reason.
func (a answer) fault(v soap.Version) (code, who, reason string) {
	f := a.env.Body().First()
	detail, value, text := f.Path("detail"), f.Path("faultcode"), f.Path("faultstring")
	if v == soap.SOAP12 {
		ns := v.Namespace()
		detail, value, text = f.Child(ns, "Detail"), f.Child(ns, "Code").Child(ns, "Value"), f.Child(ns, "Reason").Child(ns, "Text")
	}
	code, _ = detail.Child(mutuelle.NSErreur, "Erreur").Attr("", "code")
	s, _ := value.Text()
	switch s {
	case "soap:Client", "soap:Sender":
		who = "sender"
	case "soap:Server", "soap:Receiver":
		who = "receiver"
	}
	reason, _ = text.Text()
	return code, who, reason
}

func TestPannes(t *testing.T) {
	t.Parallel()
	_, s := start(t, func(o *mutuelle.Options) { o.Slow, o.Big = time.Millisecond, 3<<20 })
	request := func(adherent string) roc.Content {
		return parties().es.sign(t, idb(roc.V1, adherent).Envelope(soap.SOAP12))
	}
	checkAnswer := func(m roc.Content, lim soap.Limits) error {
		env, err := soap.Read(m, lim)
		if err != nil {
			return err
		}
		_, err = parties().amc.verifier.Check(env, xmlsig.Policy{}, xmlsig.Expect{}, time.Now())
		return err
	}
	if a := send(t, s, soap.SOAP12, request(mutuelle.Lente)); a.text("CR", "CodeCR") != "00" {
		t.Errorf("slow: CR %s", a.text("CR", "CodeCR"))
	}
	if a, err := try(s, soap.SOAP12, request(mutuelle.Coupee)); !errors.Is(err, io.ErrUnexpectedEOF) || a.status != 200 || a.content.Len() == 0 {
		t.Errorf("cut: HTTP %d, %d bytes, %v", a.status, a.content.Len(), err)
	}
	if _, err := try(s, soap.SOAP12, request(mutuelle.CoupeeEnSilence)); !errors.Is(err, io.EOF) {
		t.Errorf("closed: %v", err)
	}
	a, err := try(s, soap.SOAP12, request(mutuelle.Volumineuse))
	if err != nil || a.content.Len() <= 3<<20 {
		t.Errorf("big: %d bytes, %v", a.content.Len(), err)
	}
	if err := checkAnswer(a.content, soap.DefaultLimits); !roc.IsRefused(err, roc.TooLarge) {
		t.Errorf("big, within the limits: %v", err)
	}
	large := soap.DefaultLimits
	large.Bytes = 8 << 20
	if err := checkAnswer(a.content, large); err != nil {
		t.Errorf("big: its signature: %v", err)
	}
	for adherent, want := range map[string]roc.Reason{mutuelle.NonSignee: roc.NotSigned, mutuelle.Alteree: roc.BadSignature} {
		a, err := try(s, soap.SOAP12, request(adherent))
		if err != nil || a.status != 200 || !roc.IsRefused(checkAnswer(a.content, soap.DefaultLimits), want) {
			t.Errorf("%s: HTTP %d, %v, %v", adherent, a.status, err, checkAnswer(a.content, soap.DefaultLimits))
		}
		messagetest.Valid(t, a.content)
	}
	if a, err := try(s, soap.SOAP12, request(mutuelle.PasSOAP)); err != nil || a.status != 503 || !strings.HasPrefix(a.contentType, "text/html") {
		t.Errorf("HTML: HTTP %d %s, %v", a.status, a.contentType, err)
	}
}

// A caller that leaves ends the wait of the slow case: no goroutine is held.
func TestTheSlowCaseEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	_, s := start(t, func(o *mutuelle.Options) {
		o.Slow = 24 * time.Hour
		o.OnRequest = func(roc.Content, http.Header) { close(began) }
	})
	m := parties().es.sign(t, idb(roc.V1, mutuelle.Lente).Envelope(soap.SOAP12))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, bytes.NewReader(m.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", soap.SOAP12.ContentType())
	done := make(chan error)
	go func() { _, err := s.Client().Do(r); done <- err }()
	<-began
	s.CloseClientConnections()
	if err := <-done; err == nil {
		t.Error("an answer came")
	}
	// s.Close, at the end of the test, waits for the handler.
}

func TestWhatCameIsCountedAndSeen(t *testing.T) {
	t.Parallel()
	var seen [][]byte
	var header http.Header
	m, s := start(t, func(o *mutuelle.Options) {
		o.OnRequest = func(raw roc.Content, h http.Header) { seen, header = append(seen, raw.Bytes()), h }
	})
	good := parties().es.sign(t, idb(roc.V1, mutuelle.DroitsOuverts).Envelope(soap.SOAP11))
	send(t, s, soap.SOAP11, good)
	send(t, s, soap.SOAP11, roc.NewContent([]byte("not XML")))
	if m.Received() != 2 || m.LastRequest() != sha256.Sum256([]byte("not XML")) {
		t.Errorf("received %d", m.Received())
	}
	if len(seen) != 2 || !bytes.Equal(seen[0], good.Bytes()) || header.Get("Content-Type") != soap.SOAP11.ContentType() {
		t.Error("OnRequest did not see the messages as they came")
	}
	r, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed || m.Received() != 2 {
		t.Errorf("GET: HTTP %d, received %d", r.StatusCode, m.Received())
	}
}

func TestNewRefusesToBeUnsafe(t *testing.T) {
	t.Parallel()
	if _, err := mutuelle.New(mutuelle.Options{Verifier: parties().es.verifier}); err == nil {
		t.Error("without a key")
	}
	if _, err := mutuelle.New(mutuelle.Options{Key: parties().amc.key}); err == nil {
		t.Error("without a verifier")
	}
}

func TestTheDocumentListsTheCases(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/mutuelle.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, c := range mutuelle.Cases() {
		rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", c.Adherent, c.Effet))
	}
	if !strings.Contains(string(doc), strings.Join(rows, "")) {
		t.Errorf("docs/mutuelle.md does not hold this table:\n%s", strings.Join(rows, ""))
	}
	// No published number may be taken for a NIR.
	nir := regexp.MustCompile(`[12]\d{4}`)
	for _, c := range mutuelle.Cases() {
		if nir.MatchString(c.Adherent) {
			t.Errorf("%s looks like the number of a person", c.Adherent)
		}
	}
}
