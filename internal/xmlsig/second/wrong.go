package second

import (
	"bytes"
	"regexp"
)

// knownWrong names a construct in the message that etree or goxmldsig are known
// to get wrong (docs/decisions/0006), "" when there is none. It only scans the
// bytes and is over-cautious: what it names may be harmless in its place. It is
// called only after they disagree, so that it can hide no agreement.
func knownWrong(m []byte) string {
	switch {
	case bytes.IndexByte(m, '\r') >= 0, carriageReturn.Match(m):
		return "a carriage return"
	case bytes.Contains(m, []byte(`xmlns=""`)), bytes.Contains(m, []byte(`xmlns=''`)), spacedUndo.Match(m):
		return "xmlns=\"\""
	case bytes.Contains(m, []byte("#default")):
		return "#default in a PrefixList"
	case bytes.Contains(m, []byte("<xml:")):
		return "an element of the xml namespace"
	}
	return inTags(m)
}

var (
	carriageReturn = regexp.MustCompile(`&#(0*13|x0*[dD]);`)
	spacedUndo     = regexp.MustCompile(`xmlns\s*=\s*(""|'')`)
)

// inTags looks at the start tags of a message that is well formed: for two
// attributes with prefixes, and for a tab or line end in a value.
func inTags(m []byte) string {
	for i := 0; i < len(m); i++ {
		if m[i] != '<' || i+1 >= len(m) {
			continue
		}
		if end := skipped(m[i:]); end > 0 {
			i += end - 1
			continue
		}
		prefixed := 0
		for i++; i < len(m) && m[i] != '>'; i++ {
			if m[i] != '"' && m[i] != '\'' {
				continue
			}
			if isPrefixed(m[:i]) {
				prefixed++
			}
			quote := m[i]
			for i++; i < len(m) && m[i] != quote; i++ {
				if m[i] == '\t' || m[i] == '\n' {
					return "a tab or line end in an attribute"
				}
			}
		}
		if prefixed > 1 {
			return "two attributes with prefixes"
		}
	}
	return ""
}

// skipped is the length of a comment, CDATA section or declaration at the
// start of b; 0 for a tag.
func skipped(b []byte) int {
	for _, c := range [][2]string{{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}} {
		if bytes.HasPrefix(b, []byte(c[0])) {
			if n := bytes.Index(b, []byte(c[1])); n >= 0 {
				return n + len(c[1])
			}
			return len(b)
		}
	}
	return 0
}

// isPrefixed says whether the attribute whose value begins after b has a
// prefix other than xmlns.
func isPrefixed(b []byte) bool {
	b = bytes.TrimRight(bytes.TrimSuffix(bytes.TrimRight(b, " \t\n"), []byte("=")), " \t\n")
	name := b[bytes.LastIndexAny(b, " \t\n\"'<")+1:]
	return bytes.IndexByte(name, ':') > 0 && !bytes.HasPrefix(name, []byte("xmlns:"))
}
