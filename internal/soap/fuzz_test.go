package soap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/piano-roc/rpn/internal/roc"
)

// addSeeds adds one document for each construct, and the attack files of
// xmlsig, which are the messages that most want to be misread.
func addSeeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		`<a/>`, `<a>x</a >`, `<a b='1' c="2"/>`, `<p:a xmlns:p="urn:p"><p:b/></p:a>`, `<a xmlns="urn:d"><b xmlns=""/></a>`,
		`<a>&lt;&#xe9;<![CDATA[<]]>]]</a>`, "<a>\r\n\r</a>", `<a><!-- c --></a>`, "\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?>\n<a/>\n<!-- -->",
		`<a b="&#9;&quot;` + "\t\n" + `'"/>`, `<a xml:lang="fr" xmlns:b="urn:b" b:c="1" c="2"/>`, `<é:à xmlns:é="urn:e" é:ü="ß"/>`,
		`<s:Envelope xmlns:s="` + NS12 + `"><s:Header/><s:Body><a xmlns="urn:x"/></s:Body></s:Envelope>`,
		`<a Id="x"><b xml:id="y"/></a>`, `<a xmlns:p="urn:p" xmlns:q="urn:p" p:a="" q:b=""/>`, `<!DOCTYPE a><a/>`, `<a>` + strings.Repeat("<b>", 70) + `</a>`,
	} {
		f.Add([]byte(s))
	}
	files, err := filepath.Glob(filepath.Join("..", "xmlsig", "testdata", "attacks", "*.txt"))
	if err != nil || len(files) == 0 {
		f.Fatalf("the attack files are not there: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, m, _ := bytes.Cut(data, []byte("\n---\n"))
		f.Add(m)
	}
}

// FuzzScan: the scan never panics, its offsets are those of elements nested as
// they should be, and what it accepts, encoding/xml reads with the same names
// and texts. (The reverse does not hold, see docs/decisions/0003.)
func FuzzScan(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := Read(roc.NewContent(data), DefaultLimits); err != nil {
			checkRefusal(t, data, err)
		} else {
			if e.Body().First().IsZero() || !e.Body().First().Next().IsZero() {
				t.Error("an envelope whose Body has not one child")
			}
			e.Release()
		}
		e, err := ReadDocument(roc.NewContent(data), DefaultLimits)
		if err != nil {
			checkRefusal(t, data, err)
			return
		}
		defer e.Release()
		var flat []Node
		walk(t, e.Root(), 0, len(data), 1, &flat)
		if len(flat) != len(e.ix.elems) {
			t.Errorf("%d elements reached, %d in the index", len(flat), len(e.ix.elems))
		}
		for id := range e.IDs {
			if id.Node.IsZero() {
				t.Error("an Id of no element")
			}
		}
		againstEncodingXML(t, data, flat)
	})
}

func checkRefusal(t *testing.T, data []byte, err error) {
	t.Helper()
	var r *roc.Refusal
	if !errors.As(err, &r) || r.Detail == "" {
		t.Fatalf("not a refusal with a sentence for the caller: %v", err)
	}
	switch r.Reason {
	case roc.TooLarge, roc.NotSOAP, roc.ForbiddenXML:
	default:
		t.Errorf("refused as %s", r.Reason)
	}
}

// walk checks the place of each element inside its parent.
func walk(t *testing.T, n Node, from, to, depth int, flat *[]Node) {
	t.Helper()
	raw := n.e.ix.raw
	start, end := n.Span()
	in, out := n.Inner()
	if start < from || end > to || in < start || out < in || end < out || raw[start] != '<' || raw[end-1] != '>' || raw[in-1] != '>' {
		t.Fatalf("element at %d..%d, content %d..%d, in %d..%d", start, end, in, out, from, to)
	}
	if depth > DefaultLimits.Depth {
		t.Fatalf("depth %d", depth)
	}
	*flat = append(*flat, n)
	at := in
	for c := n.First(); !c.IsZero(); c = c.Next() {
		if !c.Parent().Same(n) || !n.Contains(c) || c.Contains(n) {
			t.Fatal("a child that is not inside its parent")
		}
		walk(t, c, at, out, depth+1, flat)
		_, at = c.Span()
	}
}

