package tlsconf_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

const amcName = "amc.test"

// A named certificate, and what each door says of it; "" accepts.
var matrix = []struct {
	name      string
	options   []igc.Option
	wrong     bool           // made by the authorities of another side
	revoke    func(s *state) // what its CA publishes
	listener  trust.Reason   // as a caller
	client    trust.Reason   // as the server of an AMC
	signature roc.Reason     // as the signer of a message
}{
	{name: "good"},
	{name: "expired", options: opt(igc.Expired()), listener: trust.Expired, client: trust.Expired, signature: roc.UntrustedSigner},
	{name: "not-yet", options: opt(igc.NotYet()), listener: trust.NotYetValid, client: trust.NotYetValid, signature: roc.UntrustedSigner},
	{name: "revoked", revoke: (*state).leaf, listener: trust.Revoked, client: trust.Revoked, signature: roc.Revoked},
	{name: "revoked-intermediate", options: opt(igc.Under("REVOQUEE")), revoke: (*state).intermediate, listener: trust.Revoked, client: trust.Revoked, signature: roc.Revoked},
	{name: "no-list-yet", options: opt(igc.Points("http://127.0.0.1:9/absent.crl")), listener: trust.RevocationUnknown, client: trust.RevocationUnknown, signature: roc.Revoked},
	{name: "wrong-eku", options: opt(igc.WrongEKU()), listener: trust.WrongUsage, client: trust.WrongUsage, signature: roc.UntrustedSigner},
	{name: "wrong-ku", options: opt(igc.WrongKU()), listener: trust.WrongUsage, client: trust.WrongUsage, signature: roc.UntrustedSigner},
	{name: "wrong-store", wrong: true, listener: trust.UnknownCA, client: trust.UnknownCA, signature: roc.UntrustedSigner},
	{name: "other-root", options: opt(igc.OtherCA()), listener: trust.UnknownCA, client: trust.UnknownCA, signature: roc.UntrustedSigner},
	{name: "impostor", options: opt(igc.Impostor()), listener: trust.UnknownCA, client: trust.UnknownCA, signature: roc.UntrustedSigner},
	{name: "self-signed", options: opt(igc.SelfSigned()), listener: trust.UnknownCA, client: trust.UnknownCA, signature: roc.UntrustedSigner},
	{name: "sha1", options: opt(igc.SHA1()), listener: trust.WeakKey, client: trust.WeakKey, signature: roc.UntrustedSigner},
	{name: "rsa1024", options: opt(igc.WeakRSA()), listener: trust.WeakKey, client: trust.WeakKey, signature: notSigned},
	{name: "long-chain", options: opt(igc.LongChain(6)), listener: trust.UnknownCA, client: trust.UnknownCA, signature: roc.UntrustedSigner},
	{name: "semicolon-in-cn", options: opt(igc.CN("rpps.tra.henix;asipsante.fr"))},
	{name: "name-constraint", options: opt(igc.Constrained("permis.test"), igc.Names("interdit.test")), listener: trust.UnknownCA, client: trust.UnknownCA, signature: roc.UntrustedSigner},
	{name: "huge", options: opt(igc.Huge(800))},
	{name: "no-chain", options: opt(igc.NoChain())},
}

// notSigned: our own signer refuses that key; internal/xmlsig has what the
// check says of somebody else's.
const notSigned roc.Reason = "not-signed-at-all"

func opt(o ...igc.Option) []igc.Option { return o }

// A state is the authorities of one side, and what they publish.
type state struct {
	t    *testing.T
	pki  *igc.PKI
	side igc.Side
	pair igc.Pair
	*revocation.Checker
}

func (s *state) publish(l igc.List) string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "liste.crl")
	if err := os.WriteFile(file, s.pki.CRL(s.side, l), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *state) leaf() { s.open(s.publish(igc.List{Revoked: []*big.Int{s.pair.Cert.SerialNumber}})) }

func (s *state) intermediate() {
	s.open(s.publish(igc.List{ByRoot: true, Revoked: []*big.Int{s.pki.Intermediate(s.side, "REVOQUEE").SerialNumber}}))
}

func (s *state) open(lists ...string) {
	s.t.Helper()
	var err error
	s.Checker, err = revocation.Open(s.t.Context(), tlstest.Revocation(revocation.Options{
		Authorities: func() []*x509.Certificate { return append(s.pki.Roots(s.side), s.pki.Intermediates(s.side)...) },
		Log:         slog.New(slog.DiscardHandler), Lists: lists,
	}))
	if err != nil {
		s.t.Fatal(err)
	}
}

func newState(t *testing.T, pki *igc.PKI, side igc.Side, pair igc.Pair, revoke func(*state)) *state {
	s := &state{t: t, pki: pki, side: side, pair: pair}
	if revoke == nil {
		s.open()
	} else {
		revoke(s)
	}
	return s
}

