package soap

import (
	"bytes"
	"unicode/utf8"

	"github.com/piano-roc/rpn/internal/roc"
)

// A scanner makes the index of a message in one pass.
type scanner struct {
	*index
	lim   Limits
	cur   int32 // the open element; none outside the root
	depth int
}

// What one whole message may hold, beside the limits of profile section 2:
// many times what the most talkative client writes. An entry of the index is
// longer than the shortest text that makes it, so that without them a message
// of 1 MiB could take more than four times its size (docs/bench/denial.md).
const (
	mostPrefixes     = 1_000 // that differ
	mostDeclarations = 25_000
	mostAttributes   = 50_000 // each is compared, sorted and written when its element is signed
	mostIDs          = 20_000 // attributes called id, in any form
	mostComments     = 10_000
)

// scan indexes raw, or refuses it.
func (ix *index) scan(raw []byte, lim Limits) *roc.Refusal {
	if len(raw) > lim.Bytes {
		return roc.Refuse(roc.TooLarge, "message of %d bytes, at most %d", len(raw), lim.Bytes).Because(roc.MessageTooLarge).
			Saying("Le message fait %d octets ; la limite est de %d octets.", len(raw), lim.Bytes)
	}
	ix.reset(raw)
	// The index holds lengths in small fields.
	lim.NameBytes, lim.Attributes = min(lim.NameBytes, 256), min(lim.Attributes, 255)
	lim.Declarations, lim.Depth = min(lim.Declarations, 255), min(lim.Depth, 255)
	ix.most = lim.Elements
	s := scanner{index: ix, lim: lim, cur: none}
	i, err := s.prolog()
	if err != nil {
		return err
	}
	if i, err = s.document(i); err != nil {
		return err
	}
	return s.epilog(i)
}

func (s *scanner) fail(p problem, off int) *roc.Refusal { return p.at(s.raw, off) }

// prolog checks what holds for all the bytes at once, and passes what may
// stand before the root.
func (s *scanner) prolog() (int, *roc.Refusal) {
	raw := s.raw
	if len(raw) == 0 {
		return 0, s.fail(emptyMessage, 0)
	}
	if bytes.HasPrefix(raw, []byte("\xFE\xFF")) || bytes.HasPrefix(raw, []byte("\xFF\xFE")) || raw[0] == 0 || len(raw) > 1 && raw[1] == 0 {
		return 0, s.fail(badEncoding, 0)
	}
	if !utf8.Valid(raw) {
		return 0, s.fail(badUTF8, firstInvalid(raw))
	}
	// U+FFFE and U+FFFF are the only characters of valid UTF-8 at or above
	// 0x20 that XML forbids.
	for from := 0; ; {
		k := bytes.Index(raw[from:], []byte("\xEF\xBF"))
		if k < 0 {
			break
		}
		if from += k; raw[from+2] >= 0xBE {
			return 0, s.fail(badChar, from)
		}
		from += 3
	}
	i := 0
	if bytes.HasPrefix(raw, []byte("\xEF\xBB\xBF")) {
		i = 3
	}
	if bytes.HasPrefix(raw[i:], []byte("<?xml")) && i+5 < len(raw) && class[raw[i+5]]&space != 0 {
		k := bytes.Index(raw[i:], []byte("?>"))
		if k < 0 {
			return 0, s.fail(badDeclaration, i)
		}
		if p := checkDeclaration(raw[i+5 : i+k]); p != nil {
			return 0, s.fail(*p, i)
		}
		i += k + 2
	}
	return s.misc(i)
}

// misc passes white space and comments outside the root.
func (s *scanner) misc(i int) (int, *roc.Refusal) {
	raw := s.raw
	for i < len(raw) {
		if class[raw[i]]&space != 0 {
			i++
			continue
		}
		if raw[i] != '<' || i+1 >= len(raw) {
			return i, s.fail(trailing, i)
		}
		switch raw[i+1] {
		case '!':
			if !bytes.HasPrefix(raw[i:], []byte("<!--")) {
				return i, s.fail(hasDTD, i)
			}
			end, err := s.comment(i)
			if err != nil {
				return i, err
			}
			i = end
		case '?':
			return i, s.fail(hasPI, i)
		default:
			return i, nil
		}
	}
	return i, nil
}

func (s *scanner) epilog(i int) *roc.Refusal {
	i, err := s.misc(i)
	if err != nil {
		return err
	}
	if i < len(s.raw) {
		return s.fail(trailing, i)
	}
	return nil
}

// document scans the root element, from its '<' to the byte after its end.
func (s *scanner) document(i int) (int, *roc.Refusal) {
	raw := s.raw
	if i >= len(raw) {
		return i, s.fail(unclosed, i)
	}
	i, err := s.startTag(i)
	if err != nil {
		return i, err
	}
	for s.cur != none {
		if i, err = s.content(i); err != nil {
			return i, err
		}
		if i+1 >= len(raw) {
			return i, s.fail(unclosed, len(raw))
		}
		switch raw[i+1] {
		case '/':
			i, err = s.endTag(i)
		case '?':
			return i, s.fail(hasPI, i)
		default:
			if j := s.plainTag(i); j > 0 {
				i = j
				continue
			}
			i, err = s.startTag(i)
		}
		if err != nil {
			return i, err
		}
	}
	return i, nil
}