// againstEncodingXML compares names and, of leaves, texts.
func againstEncodingXML(t *testing.T, data []byte, flat []Node) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))))
	var text strings.Builder
	next, leaf := 0, false
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			if strings.Contains(err.Error(), "invalid XML name") {
				return // its names are those of the fourth edition
			}
			t.Fatalf("accepted, but encoding/xml: %v\n%q", err, data)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if next >= len(flat) {
				t.Fatalf("encoding/xml finds more than %d elements in %q", next, data)
			}
			got := flat[next].Name()
			if got.Local != tok.Name.Local || got.Space != tok.Name.Space {
				t.Fatalf("element %d is %v, to encoding/xml %v, in %q", next, got, tok.Name, data)
			}
			next++
			leaf = true
			text.Reset()
		case xml.CharData:
			text.Write(tok)
		case xml.Comment:
			leaf = false
		case xml.EndElement:
			if n := flat[next-1]; leaf {
				if got, ok := n.Text(); ok && got != text.String() {
					t.Fatalf("text %q, to encoding/xml %q, in %q", got, text.String(), data)
				}
			}
			leaf = false
		}
	}
	if next != len(flat) {
		t.Fatalf("%d elements, to encoding/xml %d, in %q", len(flat), next, data)
	}
}

var (
	undoneDefault = regexp.MustCompile(`xmlns\s*=\s*(""|'')`)
	attributeTail = regexp.MustCompile(`=\s*("[^"<]*[\t\n][^"<]*"|'[^'<]*[\t\n][^'<]*')`)
)

// FuzzC14N: the canonical form of the canonical form is itself, and it is
// goxmldsig's, outside the constructs that one is known to get wrong
// (docs/decisions/0006).
func FuzzC14N(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ReadDocument(roc.NewContent(data), DefaultLimits)
		if err != nil {
			return
		}
		defer e.Release()
		for _, comments := range []bool{false, true} {
			var b bytes.Buffer
			form := C14N{Comments: comments}
			if err := e.Root().Canonical(&b, form); err != nil {
				if !roc.IsRefused(err, roc.TooLarge) {
					t.Fatal(err)
				}
				return
			}
			once := b.Bytes()
			again, err := ReadDocument(roc.NewContent(once), DefaultLimits)
			if err != nil {
				if !roc.IsRefused(err, roc.TooLarge) {
					t.Fatalf("the canonical form is refused: %v\n%q\n%q", err, data, once)
				}
				return
			}
			var c bytes.Buffer
			if err := again.Root().Canonical(&c, form); err != nil && !roc.IsRefused(err, roc.TooLarge) {
				t.Fatal(err)
			} else if err == nil && !bytes.Equal(c.Bytes(), once) {
				t.Errorf("of    %q\nfirst %q\nthen  %q", data, once, c.Bytes())
			}
			again.Release()
			if theirs, ok := goxmldsigForm(e, data, comments); ok && !bytes.Equal(theirs, once) {
				t.Errorf("of    %q\nours  %q\ngoxmldsig %q", data, once, theirs)
			}
		}
	})
}

// goxmldsigForm is false where goxmldsig or etree is known to be wrong.
func goxmldsigForm(e *Envelope, data []byte, comments bool) ([]byte, bool) {
	if bytes.ContainsRune(data, '\r') || bytes.Contains(data, []byte("&#")) || undoneDefault.Match(data) || attributeTail.Match(data) || len(e.ix.elems) > 900 {
		return nil, false
	}
	for i := range e.ix.elems {
		withPrefix := 0
		for name := range (Node{e, int32(i)}).Attrs {
			if name.Space != "" {
				withPrefix++
			}
		}
		if withPrefix > 1 {
			return nil, false
		}
	}
	doc := etree.NewDocument()
	if doc.ReadFromBytes(bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))) != nil {
		return nil, false
	}
	c := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if comments {
		c = dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList("")
	}
	b, err := c.Canonicalize(doc.Root())
	return b, err == nil
}