func TestEachCertificateAtEachDoor(t *testing.T) {
	t.Parallel()
	pki := tlstest.NewPKI()
	for _, c := range matrix {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			side, other := igc.EtablissementTLS, igc.EtablissementSignature
			caller := pki.Auth(chu, "CH FICTIF", c.options...)
			server := pki.Server(igc.AMCTLS, amcName, c.options...)
			signer := pki.Sign(chu, "CH FICTIF", c.options...)
			if c.wrong {
				caller, server, signer = pki.Sign(chu, "CH FICTIF"), pki.Server(side, amcName), pki.AMCSigner(chu, "AMC FICTIVE")
			}

			s := newState(t, pki, side, caller, c.revoke)
			if got := atTheListener(t, pki, s.Checker, caller); got != c.listener {
				t.Errorf("the listener: %q, want %q", got, c.listener)
			}
			s = newState(t, pki, igc.AMCTLS, server, c.revoke)
			if got := atTheClient(t, pki, s.Checker, server); got != c.client {
				t.Errorf("the client: %q, want %q", got, c.client)
			}
			s = newState(t, pki, other, signer, c.revoke)
			if got := atTheSignature(t, pki, s.Checker, signer); got != c.signature {
				t.Errorf("the signature: %q, want %q", got, c.signature)
			}
		})
	}
}

// atTheListener says why the listener refuses the caller; "" when it does not.
func atTheListener(t *testing.T, pki *igc.PKI, r *revocation.Checker, p igc.Pair) trust.Reason {
	t.Helper()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(pki.Server(es, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(pki, es)),
		Revocation:  r,
	}, nil)
	greeting, err := d.Knock(tlstest.Client(pki, p))
	if err != nil {
		return d.Failure(t).Reason
	}
	if greeting != "bonjour "+p.Cert.Subject.CommonName {
		t.Errorf("the listener read the name: %q", greeting)
	}
	return ""
}

// atTheClient says why our client refuses a server of that certificate.
func atTheClient(t *testing.T, pki *igc.PKI, r *revocation.Checker, p igc.Pair) trust.Reason {
	t.Helper()
	client, err := tlsconf.NewClient(tlsconf.ClientOptions{
		Certificate: identity.FixedSource(pki.Auth(igc.RPN, "RPN FICTIF").TLS()),
		Servers:     trust.FixedStore(tlstest.Trust(pki, igc.AMCTLS)),
		Revocation:  r,
	})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	var server sync.WaitGroup
	server.Go(func() {
		tls.Server(far, &tls.Config{Certificates: []tls.Certificate{p.TLS()}, ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true}).Handshake()
		far.Close()
	})
	defer server.Wait()
	near.SetDeadline(time.Now().Add(30 * time.Second))
	c, err := client.Handshake(t.Context(), near, amcName)
	if err != nil {
		return trust.AsFailure(err).Reason
	}
	c.NetConn().Close()
	return ""
}

const message = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body><essai xmlns="urn:essai"/></s:Body></s:Envelope>`

// atTheSignature says why a message that it signed is refused.
func atTheSignature(t *testing.T, pki *igc.PKI, r *revocation.Checker, p igc.Pair) roc.Reason {
	t.Helper()
	trust := xmlsig.NewTrust(tlstest.Trust(pki, igc.EtablissementSignature).Signature(r))
	signed, err := xmlsig.Sign(roc.NewContent([]byte(message)), xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}, xmlsig.SignOptions{At: time.Now(), Token: xmlsig.PKIPath})
	if err != nil {
		return notSigned
	}
	env, err := soap.Read(signed, soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	_, err = xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }}).Check(env, xmlsig.Policy{}, xmlsig.Expect{Structure: chu}, time.Now())
	var refusal *roc.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.Reason
	}
	t.Fatal(err)
	return ""
}

// test-root: the authorities for tests cannot be put in a production store,
// whatever they signed.
func TestTheRootForTestsIsNotForProduction(t *testing.T) {
	t.Parallel()
	pki, dir := tlstest.NewPKI(), t.TempDir()
	if err := pki.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, side := range []igc.Side{igc.EtablissementTLS, igc.EtablissementSignature, igc.AMCTLS, igc.AMCSignature} {
		o := trust.StoreOptions{Name: "trust." + side.String(), Paths: []string{igc.StoreFile(dir, side)}, Environment: trust.Production}
		if _, err := trust.OpenStore(o); err == nil || !strings.Contains(err.Error(), "not for production") {
			t.Errorf("%s: %v", side, err)
		}
		o.Environment = trust.Testing
		if _, err := trust.OpenStore(o); err != nil {
			t.Errorf("%s, in a test environment: %v", side, err)
		}
	}
}
