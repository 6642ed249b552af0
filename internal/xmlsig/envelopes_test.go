package xmlsig

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/soap"
)

// An envelopes makes well-formed messages of every odd kind from a seed. They
// are written as text, not from a tree, so that white space, quotes,
// references and declarations come in all the ways that XML allows.
type envelopes struct {
	r *rand.Rand
	b strings.Builder

	uris   map[string]string // namespaces in scope, by prefix
	quirks quirks
	depth  int
	noID   bool // the element being written must not carry an Id
}

// quirks are what a message holds that an oracle is known to get wrong
// (docs/decisions, c14n disagreements).
type quirks struct {
	ampersandURI    bool // '&' in a namespace URI: libxml2
	attributeOrder  bool // two attributes with prefixes: goxmldsig
	attributeBlanks bool // a literal tab or line end in an attribute: goxmldsig
	defaultUndone   bool // xmlns="": goxmldsig writes it where nothing is to undo
	carriageReturns bool // alone, in a comment or as references: etree
}

var (
	somePrefixes = []string{"a", "b", "ns1", "x-y", "A", "été", "Zz", "soapenv2"}
	someURIs     = []string{"urn:a", "urn:b", "urn:roc:fictif:1", "http://x.example/?q=1", "urn:%C3%A9", "tag:x,2026:y", "urn:A"}
	someLocals   = []string{"a", "b", "nom", "Élément", "x.y", "z-1", "_", "montant", "a1"}
	someTexts    = []string{"texte", "0077565712", "é à ü", "😀", " ", "\n", "\t", "\r\n", "&amp;", "&lt;", "&gt;", ">", "&quot;", "&apos;", "\"", "'", "&#13;", "&#x0d;&#10;", "&#9;", "&#233;", "&#x1F600;", "]]", "]", "-", "--", "\u00a0", "\u2028", "\r"}
	someCDATA    = []string{"<![CDATA[]]>", "<![CDATA[a<b>&c]]>", "<![CDATA[]]]]>", "<![CDATA[\r\n]]>", "<![CDATA[é \"']]>", "<![CDATA[<!-- x -->]]>"}
	someValues   = []string{"v", "", "é", "&amp;", "&lt;", "&gt;", ">", "&#9;", "&#10;", "&#13;", "&#32;", "  x  ", "&quot;", "&apos;", "😀", "{}", "a:b"}
	someComments = []string{"<!---->", "<!-- c -->", "<!-- <a> & - -->", "<!--\r\n-->", "<!--é-->"}
)

func newEnvelopes(seed uint64) *envelopes {
	return &envelopes{r: rand.New(rand.NewPCG(seed, 0x52_4F_43)), uris: map[string]string{}}
}

func (g *envelopes) one(list []string) string { return list[g.r.IntN(len(list))] }
func (g *envelopes) chance(in int) bool       { return g.r.IntN(in) == 0 }
func (g *envelopes) put(s ...string) {
	for _, s := range s {
		g.b.WriteString(s)
	}
}

// blank writes white space that may be missing; space writes some.
func (g *envelopes) blank() { g.put(g.one([]string{"", "", "", "", " ", "\n", "\r\n\t", "  "})) }
func (g *envelopes) space() { g.put(g.one([]string{" ", " ", " ", " ", "\n", "\t ", "\r\n  "})) }

// unsigned makes a message; prefixes are names that a PrefixList may hold.
func (g *envelopes) unsigned() string {
	soapNS, p := soap.NS12, g.one([]string{"soap", "s", "SOAP-ENV", "env", "", "é", "a"})
	if g.chance(2) {
		soapNS = soap.NS11
	}
	g.put(g.one([]string{"", "", "\xEF\xBB\xBF"}), g.one([]string{"", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\r\n", "<?xml version=\"1.0\"?>\n<!-- c -->\n"}))
	g.element(p, "Envelope", soapNS, func() {
		g.blanks()
		if !g.chance(6) {
			g.element(p, "Header", soapNS, func() {
				g.blanks()
				for range g.r.IntN(3) {
					g.block()
					g.blanks()
				}
			})
			g.blanks()
		}
		g.noID = true
		g.element(p, "Body", soapNS, func() {
			g.blanks()
			g.any()
			g.blanks()
		})
		g.put(g.one([]string{"", " ", "\n"}))
	})
	g.put(g.one([]string{"", "\n", "\r\n  "}))
	return g.b.String()
}

// blanks writes white space and comments between elements.
func (g *envelopes) blanks() {
	g.blank()
	if g.chance(8) {
		c := g.one(someComments)
		g.quirks.carriageReturns = g.quirks.carriageReturns || strings.Contains(c, "\r")
		g.put(c)
		g.blank()
	}
}

// block writes a header block.
func (g *envelopes) block() { g.any() }

// any writes an element of any name and content.
func (g *envelopes) any() {
	p := g.pickPrefix()
	g.element(p, g.one(someLocals), g.uris[p], g.content)
}

// pickPrefix is one in scope, or a new one, which the element then declares.
func (g *envelopes) pickPrefix() string {
	if g.chance(5) {
		return g.one(somePrefixes)
	}
	if g.chance(3) {
		return ""
	}
	in := slices.Sorted(maps.Keys(g.uris))
	if len(in) == 0 {
		return ""
	}
	return in[g.r.IntN(len(in))]
}

func (g *envelopes) content() {
	if g.depth > 6 || g.chance(2) {
		g.text()
		return
	}
	if g.chance(4) { // mixed, no comments
		for range g.r.IntN(4) {
			g.text()
			g.any()
		}
		g.text()
		return
	}
	for range g.r.IntN(4) {
		g.blanks()
		g.any()
	}
	g.blanks()
}

