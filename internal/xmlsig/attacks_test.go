package xmlsig

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// An attack is a file of testdata/attacks: lines "name: value", a line "---",
// then the message, to the last byte.
type attack struct {
	name    string
	fields  map[string]string
	message []byte
}

func readAttack(t testing.TB, file string) attack {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, message, ok := bytes.Cut(data, []byte("\n---\n"))
	if !ok {
		t.Fatalf("%s: no line --- after the header", file)
	}
	a := attack{strings.TrimSuffix(filepath.Base(file), ".txt"), map[string]string{}, message}
	for line := range strings.Lines(string(head)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("%s: %q is not name: value", file, line)
		}
		a.fields[name] = value
	}
	return a
}

// forgeVerifier trusts the committed test CA.
func forgeVerifier() *Verifier {
	trust := NewTrust(trust.NewTrust([]*x509.Certificate{forgeKeys()["ac"].Certificate}, nil).Signature(nil))
	return NewVerifier(Options{Trust: func() *Trust { return trust }})
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "attacks", "*.txt"))
	if err != nil || len(files) < 90 {
		t.Fatalf("%d attack files, at least 90 are committed (%v)", len(files), err)
	}
	reasons := map[string]bool{"accepted": true}
	for _, r := range roc.Reasons() {
		reasons[string(r)] = true
	}
	v := forgeVerifier()
	for _, file := range files {
		a := readAttack(t, file)
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			want := a.fields["expect"]
			if !reasons[want] || a.fields["attack"] == "" || a.fields["family"] == "" {
				t.Fatalf("the header must say expect (a reason of the profile, or accepted), attack and family: %v", a.fields)
			}
			at, err := time.Parse(time.RFC3339, a.fields["at"])
			if err != nil {
				t.Fatal(err)
			}
			c, err := checkAttack(v, a, at)
			if want == "accepted" {
				wantAccepted(t, c, err)
				return
			}
			if err == nil {
				t.Fatalf("accepted, want %s: %s", want, a.fields["attack"])
			}
			wantRefusal(t, err, roc.Reason(want), a.fields["says"])
		})
	}
}

func checkAttack(v *Verifier, a attack, at time.Time) (*Checked, error) {
	env, err := soap.Read(roc.NewContent(a.message), soap.DefaultLimits)
	if err != nil {
		return nil, err
	}
	return v.Check(env, Policy{Answer: a.fields["policy"] == "answer", EnforceVIHF: a.fields["policy"] == "vihf"}, Expect{Structure: testStructure}, at)
}

// wantAccepted also wants the routing field of the message that was signed.
func wantAccepted(t *testing.T, c *Checked, err error) {
	t.Helper()
	if err != nil {
		var r *roc.Refusal
		errors.As(err, &r)
		t.Fatalf("refused, want accepted: %v (%s)", err, r.Detail)
	}
	if amc, _ := c.Body().Path("adressage", "numero_amc").Text(); amc != "0077565712" {
		t.Errorf("the routing field reads %q", amc)
	}
}

// wantRefusal also holds the refusal to what its two readers are owed: the
// caller a sentence in French, the log a cause that quotes nothing.
func wantRefusal(t *testing.T, err error, want roc.Reason, says string) {
	t.Helper()
	var r *roc.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("the error is no refusal: %v", err)
	}
	if r.Reason != want {
		t.Fatalf("refused by %v (%s), want %s", err, r.Detail, want)
	}
	if told := r.Reason.Meaning().Libelle + r.Detail; told == "" || !strings.HasSuffix(told, ".") {
		t.Errorf("the caller is told %q, want a sentence", told)
	}
	if !strings.Contains(r.Detail, says) {
		t.Errorf("the caller is told %q, want %q in it", r.Detail, says)
	}
	for _, secret := range []string{"CANARI", "0077565712", "0099999999"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the cause, which is logged, quotes the message: %v", err)
		}
	}
}

// Whoever holds an ECDSA signature (r, s) can write (r, n-s), which verifies
// too: a replay must be told by both being one.
func TestTheOtherECDSAValueIsTheSameSignature(t *testing.T) {
	t.Parallel()
	d := newDraft()
	ecdsaDraft(d)
	m := d.seal(d.String())
	value := part(m, "<ds:SignatureValue>", "</ds:SignatureValue>")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(strings.TrimPrefix(value, "<ds:SignatureValue>"), "</ds:SignatureValue>"))
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
	other := swap(m, value, "<ds:SignatureValue>"+base64.StdEncoding.EncodeToString(raw)+"</ds:SignatureValue>")
	var hashes [2][32]byte
	for i, m := range []string{m, other} {
		c, err := checkAttack(forgeVerifier(), attack{message: []byte(m)}, testNow)
		wantAccepted(t, c, err)
		hashes[i] = c.SignatureHash()
	}
	if hashes[0] != hashes[1] {
		t.Error("the two values of one ECDSA signature have two hashes: a replay would pass")
	}
}

// The auditor's page proves its sentences by the files here: each name in it
// is one of them, or how several begin.
func TestTheAuditorsPageNamesFilesThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "security", "signature.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`((?:ok|xsw|id|ref|value|key|si|alg|xml|sec|ts|vihf)-[a-z0-9-]+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) < 10 {
		t.Errorf("the page names %d cases", len(names))
	}
	for _, n := range names {
		if files, _ := filepath.Glob(filepath.Join("testdata", "attacks", n[1]+"*.txt")); len(files) == 0 {
			t.Errorf("docs/security/signature.md names %s, which is no attack file", n[1])
		}
	}
}
