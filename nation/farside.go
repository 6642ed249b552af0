package nation

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/mutuelle"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// startInsurers runs each AMC that is there.
func (n *Nation) startInsurers() error {
	for _, i := range n.opts.Insurers {
		if i.Absent {
			n.ports[i.Host] = "443"
			continue
		}
		dir := filepath.Join("amc", i.ID)
		id := amcID(i.Numero)
		server, err := n.pair(dir, "serveur", func() igc.Pair {
			return n.PKI.Server(igc.AMCTLS, i.Host, slices.Concat([]igc.Option{igc.OU(id), igc.Org(i.Nom), igc.ECDSA()}, i.TLS)...)
		})
		if err != nil {
			return err
		}
		sign, err := n.pair(dir, "signature", func() igc.Pair { return n.PKI.AMCSigner(id, i.Nom, igc.ECDSA()) })
		if err != nil {
			return err
		}
		m, err := mutuelle.New(mutuelle.Options{
			AMC: []roc.NumeroAMC{i.Numero}, Nom: i.Nom, Key: key(sign), Verifier: n.verifier(igc.EtablissementSignature), Now: n.now, Slow: n.opts.Slow,
		})
		if err != nil {
			return err
		}
		n.insurers[i.ID] = m
		var h http.Handler = m
		if i.Wrap != nil {
			h = i.Wrap(h)
		}
		if err := n.run(i.Nom, i.Host, "/roc", server, h); err != nil {
			return err
		}
	}
	return nil
}

func key(p igc.Pair) xmlsig.Key {
	return xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}
}

func (n *Nation) verifier(s igc.Side) *xmlsig.Verifier {
	trust := xmlsig.NewTrust(trust.NewTrust(n.PKI.Roots(s), n.PKI.Intermediates(s)).Signature(nil))
	return xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }})
}

// run serves a far side at https://host:port, on the loopback, to the RPN
// only: it asks for a certificate of the establishments' TLS authority, which
// the RPN's is of.
func (n *Nation) run(name, host, path string, p igc.Pair, h http.Handler) error {
	ln, err := open(n.earlierPorts()[host])
	if err != nil {
		return err
	}
	clients := n.PKI.Pool(igc.EtablissementTLS)
	for _, c := range n.PKI.Intermediates(igc.EtablissementTLS) {
		clients.AddCert(c)
	}
	server := &http.Server{
		Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{p.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
			Time: n.now, NextProtos: []string{"http/1.1"},
		},
	}
	n.servers[host] = server
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(ln, "", "") }()
	n.onClose(func() error {
		server.Close()
		<-done
		return nil
	})
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	n.ports[host] = port
	n.places = append(n.places, Place{name, "https://" + host + ":" + port + path + "  (127.0.0.1:" + port + ")"})
	return nil
}

// Mutuelle returns the server of an insurer by its ID.
func (n *Nation) Mutuelle(id string) (*mutuelle.Mutuelle, bool) {
	m, ok := n.insurers[id]
	return m, ok
}

func (n *Nation) insurer(id string) (Insurer, bool) {
	for _, i := range n.opts.Insurers {
		if i.ID == id {
			return i, true
		}
	}
	return Insurer{}, false
}
