package xmlsig

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// The messages of testdata/clients are those of real SOAP clients, recorded as
// they reached the RPN (make record-clients), about people who do not exist and
// signed within a PKI thrown away since. verdicts.tsv says what must come of
// each at the time it was recorded, ca.pem holds the CAs of their signers.
const clientsDir = "testdata/clients"

// The establishment of the recording.
const clientsStructure = roc.StructureID("1990000011")

type clientMessage struct {
	file       string
	at         time.Time
	code, says string // code: 00, or that of the refusal
	text       []byte
}

func readClients(t *testing.T) []clientMessage {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(clientsDir, "verdicts.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []clientMessage
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			t.Fatalf("verdicts.tsv: %d fields, want 4: %q", len(f), line)
		}
		at, err := time.Parse(time.RFC3339, f[1])
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(clientsDir, f[0]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, clientMessage{f[0], at, f[2], f[3], text})
	}
	files, err := filepath.Glob(filepath.Join(clientsDir, "*.xml"))
	if err != nil || len(files) != len(all) || len(all) < 40 {
		t.Fatalf("%d messages, %d verdicts, at least 40 are committed (%v)", len(files), len(all), err)
	}
	return all
}

func clientsVerifier(t *testing.T, allowSHA1 bool) *Verifier {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(clientsDir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	var roots, intermediates []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(c.RawSubject, c.RawIssuer) {
			roots = append(roots, c)
		} else {
			intermediates = append(intermediates, c)
		}
	}
	trust := NewTrust(trust.NewTrust(roots, intermediates).Signature(nil))
	return NewVerifier(Options{Trust: func() *Trust { return trust }, AllowSHA1: allowSHA1})
}

func (m clientMessage) check(v *Verifier, text []byte) (*Checked, error) {
	env, err := soap.Read(roc.NewContent(text), soap.DefaultLimits)
	if err != nil {
		return nil, err
	}
	return v.Check(env, Policy{}, Expect{Structure: clientsStructure}, m.at)
}

func TestMessagesOfRealClients(t *testing.T) {
	t.Parallel()
	strict, lenient := clientsVerifier(t, false), clientsVerifier(t, true)
	for _, m := range readClients(t) {
		t.Run(m.file, func(t *testing.T) {
			t.Parallel()
			c, err := m.check(strict, m.text)
			if m.code != "00" {
				wantCode(t, err, m.code, m.says)
			}
			if strings.Contains(m.says, "sha1") {
				c, err = m.check(lenient, m.text) // what a test environment may allow
			} else if m.code != "00" {
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if amc, _ := c.Body().Path("adressage", "numero_amc").Text(); amc != "0099000003" {
				t.Errorf("the routing field reads %q", amc)
			}
			_, err = m.check(lenient, altered(t, m.text))
			wantCode(t, err, "RPN212", "a été modifiée après la signature")
		})
	}
}

func wantCode(t *testing.T, err error, code, says string) {
	t.Helper()
	var r *roc.Refusal
	if !errors.As(err, &r) || r.Reason.Meaning().Code != code || !strings.Contains(r.Detail, says) {
		t.Fatalf("%v (%s), want %s and %q", err, detail(r), code, says)
	}
}

func detail(r *roc.Refusal) string {
	if r == nil {
		return ""
	}
	return r.Detail
}

// altered changes one letter of the Body.
func altered(t *testing.T, text []byte) []byte {
	t.Helper()
	if bytes.Count(text, []byte("FICTIF<")) != 1 {
		t.Fatal("the name is not once in the message")
	}
	return bytes.Replace(text, []byte("FICTIF<"), []byte("FICTIV<"), 1)
}
