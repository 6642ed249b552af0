package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	chu     = http1test.CHU
	rhone   = roc.NumeroAMC("0075500025")
	farName = http1test.FarName
)

func key(p igc.Pair) xmlsig.Key {
	return xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}
}

func trustOf(side igc.Side) func() *xmlsig.Trust {
	t := xmlsig.NewTrust(trust.NewTrust(http1test.Certs().PKI.Roots(side), http1test.Certs().PKI.Intermediates(side)).Signature(nil))
	return func() *xmlsig.Trust { return t }
}

// A country is one proxy, one establishment and one insurer, over real
// sockets. The other ports are doubles.
type country struct {
	t     testing.TB
	far   *http1test.FarEnd
	proxy *Proxy
	addr  string
	told  chan roc.Record

	mu        sync.Mutex
	malformed []string
	log       bytes.Buffer
}

// find is a Directory.
type find func(context.Context, roc.Key) (annuaire.Entry, error)

func (find) Quarantined(roc.NumeroAMC, string, bool) {}

func (f find) Find(ctx context.Context, _ roc.StructureID, k roc.Key) (annuaire.Entry, error) {
	return f(ctx, k)
}

// asks is a facade's Directory that asks each time, and remembers nothing.
type asks struct{}

func (asks) Search(ctx context.Context, _ roc.StructureID, s annuaire.Search) (annuaire.Searched, error) {
	return s.Ask(ctx)
}

