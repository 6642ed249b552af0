package nation

import (
	"bufio"
	"crypto"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
)

// Handshake connects with these certificates, DER, the peer's own first, and a
// key, and asks once. It returns the reason for which the RPN counts it as
// refused, "" when it is served. One at a time for a country.
func (n *Nation) Handshake(key crypto.Signer, certs ...[]byte) (reason string) {
	n.t.Helper()
	before := n.refusals()
	if n.served(key, certs) {
		return ""
	}
	await.Until(n.t, "the refused handshake is counted", func() bool {
		for r, count := range n.refusals() {
			if count > before[r] {
				reason = r
			}
		}
		return reason != ""
	})
	return reason
}

// HandshakeOf is Handshake of a pair, with the chain that it has.
func (n *Nation) HandshakeOf(p igc.Pair) (reason string) {
	n.t.Helper()
	return n.Handshake(p.Key, p.TLS().Certificate...)
}

// served says whether an answer came. In TLS 1.3 a server refuses after the
// client has ended its handshake.
func (n *Nation) served(key crypto.Signer, certs [][]byte) bool {
	n.t.Helper()
	u, err := url.Parse(n.URL())
	if err != nil {
		n.t.Fatal(err)
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: await.Patience}, "tcp", "127.0.0.1:"+u.Port(), &tls.Config{
		RootCAs: n.PKI.Pool(igc.EtablissementTLS), ServerName: "localhost",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: certs, PrivateKey: key}, nil
		},
	})
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(await.Patience))
	io.WriteString(conn, "HEAD /roc?wsdl HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodHead})
	if err != nil {
		return false
	}
	answer.Body.Close()
	return true
}

// refusals are the refused handshakes of clients, by reason.
func (n *Nation) refusals() map[string]int {
	n.t.Helper()
	_, text, err := n.Admin("/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	of := map[string]int{}
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, `rpn_tls_handshake_failures_total{reason="`)
		if reason, count, ok := strings.Cut(rest, `"} `); found && ok {
			of[reason], _ = strconv.Atoi(strings.TrimSpace(count))
		}
	}
	return of
}
