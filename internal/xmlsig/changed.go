package xmlsig

import (
	"bytes"
	"crypto/subtle"
	"regexp"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A Change is what may have happened to a part after, or while, it was signed:
// with it undone the digest is the one that the message states.
type Change struct {
	Name string // "reindented"
	Says string // for the vendor of the software, in French
}

// changes are what is tried, in order: the message as it was, the canonical form
// as it was, or its bytes as they were digested.
var changes = []struct {
	Change
	message   func([]byte) []byte
	canonical func([]byte) []byte
	inclusive bool
}{
	{Change: Change{"reindented", "le message a été réindenté après la signature : sans les blancs entre les éléments, l'empreinte est la bonne"},
		message: func(m []byte) []byte { return blanks.ReplaceAll(m, []byte("><")) }},
	{Change: Change{"crlf", "les fins de ligne ont été changées après la signature : elle portait sur des CR LF, le message reçu n'a que des LF"},
		canonical: func(c []byte) []byte { return bytes.ReplaceAll(c, []byte("\n"), []byte("&#xD;\n")) }},
	{Change: Change{"lf", "les fins de ligne ont été changées après la signature : elle portait sur des LF, le message reçu a des CR LF"},
		canonical: func(c []byte) []byte { return bytes.ReplaceAll(c, []byte("&#xD;"), nil) }},
	{Change: Change{"c14n-1.0", "la partie a été canonicalisée en C14N 1.0, non en exc-c14n comme la signature l'annonce"}, inclusive: true},
	{Change: Change{"bom", "l'empreinte a été calculée avec une marque d'ordre des octets (BOM) en tête"},
		canonical: func(c []byte) []byte { return append([]byte("\xef\xbb\xbf"), c...) }},
	{Change: Change{"latin-1", "l'empreinte a été calculée sur du texte en ISO-8859-1 : la canonicalisation donne de l'UTF-8"},
		canonical: latin1},
}

var (
	blanks   = regexp.MustCompile(`>[ \t\r\n]+<`)
	prefixes = regexp.MustCompile(`xmlns:([^\s=]+)\s*=`)
)

// Changed looks for what explains that the digest of a part, named by its Id, is
// not the one that the message states. It verifies nothing.
func (v *Verifier) Changed(m roc.Content, id string) (Change, bool) {
	for _, c := range changes {
		text := m.Bytes()
		if c.message != nil {
			text = c.message(text)
		}
		env, err := soap.Read(roc.NewContent(text), soap.DefaultLimits)
		if err != nil {
			continue
		}
		var more []string
		if c.inclusive { // C14N 1.0 writes every namespace that is in scope
			more = append(more, "")
			for _, found := range prefixes.FindAllSubmatch(text, -1) {
				more = append(more, string(found[1]))
			}
		}
		part, err := v.canonicalPart(env, id, more)
		if err != nil || part.Expected == nil {
			continue
		}
		got := part.Canonical.Bytes()
		if c.canonical != nil {
			got = c.canonical(got)
		}
		h := part.Hash.New()
		h.Write(got)
		if subtle.ConstantTimeCompare(h.Sum(nil), part.Expected) == 1 {
			return c.Change, true
		}
	}
	return Change{}, false
}

// latin1 is the text in ISO-8859-1; what it has no character for is left out.
func latin1(c []byte) []byte {
	var b []byte
	for _, r := range string(c) {
		if r < 256 {
			b = append(b, byte(r))
		}
	}
	return b
}
