package soap

import (
	"bytes"

	"github.com/piano-roc/rpn/internal/roc"
)

// BeginsEnvelope reports whether the first element of a text is an Envelope of
// SOAP 1.1 or 1.2, after a BOM, white space, an XML declaration, processing
// instructions and comments. It distinguishes an answer from a page of a
// gateway, and promises nothing about the rest: Read does.
func BeginsEnvelope(c roc.Content) bool {
	b := bytes.TrimPrefix(c.Bytes(), []byte("\xef\xbb\xbf"))
	b = b[:min(len(b), maxProlog)]
	for {
		b = bytes.TrimLeft(b, " \t\r\n")
		var after string
		switch {
		case bytes.HasPrefix(b, []byte("<?")):
			after = "?>"
		case bytes.HasPrefix(b, []byte("<!--")):
			after = "-->"
		default:
			return beginsEnvelope(b)
		}
		_, rest, ok := bytes.Cut(b, []byte(after))
		if !ok {
			return false
		}
		b = rest
	}
}

// maxProlog is how far the first element may begin and its tag end.
const maxProlog = 16 << 10

func beginsEnvelope(b []byte) bool {
	tag, _, ok := bytes.Cut(b, []byte(">"))
	if !ok || len(tag) == 0 || tag[0] != '<' {
		return false
	}
	name := tag[1:]
	if i := bytes.IndexAny(name, " \t\r\n/"); i >= 0 {
		name = name[:i]
	}
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	return string(name) == "Envelope" && (bytes.Contains(tag, []byte(NS11)) || bytes.Contains(tag, []byte(NS12)))
}
