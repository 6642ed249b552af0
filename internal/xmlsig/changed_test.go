package xmlsig

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// Each of the changes is found: the digest is replaced by the one that such a
// signer would have stated.
func TestWhatChangedAPartIsFound(t *testing.T) {
	t.Parallel()
	const head = `<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:other="urn:other"><e:Body><i:interroger xmlns:i="urn:roc:idb:1.0.0"><nom>`
	const tail = `</nom></i:interroger></e:Body></e:Envelope>`
	v := NewVerifier(Options{Trust: func() *Trust { return NewTrust(nil) }})
	for name, c := range map[string]struct {
		text   string
		digest func(string) string // of the canonical form: what was digested instead
	}{
		"crlf": {"a\nb", func(s string) string { return strings.ReplaceAll(s, "\n", "&#xD;\n") }},
		"lf":   {"a&#13;\nb", func(s string) string { return strings.ReplaceAll(s, "&#xD;", "") }},
		"c14n-1.0": {"a", func(s string) string {
			return strings.Replace(s, " xmlns:rpnu", ` xmlns:other="urn:other" xmlns:rpnu`, 1)
		}},
		"bom":     {"a", func(s string) string { return "\ufeff" + s }},
		"latin-1": {"é", func(s string) string { return strings.ReplaceAll(s, "é", "\xe9") }},
		"":        {"a", func(s string) string { return s + "x" }},
	} {
		m := roc.NewContent(signed(t, head+c.text+tail, testKeys().ecKey, SignOptions{}))
		env, err := soap.Read(m, soap.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		text := string(m.Bytes())
		_, rest, _ := strings.Cut(text, `URI="#corps`)
		id, _, _ := strings.Cut(rest, `"`)
		part, err := v.CanonicalPart(env, "corps"+id)
		if err != nil {
			t.Fatal(err)
		}
		stated := sha256.Sum256([]byte(c.digest(string(part.Canonical.Bytes()))))
		m = roc.NewContent(bytes.Replace(m.Bytes(), []byte(base64.StdEncoding.EncodeToString(part.Computed)), []byte(base64.StdEncoding.EncodeToString(stated[:])), 1))
		found, ok := v.Changed(m, "corps"+id)
		if found.Name != name || ok != (name != "") {
			t.Errorf("%q: found %q in %s", name, found.Name, part.Canonical.Bytes())
		}
	}
}
