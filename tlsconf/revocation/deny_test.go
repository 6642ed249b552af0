package revocation_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func TestADenyListNamesWhoIsOut(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	one, two := w.PKI.Auth(chu, "CH"), w.PKI.Auth(autre, "AUTRE")
	pin := sha256.Sum256(one.Chain[0].RawSubjectPublicKeyInfo)
	other := sha256.Sum256(w.PKI.Roots(es)[0].RawSubjectPublicKeyInfo)
	colons := "" // as openssl prints
	sum := sha256.Sum256(one.Cert.Raw)
	for i := range sum {
		colons += fmt.Sprintf(":%02X", sum[i])
	}
	for _, c := range []struct {
		name, line string
		one, two   trust.Reason
	}{
		{"a structure", "structure " + chu, trust.Denied, ""},
		{"a serial number, whoever issued it", fmt.Sprintf("serial %X", one.Cert.SerialNumber), trust.Denied, ""},
		{"with zeros before it, as some tools write", fmt.Sprintf("serial 0x00%x", one.Cert.SerialNumber), trust.Denied, ""},
		{"a serial number of its issuer", fmt.Sprintf("serial %x issuer %x", one.Cert.SerialNumber, pin), trust.Denied, ""},
		{"a serial number of another issuer", fmt.Sprintf("serial %x issuer %x", one.Cert.SerialNumber, other), "", ""},
		{"a certificate", revocation.DenyLine(one.Cert), trust.Denied, ""},
		{"a certificate, as openssl prints it", "certificate " + colons[1:], trust.Denied, ""},
		{"a CA takes everybody with it", revocation.DenyLine(one.Chain[0]), trust.Denied, trust.Denied},
		{"nobody", "# nobody", "", ""},
	} {
		for name, key := range map[string]crypto.Signer{"ed25519": tlstest.NewEd25519(t), "ecdsa": tlstest.Keys.ECDSA("deny"), "rsa": tlstest.Keys.RSA("deny", 2048)} {
			file := filepath.Join(t.TempDir(), "deny")
			if err := os.WriteFile(file, tlstest.DenyList(t, key, 1, c.line), 0o600); err != nil {
				t.Fatal(err)
			}
			w.Options.Deny, w.Options.Folder = &revocation.DenyOptions{File: file, Signers: []string{tlstest.WritePublic(t, key)}}, t.TempDir()
			w.Open()
			if a, b := w.Says(one), w.Says(two); a != c.one || b != c.two {
				t.Errorf("%s, %s: %q and %q, want %q and %q", c.name, name, a, b, c.one, c.two)
			}
		}
	}
}

