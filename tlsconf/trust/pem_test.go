package trust_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Each BEGIN gives a block, or an error with its line.
func TestEachBeginGivesABlockOrAnError(t *testing.T) {
	t.Parallel()
	a, b := writePEMText(t, "A"), writePEMText(t, "B")
	for name, c := range map[string]struct {
		text string
		want int    // blocks
		err  string // or this
	}{
		"two":                       {a + b, 2, ""},
		"text around":               {"# autorités\n" + a + "subject=/CN=B\n" + b + "fin\n", 2, ""},
		"a byte order mark":         {"\ufeff" + a + b, 2, ""},
		"END and BEGIN joined":      {strings.TrimSuffix(a, "\n") + b, 2, ""},
		"END and BEGIN share five":  {strings.TrimSuffix(a, "-----\n") + b, 2, ""}, // dashes
		"the same, cut":             {strings.TrimSuffix(a, "-----\n") + b[:20], 0, "line 3: "},
		"no last line end":          {strings.TrimSuffix(a+b, "\n"), 2, ""},
		"CRLF":                      {strings.ReplaceAll(a+b, "\n", "\r\n"), 2, ""},
		"CR":                        {strings.ReplaceAll(a+b, "\n", "\r"), 2, ""},
		"nothing":                   {"bonjour\n", 0, ""},
		"a second byte order mark":  {a + "\ufeff" + b, 2, ""},
		"bad base64":                {a + strings.Replace(b, "QkJC", "QkJ!", 1), 0, "line 4: "},
		"cut":                       {a + b[:len(b)-20], 0, "line 4: "},
		"cut before the next one":   {a[:len(a)-28] + "\n" + b, 0, "line 1: "},
		"another END":               {strings.Replace(a, "END CERTIFICATE", "END X509 CRL", 1), 0, "line 1: "},
		"an END alone":              {a + "-----END CERTIFICATE-----\n", 0, "line 4: "},
		"a BEGIN alone, at the end": {a + "-----BEGIN CERTIFICATE", 0, "line 4: "},
		"headers":                   {strings.Replace(a, "-----\n", "-----\nX-Note: fictif\n\n", 1), 1, ""},
	} {
		blocks, err := trust.ReadPEM([]byte(c.text))
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if err == nil && len(blocks) != c.want {
			t.Errorf("%s: %d blocks, want %d", name, len(blocks), c.want)
		}
	}
}

func writePEMText(t testing.TB, letter string) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bytes.Repeat([]byte(letter), 30)}))
}

// A damaged trust store is refused by its line, and never read as fewer CAs.
func TestAnAuthorityNeverVanishesFromAStore(t *testing.T) {
	t.Parallel()
	one, two := forge(t, forged{}, "AC UNE", nil, nil), forge(t, forged{}, "AC DEUX", nil, nil)
	dir := t.TempDir()
	writePEM(t, filepath.Join(dir, "good.pem"), one, two)
	good, err := os.ReadFile(filepath.Join(dir, "good.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text, err string
	}{
		"as written":                {string(good), ""},
		"a byte order mark":         {"\ufeff" + string(good), ""},
		"END and BEGIN joined":      {strings.Replace(string(good), "-----\n-----", "----------", 1), ""},
		"of a third name":           {strings.Replace(string(good), "CERTIFICATE", "TRUSTED CERTIFICATE", 2), "TRUSTED CERTIFICATE"},
		"of the old name":           {strings.Replace(string(good), "CERTIFICATE", "X509 CERTIFICATE", 2), "X509 CERTIFICATE"},
		"damaged":                   {strings.Replace(string(good), "A", "!", 1), "line 1"},
		"the second is cut":         {string(good[:len(good)-40]), "line "},
		"a certificate and a trail": {string(good) + "-----END CERTIFICATE-----\n", "line "},
	} {
		file := filepath.Join(t.TempDir(), "store.pem")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := trust.OpenStore(trust.StoreOptions{Name: "trust", Paths: []string{file}})
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), file)):
			t.Errorf("%s: %v, want %q", name, err, c.err)
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case err == nil && len(s.Trust().Roots()) != 2:
			t.Errorf("%s: %d authorities, want 2", name, len(s.Trust().Roots()))
		}
	}
}

// As many blocks as BEGIN, or an error; and what encoding/pem reads of a file
// that is accepted is what is read here.
func FuzzReadPEM(f *testing.F) {
	a := writePEMText(f, "A")
	f.Add([]byte(a + a))
	f.Add([]byte("\ufeff" + strings.TrimSuffix(a, "\n") + a))
	f.Add([]byte(a[:40]))
	f.Fuzz(func(t *testing.T, text []byte) {
		blocks, err := trust.ReadPEM(text)
		if err != nil {
			return
		}
		if n := bytes.Count(text, []byte("-----BEGIN ")); n != len(blocks) {
			t.Errorf("%d BEGIN, %d blocks", n, len(blocks))
		}
		i := 0
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			for i < len(blocks) && !bytes.Equal(blocks[i].Bytes, block.Bytes) {
				i++ // one that encoding/pem passes over
			}
			if i == len(blocks) {
				t.Error("encoding/pem reads a block more")
				return
			}
			i++
		}
	})
}

// Who gives crypto/tls its authorities, pairs and lists gets all of what a file
// holds, or an error.
func TestPairsPoolsAndListsAreWholeOrAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := func(name string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: forge(t, forged{}, name, nil, nil).cert.Raw}))
	}
	one, two := text("AC UNE"), text("AC DEUX")
	for name, c := range map[string]struct{ text, err string }{
		"two":                 {one + two, ""},
		"a byte order mark":   {"\ufeff" + one + two, ""},
		"the second damaged":  {one + strings.Replace(two, "M", "!", 1), "base64"},
		"the second cut":      {one + two[:len(two)-40], "END"},
		"another label":       {one + strings.ReplaceAll(two, "CERTIFICATE", "X509 CERTIFICATE"), "X509 CERTIFICATE"},
		"nothing":             {"", "holds no certificate"},
		"one inside of a key": {one + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"},
	} {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".pem")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := trust.ReadPool(file)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if _, err := trust.ReadLists(file); err == nil {
			t.Errorf("%s: certificates are no lists", name)
		}
	}
}
