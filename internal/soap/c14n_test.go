package soap

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

// xmllint canonicalizes a whole document, exclusively and without comments.
func xmllint(t *testing.T, doc string) (string, bool) {
	t.Helper()
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Fatal("xmllint is missing: run `make deps` (Debian package libxml2-utils)")
	}
	f := filepath.Join(t.TempDir(), "d.xml")
	if err := os.WriteFile(f, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("xmllint", "--exc-c14n", "--nonet", f)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	return out.String(), err == nil
}

func canonical(t *testing.T, doc string, form C14N) string {
	t.Helper()
	e, err := ReadDocument(roc.NewContent([]byte(doc)), DefaultLimits)
	if err != nil {
		t.Fatalf("%q: %v", doc, err)
	}
	defer e.Release()
	var b bytes.Buffer
	if err := e.Root().Canonical(&b, form); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Each document holds one construct; xmllint keeps comments, so they are kept.
func TestCanonicalFormIsThatOfXmllint(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"empty element":          `<a/>`,
		"empty with space":       `<a  />`,
		"end tag space":          `<a>x</a  >`,
		"attribute order":        `<a b="2" a="1"/>`,
		"attribute order by URI": `<a xmlns:z="urn:a" xmlns:y="urn:b" y:k="1" z:k="2" k="0"/>`,
		"single quotes":          `<a b='x"y'/>`,
		"attribute escapes":      `<a b="&lt;&gt;&amp;&quot;&apos;&#9;&#10;&#13;&#x20AC;"/>`,
		"attribute white space":  "<a b=\"x\ty\nz\r\nw\"/>",
		"text escapes":           `<a>&lt;&gt;&amp;&quot;&apos;&#13;> "'</a>`,
		"line ends":              "<a>x\r\ny\rz\n</a>",
		"CDATA":                  "<a><![CDATA[x<y>&z\r\n]]]]></a>",
		"CDATA in text":          "<a>x<![CDATA[y]]>z&amp;<![CDATA[]]></a>",
		"unused prefix":          `<a xmlns:p="urn:p"><b/></a>`,
		"prefix used below":      `<a xmlns:p="urn:p"><p:b/><p:c><p:d/></p:c></a>`,
		"prefix by attribute":    `<a xmlns:p="urn:p"><b p:x="1"/><c/></a>`,
		"redeclared same":        `<p:a xmlns:p="urn:p"><p:b xmlns:p="urn:p"/></p:a>`,
		"redeclared other":       `<p:a xmlns:p="urn:p"><p:b xmlns:p="urn:q"><p:c/></p:b><p:d/></p:a>`,
		"default":                `<a xmlns="urn:d"><b/><c xmlns=""><d/></c><e xmlns="urn:e"/></a>`,
		"default undone":         `<a xmlns="urn:d"><p:b xmlns:p="urn:p" xmlns=""><c/></p:b></a>`,
		"undone without default": `<a xmlns=""><b xmlns=""/></a>`,
		"no namespace child":     `<p:a xmlns:p="urn:p"><b><p:c/></b></p:a>`,
		"xml attributes":         `<a xml:lang="fr"><b xml:space="preserve" x="1"/></a>`,
		"xml elements":           `<a xmlns:p="urn:p"><xml:b xml:lang="fr" p:c="1"><xml:d/></xml:b><xml:e/></a>`,
		"comments":               "<a><!-- x\r\n --><b/>t<!--y-->u</a>",
		"declaration":            `<?xml version="1.0" encoding='utf-8' standalone="yes"?>` + "\n<a/>\n",
		"BOM":                    "\xEF\xBB\xBF<a>é</a>",
		"non-ASCII names":        `<été à="ï"><œuf/></été>`,
		"astral":                 `<a>&#x1F600;😀</a>`,
		"attributes by prefix":   `<a xmlns:b="urn:1" xmlns:a="urn:2" a:x="1" b:x="2" b:a="3"/>`,
		"spaces everywhere":      "<a\n\tx = '1'\n  y=\"2\"\n>\n<b\n/>\n</a\n>",
		"many prefixes":          `<a xmlns:z="urn:z" xmlns:y="urn:y" xmlns:x="urn:x"><z:b y:c="" x:d=""><x:e/><y:f/><z:g/></z:b></a>`,
		"nested scopes":          `<p:a xmlns:p="urn:1"><q:b xmlns:q="urn:2"><p:c xmlns:p="urn:3"/><p:d/></q:b><p:e/><q:f xmlns:q="urn:4"/></p:a>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, ok := xmllint(t, doc)
			if !ok {
				t.Fatal("xmllint refuses the document")
			}
			got := canonical(t, doc, C14N{Comments: true})
			if got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if again := canonical(t, got, C14N{Comments: true}); again != got {
				t.Errorf("the canonical form of the canonical form is another: %q", again)
			}
			if strings.Contains(doc, "<!--") {
				if bare := canonical(t, doc, C14N{}); strings.Contains(bare, "<!--") {
					t.Errorf("comments were kept: %q", bare)
				}
			}
		})
	}
}

// xmllint writes the '&' of a namespace URI bare, which is not even
// well-formed. C14N 1.0, 2.3 has a namespace node written as an attribute:
// its value is escaped.
func TestNamespaceURIIsEscapedAsAnAttribute(t *testing.T) {
	t.Parallel()
	doc := `<p:a xmlns:p="urn:a?x=1&amp;y=2"><p:b/></p:a>`
	if got, want := canonical(t, doc, C14N{}), `<p:a xmlns:p="urn:a?x=1&amp;y=2"><p:b></p:b></p:a>`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