// content scans character data, CDATA sections and comments up to the next
// tag. Where something in it is not canonical as it stands, it adds one fix.
func (s *scanner) content(i int) (int, *roc.Refusal) {
	raw, text := s.raw, i // text: where the current piece of plain text starts
	i = skipPlain(raw, i)
	if i+1 < len(raw) && raw[i] == '<' && raw[i+1] != '!' {
		return i, nil // the usual case: nothing to rewrite
	}
	first, kind := i, fixText
	for ; i < len(raw); i = skipPlain(raw, i) {
		switch raw[i] {
		case '<':
			if i+1 >= len(raw) || raw[i+1] != '!' {
				if i > first {
					s.fix(fix{uint32(first), uint32(i), s.cur, kind})
				}
				return i, nil
			}
			end, isComment, err := s.bang(i)
			if err != nil {
				return i, err
			}
			if isComment {
				if s.comments++; s.comments > mostComments {
					return i, s.fail(tooManyEntries, i)
				}
				kind = fixComment
			}
			i, text = end, end
		case '>':
			if i-text >= 2 && raw[i-1] == ']' && raw[i-2] == ']' {
				return i, s.fail(cdataEnd, i)
			}
			i++
		case '&':
			_, n := decodeReference(raw[i:])
			if n == 0 {
				return i, s.fail(badEntity, i)
			}
			i += n
		case '\r':
			i++
		default:
			return i, s.fail(badChar, i)
		}
	}
	return i, s.fail(unclosed, len(raw))
}

// bang scans what starts with "<!" inside the root.
func (s *scanner) bang(i int) (end int, isComment bool, err *roc.Refusal) {
	switch b := s.raw[i:]; {
	case bytes.HasPrefix(b, []byte("<!--")):
		end, err = s.comment(i)
		return end, true, err
	case bytes.HasPrefix(b, []byte("<![CDATA[")):
		k := bytes.Index(b[9:], []byte("]]>"))
		if k < 0 {
			return i, false, s.fail(badCDATA, i)
		}
		if bad := badControl(b[9 : 9+k]); bad >= 0 {
			return i, false, s.fail(badChar, i+9+bad)
		}
		return i + 9 + k + 3, false, nil
	case bytes.HasPrefix(b, []byte("<!DOCTYPE")):
		return i, false, s.fail(hasDTD, i)
	}
	return i, false, s.fail(badMarkup, i)
}

// comment scans a comment: "--" may stand at its end only.
func (s *scanner) comment(i int) (int, *roc.Refusal) {
	b := s.raw[i+4:]
	k := bytes.Index(b, []byte("--"))
	if k < 0 || k+2 >= len(b) || b[k+2] != '>' {
		return i, s.fail(badComment, i)
	}
	if bad := badControl(b[:k]); bad >= 0 {
		return i, s.fail(badChar, i+4+bad)
	}
	return i + 4 + k + 3, nil
}

// badControl returns the offset of the first control character that XML
// forbids, or -1.
func badControl(b []byte) int {
	for i, c := range b {
		if c < 0x20 && class[c]&space == 0 {
			return i
		}
	}
	return -1
}

func (s *scanner) fix(f fix) {
	if len(s.fixes) == cap(s.fixes) {
		s.fixes = room(s.index, s.fixes, f.off, fixAt)
	}
	s.fixes = append(s.fixes, f)
}

// firstInvalid returns the offset of the first byte that is not UTF-8.
func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// checkDeclaration checks the pseudo attributes of an XML declaration:
// version 1.0, then perhaps encoding UTF-8, then perhaps standalone.
func checkDeclaration(b []byte) *problem {
	names := []string{"version", "encoding", "standalone"}
	for next := 0; ; {
		n := len(b)
		b = bytes.TrimLeft(b, " \t\r\n")
		if len(b) == 0 {
			if next == 0 {
				return &badDeclaration
			}
			return nil
		}
		if len(b) == n {
			return &badDeclaration
		}
		for next < len(names) && !bytes.HasPrefix(b, []byte(names[next])) {
			if next == 0 {
				return &badDeclaration
			}
			next++
		}
		if next == len(names) {
			return &badDeclaration
		}
		name := names[next]
		next++
		b = bytes.TrimLeft(b[len(name):], " \t\r\n")
		if len(b) == 0 || b[0] != '=' {
			return &badDeclaration
		}
		b = bytes.TrimLeft(b[1:], " \t\r\n")
		if len(b) < 2 || b[0] != '"' && b[0] != '\'' {
			return &badDeclaration
		}
		k := bytes.IndexByte(b[1:], b[0])
		if k < 0 {
			return &badDeclaration
		}
		value := string(b[1 : 1+k])
		b = b[k+2:]
		switch {
		case name == "version" && value != "1.0", name == "standalone" && value != "yes" && value != "no":
			return &badDeclaration
		case name == "encoding" && !bytes.EqualFold([]byte(value), []byte("UTF-8")):
			return &badEncoding
		}
	}
}