func (g *envelopes) text() {
	last := ""
	for range g.r.IntN(4) {
		s := g.one(someTexts)
		if g.chance(6) {
			s = g.one(someCDATA)
		}
		if strings.HasSuffix(last, "]") && (s[0] == '>' || s[0] == ']') { // no "]]>"
			continue
		}
		if strings.Contains(s, "\r") && !strings.Contains(s, "\r\n") || strings.Contains(s, "#13") || strings.Contains(s, "#x0d") {
			g.quirks.carriageReturns = true
		}
		g.put(s)
		last = s
	}
}

// element writes one. uri is the namespace its prefix must have; for one that
// is not in scope, any.
func (g *envelopes) element(p, local, uri string, content func()) {
	outer := maps.Clone(g.uris)
	g.depth++
	noID := g.noID
	g.noID = false
	name := local
	if p != "" {
		name = p + ":" + local
	}
	g.put("<", name)
	var attrs []string
	declared := map[string]bool{}
	declare := func(p, uri string) {
		if declared[p] {
			return
		}
		declared[p] = true
		written := uri
		if g.chance(60) && uri != "" && !strings.HasPrefix(uri, "http://www.w3.org/2003") && !strings.HasPrefix(uri, "http://schemas.xmlsoap.org") {
			uri, written = uri+"&1", uri+"&amp;1"
			g.quirks.ampersandURI = true
		}
		g.uris[p] = uri
		g.quirks.defaultUndone = g.quirks.defaultUndone || uri == ""
		if p == "" {
			attrs = append(attrs, "xmlns="+g.quoted(written))
		} else {
			attrs = append(attrs, "xmlns:"+p+"="+g.quoted(written))
		}
	}
	if now, ok := g.uris[p]; p != "" && !ok || uri != "" && now != uri {
		if uri == "" {
			uri = g.one(someURIs)
		}
		g.declareExactly(declare, p, uri)
	}
	for range g.r.IntN(6) / 3 { // used or not, new or again
		q := g.one(somePrefixes)
		if q == p || declared[q] {
			continue
		}
		if old, ok := g.uris[q]; ok && g.chance(3) {
			g.declareExactly(declare, q, old)
		} else {
			declare(q, g.one(someURIs))
		}
	}
	if p != "" && !declared[""] && g.chance(8) { // the default, changed or undone
		declare("", g.one([]string{"", "urn:d", "urn:e"}))
	}
	attrs = append(attrs, g.attributes(noID)...)
	g.r.Shuffle(len(attrs), func(i, j int) { attrs[i], attrs[j] = attrs[j], attrs[i] })
	for _, a := range attrs {
		g.space()
		g.put(a)
	}
	g.blankIf(len(attrs) > 0 || g.chance(6))
	mark := g.b.Len()
	g.put(">")
	content()
	if g.b.Len() == mark+1 && g.chance(2) {
		s := g.b.String()
		g.b.Reset()
		g.put(s[:mark], "/>")
	} else {
		g.put("</", name)
		g.blankIf(g.chance(6))
		g.put(">")
	}
	g.depth--
	g.uris = outer
}

// declareExactly declares without the quirk of an ampersand.
func (g *envelopes) declareExactly(declare func(p, uri string), p, uri string) {
	amp := g.quirks.ampersandURI
	declare(p, strings.ReplaceAll(uri, "&", ""))
	g.quirks.ampersandURI = amp || g.quirks.ampersandURI
}

func (g *envelopes) blankIf(yes bool) {
	if yes {
		g.blank()
	}
}

func (g *envelopes) quoted(v string) string {
	eq := g.one([]string{"", "", "", "", " "})
	if g.chance(3) && !strings.Contains(v, "'") {
		return eq[:0] + "'" + v + "'"
	}
	return `"` + v + `"`
}

// attributes returns attributes of distinct expanded names.
func (g *envelopes) attributes(noID bool) (list []string) {
	seen := map[string]bool{}
	withPrefix := 0
	for range g.r.IntN(5) / 2 * g.r.IntN(3) {
		local, name, expanded := g.one(someLocals), "", ""
		switch p := g.one(somePrefixes); {
		case g.chance(8):
			name = g.one([]string{"xml:lang", "xml:space", "xml:base"})
			expanded = name
			withPrefix++
		case g.chance(2) && g.uris[p] != "":
			name, expanded = p+":"+local, g.uris[p]+" "+local
			withPrefix++
		default:
			name, expanded = local, local
		}
		if seen[expanded] {
			continue
		}
		seen[expanded] = true
		value := ""
		for range g.r.IntN(3) {
			value += g.one(someValues)
		}
		if g.chance(12) {
			value += g.one([]string{"\t", "\n", "\r\n", "\r"})
			g.quirks.attributeBlanks = true
		}
		if strings.Contains(value, "#13") {
			g.quirks.carriageReturns = true
		}
		eq := g.one([]string{"=", "=", "=", " = ", "\n="})
		quote := `"`
		if g.chance(3) {
			quote = "'"
		} else if g.chance(4) {
			value += "'"
		}
		list = append(list, name+eq+quote+value+quote)
	}
	if withPrefix > 1 {
		g.quirks.attributeOrder = true
	}
	if !noID && g.chance(12) {
		g.depth++ // makes the value distinct enough
		list = append(list, fmt.Sprintf(`Id="x%d"`, g.r.Uint64()))
		g.depth--
	}
	return list
}
