package nation

import (
	"crypto/tls"
	"net/http"
	"os"
	"strings"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
)

// Flags are what a SOAP client that is not ours is told: where to call (the
// RPN, or what stands before it), and the files of the establishment.
func (e *Etablissement) Flags(url string) []string {
	e.n.t.Helper()
	f := e.n.Files(e.ID)
	return []string{
		"--url", url, "--finess", string(e.EJ), "--ca", e.n.AuthorityFile(),
		"--cert", f.Cert, "--key", f.Key, "--sign-cert", e.leafFile(f.SignCert), "--sign-key", f.SignKey,
	}
}

// leafFile is the signer's certificate without its intermediates: node-soap
// would write the whole file into the token (docs/interop.md).
func (e *Etablissement) leafFile(chain string) string {
	e.n.t.Helper()
	text, err := os.ReadFile(chain)
	if err != nil {
		e.n.t.Fatal(err)
	}
	const end = "-----END CERTIFICATE-----\n"
	first, _, _ := strings.Cut(string(text), end)
	file := strings.TrimSuffix(chain, ".pem") + "-leaf.pem"
	if err := os.WriteFile(file, []byte(first+end), 0o644); err != nil {
		e.n.t.Fatal(err)
	}
	return file
}

// Client calls the RPN by the establishment's certificate. It keeps no
// connection.
func (e *Etablissement) Client() *http.Client {
	return &http.Client{Timeout: await.Patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{e.TLS.TLS()}, RootCAs: e.n.PKI.Pool(igc.EtablissementTLS)},
	}}
}
