package soap

import (
	"bytes"
	"hash/maphash"
	"strings"
	"unicode/utf8"

	"github.com/piano-roc/rpn/internal/roc"
)

// attributes scans what follows the name in a start tag, up to and with its
// '>' or '/>'. Declarations are put in force as they are met; the prefixes of
// attributes are resolved later, since a declaration may follow its use.
func (s *scanner) attributes(e *element, j int) (end int, empty bool, err *roc.Refusal) {
	raw := s.raw
	for {
		before := j
		for j < len(raw) && class[raw[j]]&space != 0 {
			j++
		}
		if j >= len(raw) {
			return j, false, s.fail(unclosed, len(raw))
		}
		switch raw[j] {
		case '>':
			return j + 1, false, nil
		case '/':
			if j+1 >= len(raw) || raw[j+1] != '>' {
				return j, false, s.fail(badMarkup, j)
			}
			return j + 2, true, nil
		}
		if j == before {
			return j, false, s.fail(badMarkup, j)
		}
		if j, err = s.attribute(e, j); err != nil {
			return j, false, err
		}
	}
}

// attribute scans one attribute or namespace declaration.
func (s *scanner) attribute(e *element, i int) (int, *roc.Refusal) {
	raw := s.raw
	j, plen, p := s.qname(i)
	if p != nil {
		return i, s.fail(*p, i)
	}
	nlen := j - i
	for j < len(raw) && class[raw[j]]&space != 0 {
		j++
	}
	if j >= len(raw) || raw[j] != '=' {
		return i, s.fail(badAttribute, i)
	}
	for j++; j < len(raw) && class[raw[j]]&space != 0; {
		j++
	}
	if j >= len(raw) || raw[j] != '"' && raw[j] != '\'' {
		return i, s.fail(badAttribute, i)
	}
	from := j + 1
	k := bytes.IndexByte(raw[from:], raw[j])
	if k < 0 {
		return i, s.fail(badAttribute, i)
	}
	odd, err := s.value(from, from+k)
	if err != nil {
		return i, err
	}
	switch name := raw[i : i+nlen]; {
	case plen == 5 && string(name[:5]) == "xmlns":
		err = s.declare(e, i, i+6, nlen-6, from, from+k, odd)
	case plen == 0 && string(name) == "xmlns":
		err = s.declare(e, i, i, 0, from, from+k, odd)
	default:
		if int(e.nattr) >= s.lim.Attributes {
			return i, s.fail(tooManyAttrs, i)
		}
		e.nattr++
		if len(s.attrs) == cap(s.attrs) {
			s.attrs = room(s.index, s.attrs, uint32(i), attributeAt)
		}
		s.attrs = append(s.attrs, attribute{
			name: uint32(i), value: uint32(from), end: uint32(from + k),
			bind: none, plen: uint8(plen), nlen: uint16(nlen), odd: odd,
		})
	}
	return from + k + 1, err
}

// value checks the value of an attribute. It is odd when its text is not its
// value: it holds references, or white space that XML turns into spaces.
func (s *scanner) value(from, to int) (odd bool, err *roc.Refusal) {
	b := s.raw[:to]
	for i := skipValue(b, from); i < to; i = skipValue(b, i) {
		odd = true
		switch c := b[i]; {
		case c == '&':
			_, n := decodeReference(b[i:])
			if n == 0 {
				return odd, s.fail(badEntity, i)
			}
			i += n
		case c == '<':
			return odd, s.fail(badAttribute, i)
		case class[c]&space != 0:
			i++
		default:
			return odd, s.fail(badChar, i)
		}
	}
	return odd, nil
}

// declare binds a prefix for the element being scanned. The prefix stands at
// off and is n bytes long; 0 is the default namespace.
func (s *scanner) declare(e *element, at, off, n, from, to int, odd bool) *roc.Refusal {
	if int(e.ndecl) >= s.lim.Declarations {
		return s.fail(tooManyDecls, at)
	}
	if to-from > s.lim.NameBytes { // it is half of an expanded name
		return s.fail(longName, at)
	}
	d := declaration{uri: uint32(from), end: uint32(to)}
	uri := s.raw[from:to]
	if odd {
		decoded := appendValue(nil, uri)
		s.odd = append(s.odd, string(decoded))
		d.odd, uri = uint32(len(s.odd)), decoded
	}
	d.known = knownNamespace(uri)
	prefix := string(s.raw[off : off+n]) // never escapes: compared only
	switch {
	case prefix == "xml":
		// Redundant, allowed for its own namespace only; it changes nothing.
		if string(uri) != nsXML {
			return s.fail(badNamespace, at)
		}
	case prefix == "xmlns", string(uri) == nsXML, string(uri) == nsXMLNS, n > 0 && len(uri) == 0:
		return s.fail(badNamespace, at)
	case len(uri) > 0 && d.known == 0 && !hasScheme(uri):
		return s.fail(relativeURI, at)
	case d.known == 0 && !isURI(uri):
		return s.fail(badURI, at)
	}
	d.prefix = prefixNone
	if n > 0 {
		d.prefix = s.prefixOf(uint32(off), uint32(n), true)
	}
	for k := range int(e.ndecl) {
		if s.decls[int(e.decl)+k].prefix == d.prefix {
			return s.fail(twiceAttribute, at)
		}
	}
	e.ndecl++
	s.decls = append(room(s.index, s.decls, uint32(at), declarationAt), d)
	bound := int32(len(s.decls) - 1)
	switch {
	case len(uri) == 0:
		bound = none
	case d.prefix == prefixXML:
		bound = declXML
	}
	s.bindPrefix(d.prefix, bound)
	return nil
}

