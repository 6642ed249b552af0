package annuaire_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

const (
	ourStructure      = "318751275100020"
	annuaireStructure = "2000000018"
)

// A land is a PKI, a fictitious annuaire behind mTLS, and what a client needs
// to ask it.
type land struct {
	pki      *igc.PKI
	annuaire *fictif.Server
	url      string
}

func newLand(t *testing.T) *land {
	t.Helper()
	l := &land{pki: igc.New(igc.Options{ECDSA: true})}
	rows, err := fictif.Load("fictif/testdata/bon.csv")
	if err != nil {
		t.Fatal(err)
	}
	l.annuaire, err = fictif.NewServer(fictif.Options{Rows: rows, Key: key(l.pki.AMCSigner(annuaireStructure, "ANNUAIRE FICTIF"))})
	if err != nil {
		t.Fatal(err)
	}
	l.url = l.serve(t, l.annuaire, l.pki.Server(igc.AMCTLS, "localhost"))
	return l
}

func key(p igc.Pair) xmlsig.Key {
	return xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}
}

// serve serves h over mTLS on the loopback and returns its URL.
func (l *land) serve(t *testing.T, h http.Handler, own igc.Pair) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{own.TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    l.pki.Pool(igc.EtablissementTLS),
		NextProtos:   []string{"http/1.1"},
	}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return "https://localhost:" + port + "/annuaire"
}

// handshake is what tlsconf does for the real RPN.
func (l *land) handshake(own igc.Pair) func(context.Context, net.Conn, string) (*tls.Conn, error) {
	return func(ctx context.Context, conn net.Conn, name string) (*tls.Conn, error) {
		c := tls.Client(conn, &tls.Config{
			RootCAs: l.pki.Pool(igc.AMCTLS), ServerName: name, NextProtos: []string{"http/1.1"},
			Certificates: []tls.Certificate{own.TLS()},
		})
		return c, c.HandshakeContext(ctx)
	}
}

// client makes a client of the land's annuaire; change may change its options.
func (l *land) client(t *testing.T, change func(*annuaire.ClientOptions)) *annuaire.Client {
	t.Helper()
	trust := xmlsig.NewTrust(trust.NewTrust(l.pki.Roots(igc.AMCSignature), l.pki.Intermediates(igc.AMCSignature)).Signature(nil))
	o := annuaire.ClientOptions{
		URL:       l.url,
		Handshake: l.handshake(l.pki.Auth(ourStructure, "RPN ROC")),
		Verifier:  xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }}),
		Signer:    annuaireStructure,
		Timeout:   time.Minute,
	}
	if change != nil {
		change(&o)
	}
	c, err := annuaire.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func ans(service roc.Service, version roc.Version) roc.Key {
	return roc.Key{AMC: "0077565712", Convention: "RO", CSR: "941234567", Domaine: roc.HOSP, Service: service, Version: version}
}

func TestAskOverMTLS(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	c := l.client(t, nil)
	before := time.Now()
	e, err := c.Ask(t.Context(), ans(roc.IDB, roc.V1))
	if err != nil {
		t.Fatal(err)
	}
	if e.AMC != "0077565712" || e.Nom != "Mutuelle fictive ANS" || !e.ROC || e.Remembered || e.At.Before(before) {
		t.Errorf("found %+v", e)
	}
	want := []annuaire.Adresse{{Service: roc.IDB, Version: roc.V2, URL: "https://ans.example/roc/v2/idb"}, {Service: roc.IDB, Version: roc.V1, URL: "https://ans.example/roc/94"}}
	if len(e.Adresses) != 2 || !(e.Adresses[0] == want[0] && e.Adresses[1] == want[1] || e.Adresses[0] == want[1] && e.Adresses[1] == want[0]) {
		t.Errorf("addresses %v, want those of IDB in both versions: %v", e.Adresses, want)
	}
	if y, m, d := e.Fin.Date(); y != 2099 || m != time.December || d != 31 || e.Fin.Location().String() != "Europe/Paris" {
		t.Errorf("valid until %v", e.Fin)
	}
	messagetest.Valid(t, e.Raw)
	if !strings.Contains(string(e.Raw.Bytes()), "<valeur>dre-es@ans.example</valeur>") {
		t.Error("the mail address of the invoices is not in the signed answer")
	}
	if e, err := c.Ask(t.Context(), ans(roc.SIM, roc.V1)); err != nil || len(e.Adresses) != 0 {
		t.Errorf("a service that is not offered: %v, %v", e.Adresses, err)
	}
	if n := l.annuaire.Questions(); n != 2 {
		t.Errorf("the annuaire was asked %d times", n)
	}
}

func TestAskedAboutAnAMCThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	k := ans(roc.IDB, roc.V1)
	k.AMC = "0012345678"
	if _, err := l.client(t, nil).Ask(t.Context(), k); !roc.IsRefused(err, roc.UnknownAMC) {
		t.Errorf("found %v, want unknown-amc", err)
	}
}

// Every way to misbehave, and what the exchange is refused for: profile
// sections 5 (answers are checked before they are believed) and 7.
func TestWhatTheAnnuaireMayDoWrong(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	quick := func(o *annuaire.ClientOptions) { o.Timeout = 20 * time.Millisecond }
	for _, c := range []struct {
		fault  fictif.Fault
		reason roc.Reason
		says   string // part of the cause
		change func(*annuaire.ClientOptions)
	}{
		{fictif.None, "", "", nil},
		{fictif.Down, roc.AnnuaireSilent, "HTTP status 503 without an envelope", nil},
		{fictif.Silent, roc.AnnuaireSilent, "", quick},
		{fictif.Unsigned, roc.AnnuaireRefused, "not-signed", nil},
		{fictif.BadSignature, roc.AnnuaireRefused, "bad-signature", nil},
		{fictif.Stale, roc.AnnuaireRefused, "stale-timestamp", nil},
		{fictif.OtherAMC, roc.AnnuaireRefused, "another AMC", nil},
		{fictif.PlainURL, "", "", nil}, // believed here: routing guards the address
		{fictif.Expired, roc.AnnuaireRefused, "validity does not cover today", nil},
		{fictif.Huge, roc.AnnuaireRefused, "larger than 262144 bytes", nil},
		{fictif.Half, roc.AnnuaireRefused, "cut short", nil},
		{fictif.SOAPFault, roc.AnnuaireRefused, "a fault", nil},
		{fictif.Redirected, roc.AnnuaireRefused, "HTTP status 307", nil},
		{fictif.Garbage, roc.AnnuaireRefused, "xml", nil},
		{fictif.None, "", "", nil}, // and back to normal
	} {
		l.annuaire.Break(c.fault)
		e, err := l.client(t, c.change).Ask(t.Context(), ans(roc.IDB, roc.V1))
		if c.reason == "" {
			if err != nil || e.Nom == "" {
				t.Errorf("%v: %v", c.fault, err)
			}
			continue
		}
		if !roc.IsRefused(err, c.reason) || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.says)) {
			t.Errorf("%v: %v, want %s: ...%s...", c.fault, err, c.reason, c.says)
		}
		if e.AMC != "" || e.Raw.Len() != 0 {
			t.Errorf("%v: refused, and yet %+v", c.fault, e)
		}
	}
}