// smallRegister has one establishment in the circle, and one insurer.
func smallRegister(t testing.TB) *register.List {
	t.Helper()
	l, err := register.Parse(
		"es.yaml", []byte("etablissements:\n  - {finess_ej: 010003812, finess_eg: [010003820], nom: CHU fictif, etat: cercle}\n"),
		"amc.yaml", []byte("amcs:\n  - {nom: Mutuelle du Rhône fictive, numeros: [0075500025], etat: cercle, domaines: [rhone.example]}\n"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// entry says that the insurer offers everything at these addresses.
func entry(urls ...string) annuaire.Entry {
	e := annuaire.Entry{AMC: rhone, Nom: "Mutuelle du Rhône fictive", ROC: true, Debut: time.Now().AddDate(-1, 0, 0), Fin: time.Now().AddDate(1, 0, 0), At: time.Now()}
	for _, u := range urls {
		for _, s := range roc.AMCServices {
			for _, v := range []roc.Version{roc.V1, roc.V2} {
				e.Adresses = append(e.Adresses, annuaire.Adresse{Service: s, Version: v, URL: u})
			}
		}
	}
	return e
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func upstreamOptions() http1.UpstreamOptions {
	w := http1test.Certs()
	return http1.UpstreamOptions{
		MaxConns: 256, DialTimeout: 2 * time.Second, AnswerBytes: 8 << 20,
		Handshake: func(ctx context.Context, c net.Conn, name string) (*tls.Conn, error) {
			t := tls.Client(c, &tls.Config{ServerName: name, RootCAs: w.PKI.Pool(igc.AMCTLS), Certificates: []tls.Certificate{w.Client.TLS()}})
			if err := t.HandshakeContext(ctx); err != nil {
				c.Close()
				return nil, err
			}
			return t, nil
		},
		Egress: &egress.Filter{
			Allow: loopback,
			Hosts: func(host string) (netip.Addr, bool) {
				return netip.MustParseAddr("127.0.0.1"), strings.HasSuffix(host, ".example")
			},
		},
	}
}

// newCountry starts a country; adjust may change the options.
func newCountry(t testing.TB, adjust ...func(*Options)) *country {
	t.Helper()
	c := &country{t: t, far: http1test.New(t), told: make(chan roc.Record, 1000)}
	list := smallRegister(t)
	upstream := http1.NewUpstream(upstreamOptions())
	t.Cleanup(upstream.Close)
	o := Options{
		List:             func() *register.List { return list },
		Limiter:          limits.NewLocal(limits.Options{Default: register.Limite{ParSeconde: 1e6, Rafale: 1e6}}),
		Signatures:       xmlsig.NewVerifier(xmlsig.Options{Trust: trustOf(igc.EtablissementSignature)}),
		AnswerSignatures: xmlsig.NewVerifier(xmlsig.Options{Trust: trustOf(igc.AMCSignature)}),
		Directory:        find(func(context.Context, roc.Key) (annuaire.Entry, error) { return entry(c.far.URL()), nil }),
		Facade:           facade.New(facade.Options{Directory: asks{}, Limits: soap.DefaultLimits}),
		AMC:              upstream,
		Log:              slog.New(slog.NewTextHandler(locked{&c.mu, &c.log}, nil)),
		Observers:        []func(*roc.Record){func(r *roc.Record) { c.told <- *r }},
		OnMalformed:      func(rule string) { c.mu.Lock(); c.malformed = append(c.malformed, rule); c.mu.Unlock() },
		DrainIdle:        time.Millisecond,
		AnswerPolicy:     AnswersObserve, Limits: soap.DefaultLimits, Exchanges: 1024, MinRate: 4 << 10,
		Deadline: 20 * time.Second, IdleTimeout: 3 * time.Minute, HeadTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
	}
	for _, f := range adjust {
		f(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.proxy = p
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.addr = inner.Addr().String()
	served := make(chan error, 1)
	go func() { served <- p.Serve(leafListener{inner, serverTLS()}) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.w.Write(b) }

// logged is what the proxy has logged.
func (c *country) logged() string { c.mu.Lock(); defer c.mu.Unlock(); return c.log.String() }

// record waits for the record of the next exchange that ended.
func (c *country) record() roc.Record {
	c.t.Helper()
	rec := await.Next(c.t, "a record is told", c.told)
	if rec.Outcome != roc.Answered && rec.CauseCode == "" && rec.Reason != roc.Internal {
		c.t.Errorf("%s %s has no cause: %s", rec.Outcome, rec.Reason, rec.Cause)
	}
	return rec
}

// noMore fails when an exchange was told of again. Everything that could tell
// has ended before it is called.
func (c *country) noMore() {
	c.t.Helper()
	if n := len(c.told); n > 0 {
		c.t.Errorf("%d more records were told", n)
	}
}

func serverTLS() *tls.Config {
	w := http1test.Certs()
	return &tls.Config{
		Certificates: []tls.Certificate{w.Server.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.PKI.Pool(igc.EtablissementTLS),
	}
}

// A leafListener is the smallest thing that does what tlsconf.Listener does.
type leafListener struct {
	net.Listener
	config *tls.Config
}

type leafConn struct{ *tls.Conn }

func (c leafConn) Leaf() *x509.Certificate { return c.ConnectionState().PeerCertificates[0] }

func (l leafListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		t := tls.Server(c, l.config)
		if t.Handshake() == nil {
			return leafConn{t}, nil
		}
		c.Close()
	}
}

// A caller is a raw connection of an establishment.
type caller struct {
	*tls.Conn
	t testing.TB
	r *bufio.Reader
}

func (c *country) call() *caller { return c.callAs(http1test.Certs().Auth) }

func (c *country) callAs(who igc.Pair) *caller {
	c.t.Helper()
	conn, err := tls.Dial("tcp", c.addr, &tls.Config{ServerName: "localhost", RootCAs: http1test.Certs().PKI.Pool(igc.EtablissementTLS), Certificates: []tls.Certificate{who.TLS()}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(await.Patience))
	return &caller{conn, c.t, bufio.NewReader(conn)}
}

// say writes raw bytes. A peer that refuses early may close before the end.
func (c *caller) say(raw string) {
	c.t.Helper()
	c.SetDeadline(time.Now().Add(await.Patience))
	io.WriteString(c, raw)
}

// A reply is an answer that was read whole.
type reply struct {
	*http.Response
	body []byte
}

// hear reads one answer.
func (c *caller) hear() reply {
	c.t.Helper()
	r, err := c.tryHear()
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return r
}

func (c *caller) tryHear() (reply, error) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: "POST"})
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp, b}, err
}

// wantClosed checks that nothing more comes.
func (c *caller) wantClosed() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 || http1.IsTimeout(err) {
		c.t.Errorf("the connection stays open: %d bytes more, %v", len(b), err)
	}
}

// post is a usual request with these extra header lines.
func post(body []byte, lines ...string) string {
	return fmt.Sprintf("POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		soap.VersionFor("", body).ContentType(),
		len(body), strings.Join(append(lines, ""), "\r\n"), body)
}

// send posts a message and reads its answer.
func (c *country) send(body []byte, lines ...string) reply {
	c.t.Helper()
	w := c.call()
	w.say(post(body, lines...))
	return w.hear()
}

// idb is a request of the establishment to its insurer, for that patient.
func idb(nom string) message.IDBRequest {
	return message.IDBRequest{Version: roc.V1, Demande: message.Demande{
		Requete:       message.Requete{Date: time.Now(), Editeur: "EDITEUR DEMO", Logiciel: "GAP-DEMO-0001", VersionLogiciel: "12.4"},
		Etablissement: message.Etablissement{EJ: "010003812", EG: "010003820"},
		Adressage:     message.Adressage{AMC: rhone, Convention: "RO", CSR: "030255400", Domaine: roc.HOSP},
		Beneficiaire:  message.Beneficiaire{NumeroAdherent: "ADH0000001", Nom: nom, Prenom: "Zoé", DateNaissance: "1980-02-29"},
	}}
}

func sign(t testing.TB, c roc.Content, who igc.Pair) []byte {
	t.Helper()
	s, err := xmlsig.Sign(c, key(who), xmlsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

// good is a signed request that passes everything.
func good(t testing.TB) []byte {
	return sign(t, idb("FICTIF").Envelope(soap.SOAP12), http1test.Certs().Sign)
}
