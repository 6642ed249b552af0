package soap

import (
	"unicode/utf8"

	"github.com/piano-roc/rpn/internal/roc"
)

func (s *scanner) endTag(i int) (int, *roc.Refusal) {
	raw, e := s.raw, &s.elems[s.cur]
	name, n := int(e.start)+1, int(e.nlen)
	j := i + 2 + n
	if j >= len(raw) || string(raw[i+2:j]) != string(raw[name:name+n]) {
		return i, s.fail(badNesting, i)
	}
	if raw[j] != '>' {
		for j < len(raw) && class[raw[j]]&space != 0 {
			j++
		}
		if j >= len(raw) || raw[j] != '>' {
			return i, s.fail(badNesting, i)
		}
		s.fix(fix{uint32(i), uint32(j + 1), s.cur, fixEnd})
	}
	e.shut, e.end = uint32(i), uint32(j+1)
	s.close(e)
	return j + 1, nil
}

func (s *scanner) close(e *element) {
	e.next = int32(len(s.elems))
	if e.ndecl != 0 {
		s.unbind(int(e.ndecl))
	}
	s.cur = e.parent
	s.depth--
}

// plainTag scans the start tag that most elements have, <name>: no prefix, no
// attribute, under a parent without prefix. It returns 0 when the tag is not
// such a one, or is not allowed: startTag then looks at it.
func (s *scanner) plainTag(i int) int {
	raw, j := s.raw, i+1
	for j < len(raw) && class[raw[j]]&nameChar != 0 {
		j++
	}
	n := len(s.elems)
	if j >= len(raw) || raw[j] != '>' || j == i+1 || class[raw[i+1]]&nameStart == 0 || j-i-1 > s.lim.NameBytes ||
		s.elems[s.cur].prefix != prefixNone || n >= s.lim.Elements || s.depth >= s.lim.Depth {
		return 0
	}
	if n == cap(s.elems) {
		s.elems = room(s.index, s.elems, uint32(i), elementAt)
	}
	s.elems = s.elems[:n+1]
	s.depth++
	s.elems[n] = element{
		start: uint32(i), open: uint32(j + 1), parent: s.cur, attr: uint32(len(s.attrs)), decl: uint32(len(s.decls)),
		fix: uint32(len(s.fixes)), prefix: prefixNone, bind: s.prefixes[prefixNone].cur, nlen: uint16(j - i - 1),
	}
	s.cur = int32(n)
	return j + 1
}

// startTag scans a start tag or an empty element, from its '<'.
func (s *scanner) startTag(i int) (int, *roc.Refusal) {
	raw := s.raw
	j, plen, p := s.qname(i + 1)
	if p != nil {
		return i, s.fail(*p, i)
	}
	if len(s.elems) >= s.lim.Elements {
		return i, s.fail(tooManyElements, i)
	}
	if s.depth++; s.depth > s.lim.Depth {
		return i, s.fail(tooDeep, i)
	}
	self := int32(len(s.elems))
	e := element{
		start: uint32(i), parent: s.cur, attr: uint32(len(s.attrs)), decl: uint32(len(s.decls)),
		plen: uint8(plen), nlen: uint16(j - i - 1),
	}
	plain, empty := true, false
	if j < len(raw) && raw[j] == '>' {
		j++
	} else {
		plain = false
		var err *roc.Refusal
		if j, empty, err = s.attributes(&e, j); err != nil {
			return i, err
		}
	}
	if err := s.resolve(&e, i); err != nil {
		return i, err
	}
	if e.nattr > 0 {
		if err := s.resolveAttributes(&e, self); err != nil {
			return i, err
		}
	}
	if len(s.prefixes) > mostPrefixes || len(s.decls) > mostDeclarations || len(s.attrs) > mostAttributes || len(s.ids) > mostIDs {
		return i, s.fail(tooManyEntries, i)
	}
	e.open = uint32(j)
	if !plain || s.cur == none || e.prefix != s.elems[s.cur].prefix {
		s.fix(fix{uint32(i), uint32(j), self, fixTag})
	}
	e.fix = uint32(len(s.fixes))
	if len(s.elems) == cap(s.elems) {
		s.elems = room(s.index, s.elems, uint32(i), elementAt)
	}
	s.elems = append(s.elems, e)
	if empty {
		last := &s.elems[self]
		last.shut, last.end = e.open, e.open
		s.close(last)
	} else {
		s.cur = self
	}
	return j, nil
}

// resolve finds the namespace of the element whose tag starts at off.
func (s *scanner) resolve(e *element, off int) *roc.Refusal {
	if e.plen == 0 {
		e.prefix = prefixNone
		e.bind = s.prefixes[prefixNone].cur
		return nil
	}
	from := e.start + 1
	e.prefix = none32
	if s.cur != none {
		if p := &s.elems[s.cur]; p.plen == e.plen && string(s.raw[p.start+1:p.start+1+uint32(p.plen)]) == string(s.raw[from:from+uint32(e.plen)]) {
			e.prefix = p.prefix
		}
	}
	if e.prefix == none32 {
		e.prefix = s.prefixOf(from, uint32(e.plen), false)
	}
	if e.prefix == prefixNone || s.prefixes[e.prefix].cur == none {
		return s.fail(unboundPrefix, off)
	}
	e.bind = s.prefixes[e.prefix].cur
	return nil
}

const none32 = ^uint32(0)

// qname scans a qualified name and returns the offset after it and the length
// of its prefix.
func (s *scanner) qname(i int) (end, plen int, bad *problem) {
	raw := s.raw
	part := i // start of the prefix, then of the local part
	j := i
	for j < len(raw) {
		c := raw[j]
		if class[c]&nameChar != 0 {
			j++
			continue
		}
		if c == ':' {
			if plen != 0 || j == part {
				return i, 0, &badName
			}
			plen = j - i
			if class[raw[part]]&(nameStart|nameChar) == nameChar {
				return i, 0, &badName
			}
			j++
			part = j
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		r, n := utf8.DecodeRune(raw[j:])
		if !isNameRune(r, j == part) {
			return i, 0, &badName
		}
		j += n
	}
	if j == part || class[raw[part]]&(nameStart|nameChar) == nameChar {
		if j == i {
			return i, 0, &badMarkup
		}
		return i, 0, &badName
	}
	if j-i > s.lim.NameBytes {
		return i, 0, &longName
	}
	return j, plen, nil
}