func TestASlowAnnuaireIsSilent(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	l.annuaire.Slow(time.Hour)
	c := l.client(t, func(o *annuaire.ClientOptions) { o.Timeout = 20 * time.Millisecond })
	if _, err := c.Ask(t.Context(), ans(roc.IDB, roc.V1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("found %v, want annuaire-silent", err)
	}
}

func TestAClosedPortIsSilence(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	c := l.client(t, func(o *annuaire.ClientOptions) { o.URL = "https://" + closed.Addr().String() })
	if _, err := c.Ask(t.Context(), ans(roc.IDB, roc.V1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("found %v, want annuaire-silent", err)
	}
}

func TestTheConnectionGoesWhereDialSays(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	url := l.serve(t, l.annuaire, l.pki.Server(igc.AMCTLS, "annuaire.example"))
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/annuaire"))
	c := l.client(t, func(o *annuaire.ClientOptions) {
		o.URL = "https://annuaire.example/ws"
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != "annuaire.example:443" {
				t.Errorf("dialled %s", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		}
	})
	if _, err := c.Ask(t.Context(), ans(roc.IDB, roc.V1)); err != nil {
		t.Error(err)
	}
}

func TestTLSMustBeGoodOnBothSides(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	for name, change := range map[string]func(*annuaire.ClientOptions){
		"our certificate has expired": func(o *annuaire.ClientOptions) {
			o.Handshake = l.handshake(l.pki.Auth(ourStructure, "RPN ROC", igc.Expired()))
		},
		"the server's certificate is of another CA": func(o *annuaire.ClientOptions) {
			o.URL = l.serve(t, l.annuaire, l.pki.Server(igc.AMCTLS, "localhost", igc.OtherCA()))
		},
		"the server's certificate is for another name": func(o *annuaire.ClientOptions) {
			o.URL = l.serve(t, l.annuaire, l.pki.Server(igc.AMCTLS, "ailleurs.example"))
		},
	} {
		if _, err := l.client(t, change).Ask(t.Context(), ans(roc.IDB, roc.V1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
			t.Errorf("%s: %v, want annuaire-silent", name, err)
		}
	}
	if n := l.annuaire.Questions(); n != 0 {
		t.Errorf("%d questions were put all the same", n)
	}
}

// The signature store of the AMC side holds every AMC: none of them may speak
// for the annuaire.
func TestOnlyTheAnnuaireSignsForTheAnnuaire(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	for name, p := range map[string]igc.Pair{
		"an AMC":                    l.pki.AMCSigner("2000000026", "MUTUELLE FICTIVE"),
		"an establishment":          l.pki.Sign("1010000008", "CH FICTIF"),
		"an annuaire of another CA": l.pki.AMCSigner(annuaireStructure, "ANNUAIRE FICTIF", igc.Impostor()),
		"an expired annuaire":       l.pki.AMCSigner(annuaireStructure, "ANNUAIRE FICTIF", igc.Expired()),
	} {
		rows, err := fictif.Load("fictif/testdata/bon.yaml")
		if err != nil {
			t.Fatal(err)
		}
		s, err := fictif.NewServer(fictif.Options{Rows: rows, Key: key(p)})
		if err != nil {
			t.Fatal(err)
		}
		url := l.serve(t, s, l.pki.Server(igc.AMCTLS, "localhost"))
		c := l.client(t, func(o *annuaire.ClientOptions) { o.URL = url })
		if _, err := c.Ask(t.Context(), ans(roc.IDB, roc.V1)); !roc.IsRefused(err, roc.AnnuaireRefused) {
			t.Errorf("signed by %s: %v, want annuaire-refused", name, err)
		}
	}
}

func TestWhatIsNotAnAnswerIsRefused(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	answering := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	const fault = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>panne</faultstring></s:Fault></s:Body></s:Envelope>`
	for _, c := range []struct {
		name   string
		h      http.Handler
		reason roc.Reason
	}{
		{"404", answering(404, "text/html", "not found"), roc.AnnuaireRefused},
		{"204", answering(204, "text/xml", ""), roc.AnnuaireRefused},
		{"502 without an envelope", answering(502, "text/html", "<html>"), roc.AnnuaireSilent},
		{"500 with a fault", answering(500, "text/xml", fault), roc.AnnuaireRefused},
		{"200 with a fault", answering(200, "text/xml", fault), roc.AnnuaireRefused},
		{"200 and nothing", answering(200, "text/xml", ""), roc.AnnuaireRefused},
		{"a compressed answer", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte("x"))
		}), roc.AnnuaireRefused},
		{"a connection that is cut", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), roc.AnnuaireSilent},
	} {
		url := l.serve(t, c.h, l.pki.Server(igc.AMCTLS, "localhost"))
		k := l.client(t, func(o *annuaire.ClientOptions) { o.URL = url })
		if _, err := k.Ask(t.Context(), ans(roc.IDB, roc.V1)); !roc.IsRefused(err, c.reason) {
			t.Errorf("%s: %v, want %s", c.name, err, c.reason)
		}
	}
}

// TestTheQuestion looks at what leaves: the message of the profile and its
// action, and no header that nobody asked for.
func TestTheQuestion(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	seen := make(chan *http.Request, 1)
	body := make(chan []byte, 1)
	url := l.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, r.ContentLength)
		r.Body.Read(b)
		seen <- r
		body <- b
	}), l.pki.Server(igc.AMCTLS, "localhost"))
	l.client(t, func(o *annuaire.ClientOptions) { o.URL = url }).Ask(t.Context(), ans(roc.CLC, roc.V2))
	r, b := <-seen, string(<-body)
	if got := r.Header.Get("SOAPAction"); got != `"https://ws.annuaireamc.fr/search"` {
		t.Errorf("SOAPAction %s", got)
	}
	if got := r.Header.Get("Content-Type"); got != "text/xml; charset=utf-8" {
		t.Errorf("Content-Type %s", got)
	}
	for _, name := range []string{"Idempotency-Key", "Accept-Encoding", "Cookie"} {
		if _, sent := r.Header[name]; sent {
			t.Errorf("header %s was sent", name)
		}
	}
	messagetest.Valid(t, roc.NewContent([]byte(b)))
	for _, part := range []string{
		"<numero_amc>0077565712</numero_amc>", "<code_type_convention>RO</code_type_convention>", "<code_csr>941234567</code_csr>",
		"<domaine_conventionnel>HOSP</domaine_conventionnel>", "<code_service>CLC</code_service>",
		"<code_norme_service>ROC</code_norme_service>", "<version_norme_service>V2</version_norme_service>",
		"<item>URL</item>", "<item>MEL</item>",
	} {
		if !strings.Contains(b, part) {
			t.Errorf("the question lacks %s", part)
		}
	}
}

func TestNewClientRefusesABadAddress(t *testing.T) {
	t.Parallel()
	good := annuaire.ClientOptions{
		Handshake: func(context.Context, net.Conn, string) (*tls.Conn, error) { return nil, nil },
		Verifier:  xmlsig.NewVerifier(xmlsig.Options{}),
		Timeout:   time.Second,
	}
	for url, ok := range map[string]bool{
		"https://annuaire.example/ws": true, "https://annuaire.example:8443": true,
		"http://annuaire.example": false, "annuaire.example": false, "https://": false, "https://a:b@annuaire.example": false, "": false, "%": false,
	} {
		o := good
		o.URL = url
		c, err := annuaire.NewClient(o)
		if (err == nil) != ok {
			t.Errorf("%q: %v, want accepted = %v", url, err, ok)
		}
		if c != nil {
			c.Close()
		}
	}
	if _, err := annuaire.NewClient(annuaire.ClientOptions{URL: "https://annuaire.example"}); err == nil {
		t.Error("a client without TLS and verifier was made")
	}
	good.URL, good.Timeout = "https://annuaire.example", 0
	if _, err := annuaire.NewClient(good); err == nil {
		t.Error("a client that would wait for ever was made")
	}
}

// A Directory over the real client: asked once, then from memory while the
// annuaire is down.
func TestADirectoryOutlivesItsAnnuaire(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	d := annuaire.New(annuaire.Options{Asker: l.client(t, nil), AskTimeout: time.Minute, TTL: time.Hour, Stale: time.Hour, NegativeTTL: time.Minute, PerSecond: 200, NewKeys: 200})
	t.Cleanup(d.Close)
	if e, err := d.Find(t.Context(), "1010003812", ans(roc.IDB, roc.V1)); err != nil || e.Remembered {
		t.Fatalf("found %+v, %v", e, err)
	}
	l.annuaire.Break(fictif.Down)
	if e, err := d.Find(t.Context(), "1010003812", ans(roc.IDB, roc.V1)); err != nil || !e.Remembered || len(e.Adresses) != 2 {
		t.Errorf("found %+v, %v", e, err)
	}
	if _, err := d.Find(t.Context(), "1010003812", ans(roc.CLC, roc.V1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("a key never asked before: %v, want annuaire-silent", err)
	}
	if h := d.Health(); h.Failures != 1 || h.Err() == nil {
		t.Errorf("health %+v", h)
	}
}

// An annuaire that refuses our certificate by its end of the connection is not at
// fault while that certificate has ended or is revoked; it is while it is sound.
func TestWhatOurOwnCertificateCausesIsNotTheAnnuaires(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	ended := errors.New("it has ended")
	for name, c := range map[string]struct {
		shows igc.Pair
		fault error
		want  roc.CauseCode
	}{
		"sound, and refused": {l.pki.Auth(ourStructure, "RPN ROC", igc.OtherCA()), nil, roc.AnnuaireUnreachable},
		"ended, and refused": {l.pki.Auth(ourStructure, "RPN ROC", igc.Expired()), ended, roc.AnnuaireOurs},
	} {
		client := l.client(t, func(o *annuaire.ClientOptions) {
			o.Handshake, o.OwnFault = l.handshake(c.shows), func() error { return c.fault }
		})
		_, err := client.Ask(t.Context(), ans(roc.IDB, roc.V1))
		if r := roc.RefusalOf(err); r.Reason != roc.AnnuaireSilent || r.CauseCode != c.want {
			t.Errorf("%s: %s, %s: %v", name, r.Reason, r.CauseCode, err)
		}
	}
	down := l.client(t, func(o *annuaire.ClientOptions) {
		o.URL, o.OwnFault = "https://localhost:1/annuaire", func() error { return ended }
	})
	_, err := down.Ask(t.Context(), ans(roc.IDB, roc.V1))
	if r := roc.RefusalOf(err); r.CauseCode != roc.AnnuaireUnreachable {
		t.Errorf("nobody listens: %s: %v", r.CauseCode, err)
	}
}