func TestDenyListsThatAreRefused(t *testing.T) {
	t.Parallel()
	key, stranger := tlstest.NewEd25519(t), tlstest.NewEd25519(t)
	signers, err := revocation.ReadDenySigners(tlstest.WritePublic(t, key))
	if err != nil {
		t.Fatal(err)
	}
	good := tlstest.DenyList(t, key, 3, "structure "+chu)
	for name, text := range map[string][]byte{
		"signed by a stranger": tlstest.DenyList(t, stranger, 3, "structure "+chu),
		"a line changed":       bytes.Replace(good, []byte(chu), []byte(autre), 1),
		"a line added":         append(bytes.Clone(good), []byte("structure "+autre+"\n")...),
		"a line added before":  append([]byte("structure "+autre+"\n"), good...),
		"without signature":    good[:bytes.LastIndex(good, []byte("signature"))],
		"a second signature":   append(bytes.Clone(good), []byte("signature AAAA\n")...),
		"cut":                  good[:len(good)-9],
		"empty":                nil,
	} {
		if _, err := revocation.ReadDenyList(text, signers); err == nil {
			t.Errorf("%s: accepted\n%s", name, text)
		}
	}
	for _, line := range []string{"structure XYZ", "serial", "serial -1", "serial zz", "serial 12 issuer 34", "certificate 12", "certificat 12", "sequence 9", "structure " + chu + " and more"} {
		if _, err := revocation.SignDenyList([]byte(line), 1, time.Now(), key); err == nil || !strings.Contains(err.Error(), "line 4") {
			t.Errorf("%q: %v", line, err)
		}
	}
	list, err := revocation.ReadDenyList(good, signers)
	if err != nil || list.Sequence != 3 || len(list.Structures) != 1 || list.Entries() != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// In seconds, without a restart; and what is not a better list changes
// nothing, loudly.
func TestADenyListIsInForceAtOnce(t *testing.T) {
	t.Parallel()
	key := tlstest.NewEd25519(t)
	file := filepath.Join(t.TempDir(), "deny")
	w := tlstest.NewRegistry(t, func(o *revocation.Options) {
		o.Deny = &revocation.DenyOptions{File: file, Signers: []string{tlstest.WritePublic(t, key)}}
	})
	w.Open() // without a file: nobody is denied yet
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	one := w.PKI.Auth(chu, "CH")
	put := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	before := w.Generation()
	put(tlstest.DenyList(t, key, 5, "structure "+chu))
	await.Until(t, "it is in force", func() bool { return w.Says(one) == trust.Denied })
	await.Until(t, "the generation changes", func() bool { return w.Generation() != before })

	for i, c := range []struct {
		name, problem string
		text          []byte
	}{
		{"an older one", "has sequence 4, and 5 is in force", tlstest.DenyList(t, key, 4)},
		{"another of the same sequence", "the sequence 5 of the list in force", tlstest.DenyList(t, key, 5)},
		{"of a stranger", "not of a configured signer", tlstest.DenyList(t, tlstest.NewEd25519(t), 6)},
		{"not a list", "is not a signed deny list", []byte("x")},
	} {
		put(c.text)
		await.Until(t, c.name+" is told", func() bool { s, _ := w.DenyStatus(); return strings.Contains(s.Problem, c.problem) })
		if s, _ := w.DenyStatus(); s.Sequence != 5 || s.Entries != 1 || s.Refused != i+1 {
			t.Errorf("%s: %+v", c.name, s)
		}
		if !strings.Contains(w.Log.String(), c.problem) {
			t.Errorf("%s: the log does not say it", c.name)
		}
	}
	os.Remove(file)
	await.Until(t, "its absence is told", func() bool { s, _ := w.DenyStatus(); return strings.Contains(s.Problem, "no such file") })
	if got := w.Says(one); got != trust.Denied {
		t.Errorf("the file is gone: %q", got)
	}
	cancel()
	run.Wait()

	w.Open()
	if got := w.Says(one); got != trust.Denied {
		t.Errorf("after a restart without the file: %q", got)
	}
	put(tlstest.DenyList(t, key, 4))
	w.Open()
	if got := w.Says(one); got != trust.Denied {
		t.Errorf("after a restart with an older file: %q", got)
	}
	put(tlstest.DenyList(t, key, 7))
	if w.Reread(); w.Says(one) != "" {
		t.Error("a later list that names nobody lets everybody in again")
	}
	// A list that was meant, and cannot be read, on a machine that knows no
	// other: better not to start.
	put([]byte("x"))
	w.Options.Folder = t.TempDir()
	if _, err := revocation.Open(t.Context(), tlstest.Revocation(w.Options)); err == nil {
		t.Error("started without the deny list that was meant")
	}
}

// Anybody can check a list with openssl alone.
func TestOpenSSLChecksADenyList(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is needed: apt-get install openssl")
	}
	dir := t.TempDir()
	key := igc.NewKeys().ECDSA("deny")
	signed := tlstest.DenyList(t, key, 1, "structure "+chu)
	i := bytes.LastIndex(signed, []byte("signature "))
	files := map[string][]byte{"text": signed[:i], "signature.b64": bytes.TrimPrefix(signed[i:], []byte("signature "))}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tlstest.Run(t, openssl, "base64", "-d", "-A", "-in", filepath.Join(dir, "signature.b64"), "-out", filepath.Join(dir, "signature"))
	out := tlstest.Run(t, openssl, "dgst", "-sha256", "-verify", tlstest.WritePublic(t, key), "-signature", filepath.Join(dir, "signature"), filepath.Join(dir, "text"))
	if !strings.Contains(out, "Verified OK") {
		t.Error(out)
	}
}

func FuzzReadDenyList(f *testing.F) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	good, _ := revocation.SignDenyList([]byte("structure "+chu+"\nserial 3a"), 1, time.Now(), key)
	f.Add(good)
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := revocation.ReadDenyList(text, []crypto.PublicKey{key.Public()}); err == nil && !bytes.Equal(text, good) {
			// The base64 of the signature may be written in another way; the
			// text before it may not.
			if i := bytes.LastIndex(good, []byte("signature ")); !bytes.HasPrefix(text, good[:i]) {
				t.Errorf("accepted\n%s", text)
			}
		}
		// What is signed by us is whatever the lines say.
		revocation.SignDenyList(text, 1, time.Now(), key)
	})
}
