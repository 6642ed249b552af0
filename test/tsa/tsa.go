// Package tsa is a fictitious time-stamping authority, for tests:
// openssl ts signs with its certificate.
package tsa

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A TSA is an authority. Its certificate is of one root.
type TSA struct {
	t    testing.TB
	dir  string
	Cert *x509.Certificate
	Root *x509.Certificate
	Key  crypto.Signer
}

// A Pair is a certificate and its key.
type Pair struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// Issue makes a certificate, for time-stamping or of a CA; by nil: it signs
// itself.
func Issue(t testing.TB, name string, by *Pair, from, to time.Time, stamps bool) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"FICTIF"}}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: !stamps,
	}
	if stamps {
		usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		if err != nil {
			t.Fatal(err)
		}
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	}
	if by == nil {
		by = &Pair{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.Cert, key.Public(), by.Key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{made, key}
}

// PEM writes certificates one after the other.
func PEM(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.Bytes()
}

func write(t testing.TB, file string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// NewRoot makes a root.
func NewRoot(t testing.TB) Pair {
	return Issue(t, "AC RACINE FICTIVE", nil, time.Now().Add(-48*time.Hour), time.Now().Add(48*time.Hour), false)
}

// Usual is an authority that is valid now.
func Usual(t testing.TB) *TSA {
	return New(t, "HORODATAGE FICTIF", NewRoot(t), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// New makes an authority of a root, whose certificate is valid for that time.
func New(t testing.TB, name string, root Pair, from, to time.Time) *TSA {
	t.Helper()
	p := Issue(t, name, &root, from, to, true)
	s := &TSA{t: t, dir: t.TempDir(), Cert: p.Cert, Root: root.Cert, Key: p.Key}
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	write(t, filepath.Join(s.dir, "tsa.pem"), PEM(p.Cert))
	write(t, filepath.Join(s.dir, "root.pem"), PEM(root.Cert))
	s.Bag(root.Cert)
	write(t, filepath.Join(s.dir, "tsa.cnf"), []byte(`[tsa]
default_tsa = t
[t]
dir = `+s.dir+`
serial = $dir/serial
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1, millisecs:500
ordering = no
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
signer_digest = sha256
`))
	write(t, filepath.Join(s.dir, "serial"), []byte("01\n"))
	return s
}

// Bag puts those certificates into its tokens, after its own.
func (s *TSA) Bag(certs ...*x509.Certificate) {
	write(s.t, filepath.Join(s.dir, "chain.pem"), PEM(certs...))
}

// File is the file of the authority, as rpn takes it.
func (s *TSA) File() string {
	return write(s.t, filepath.Join(s.dir, "authority.pem"), PEM(s.Cert, s.Root))
}

// openssl runs it, and returns what it said.
func openssl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	return string(out), err
}

// Reply is what openssl ts answers to a request.
func (s *TSA) Reply(query []byte) []byte {
	s.t.Helper()
	q := write(s.t, filepath.Join(s.t.TempDir(), "q"), query)
	out, err := openssl(s.t, "ts", "-reply", "-config", filepath.Join(s.dir, "tsa.cnf"), "-queryfile", q, "-signer", filepath.Join(s.dir, "tsa.pem"),
		"-inkey", filepath.Join(s.dir, "key.pem"), "-chain", filepath.Join(s.dir, "chain.pem"), "-out", q+".tsr")
	if err != nil {
		s.t.Fatalf("openssl ts: %v (test/deps.sh installs it)\n%s", err, out)
	}
	b, err := os.ReadFile(q + ".tsr")
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// Oracle is what openssl ts -verify says of a response.
func (s *TSA) Oracle(response, data []byte, more ...string) bool {
	s.t.Helper()
	dir := s.t.TempDir()
	args := append([]string{"ts", "-verify", "-in", write(s.t, filepath.Join(dir, "r"), response), "-data", write(s.t, filepath.Join(dir, "d"), data),
		"-CAfile", filepath.Join(s.dir, "root.pem")}, more...)
	out, err := openssl(s.t, args...)
	return err == nil && strings.Contains(out, "Verification: OK")
}

// Handler answers requests as an authority does.
func (s *TSA) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "unreadable", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.Write(s.Reply(query))
	})
}