// hasScheme says whether a URI is absolute (RFC 3986, 3.1).
func hasScheme(uri []byte) bool {
	for i, c := range uri {
		switch {
		case c == ':':
			return i > 0
		case c|0x20 >= 'a' && c|0x20 <= 'z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return false
}

// isURI says whether only characters of URIs stand in it (RFC 3986, 2): other
// readers refuse to canonicalize under another name.
func isURI(uri []byte) bool {
	for _, c := range uri {
		if c <= ' ' || c >= 0x7F || bytes.IndexByte([]byte("\"<>\\^`{|}"), c) >= 0 {
			return false
		}
	}
	return true
}

// resolveAttributes finds the namespaces of the attributes of e, refuses two
// of the same expanded name, and notes the Ids.
func (s *scanner) resolveAttributes(e *element, self int32) *roc.Refusal {
	list := s.attrs[e.attr:]
	for k := range list {
		a := &list[k]
		if a.plen > 0 {
			p := s.prefixOf(a.name, uint32(a.plen), false)
			if p == prefixNone || s.prefixes[p].cur == none {
				return s.fail(unboundPrefix, int(a.name))
			}
			a.bind = s.prefixes[p].cur
		}
		if is, loose := s.isID(e, a); is || loose {
			if len(s.ids) == cap(s.ids) {
				s.ids = room(s.index, s.ids, a.name, func(i *ident) uint32 { return s.attrs[i.attr].name })
			}
			s.ids = append(s.ids, ident{self, e.attr + uint32(k), loose})
		}
	}
	if len(list) <= 6 {
		for k := 1; k < len(list); k++ {
			for m := range k {
				if s.sameName(&list[k], &list[m]) {
					return s.fail(twiceAttribute, int(list[k].name))
				}
			}
		}
		return nil
	}
	return s.distinct(list)
}

// distinct is the same check for many attributes, by a table.
func (s *scanner) distinct(list []attribute) *roc.Refusal {
	var table [512]uint8 // twice as many slots as attributes, at least
	for k := range list {
		a := &list[k]
		slot := (maphash.String(seed, s.local(a)) ^ maphash.String(seed, s.uri(a.bind))) & 511
		for ; table[slot] != 0; slot = (slot + 1) & 511 {
			if s.sameName(&list[k], &list[table[slot]-1]) {
				return s.fail(twiceAttribute, int(list[k].name))
			}
		}
		table[slot] = uint8(k + 1)
	}
	return nil
}

func (s *scanner) sameName(a, b *attribute) bool {
	if s.local(a) != s.local(b) {
		return false
	}
	return a.bind == b.bind || a.bind >= 0 && b.bind >= 0 && s.uri(a.bind) == s.uri(b.bind)
}

func (ix *index) local(a *attribute) string {
	from := a.name
	if a.plen > 0 {
		from += uint32(a.plen) + 1
	}
	return ix.text(from, a.name+uint32(a.nlen))
}

// isID says whether an attribute names its element (profile section 3):
// wsu:Id, Id without a namespace, xml:id, and the ID of a SAML assertion.
// loose is any other attribute called id, in any case and namespace: it names
// nothing here, but another reader may think so, so the signature check does
// not let it repeat the Id of a signed part.
func (s *scanner) isID(e *element, a *attribute) (is, loose bool) {
	local := s.local(a)
	if len(local) != 2 || local[0]|0x20 != 'i' || local[1]|0x20 != 'd' {
		return false, false
	}
	switch {
	case local == "Id" && (a.plen == 0 || s.uri(a.bind) == NSWSU),
		local == "id" && a.bind == declXML,
		local == "ID" && a.plen == 0 && e.bind >= 0 && s.uri(e.bind) == NSSAML:
		return true, false
	}
	return false, true
}

// appendValue appends the value of an attribute: references decoded, white
// space turned into spaces (XML 1.0, 3.3.3; a CRLF is one space).
func appendValue(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '&':
			r, n := decodeReference(b[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		case '\r':
			if i+1 < len(b) && b[i+1] == '\n' {
				i++
			}
			dst = append(dst, ' ')
			i++
		case '\t', '\n':
			dst = append(dst, ' ')
			i++
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// appendText appends the value of character data: references and CDATA
// decoded, line ends normalized (XML 1.0, 2.11), comments dropped.
func appendText(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		j := skipPlain(b, i)
		dst = append(dst, b[i:j]...)
		if i = j; i >= len(b) {
			break
		}
		switch b[i] {
		case '&':
			r, n := decodeReference(b[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		case '\r':
			if i++; i >= len(b) || b[i] != '\n' {
				dst = append(dst, '\n')
			}
		case '<':
			if b[i+2] == '-' {
				i += 4 + bytes.Index(b[i+4:], []byte("-->")) + 3
				continue
			}
			body := b[i+9:]
			body = body[:bytes.Index(body, []byte("]]>"))]
			dst = append(dst, strings.ReplaceAll(strings.ReplaceAll(string(body), "\r\n", "\n"), "\r", "\n")...)
			i += 9 + len(body) + 3
		default:
			dst = append(dst, b[i])
			i++
		}
	}
	return dst
}
