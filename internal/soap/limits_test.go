package soap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

// A message at a limit is read, one beyond it is refused as too large.
func TestLimits(t *testing.T) {
	t.Parallel()
	rep, many := strings.Repeat, func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	in := func(s string) string { return "<a>" + s + "</a>" }
	for _, c := range []struct {
		name string
		most int
		make func(n int) string
	}{
		{"bytes", 2 << 20, func(n int) string { return in(rep("x", n-7)) }},
		{"depth", 64, func(n int) string { return rep("<a>", n) + rep("</a>", n) }},
		{"attributes of an element", 64, func(n int) string { return "<a" + many(n, ` a%d=""`) + "/>" }},
		{"declarations of an element", 32, func(n int) string { return "<a" + many(n, ` xmlns:a%d="u:"`) + "/>" }},
		{"bytes of a name", 256, func(n int) string { return "<" + rep("n", n) + "/>" }},
		{"bytes of a name with a prefix", 256, func(n int) string { return `<p:` + rep("n", n-2) + ` xmlns:p="u:"/>` }},
		{"bytes of a namespace", 256, func(n int) string { return `<a xmlns="u:` + rep("n", n-2) + `"/>` }},
		{"elements", 50_000, func(n int) string { return in(rep("<b/>", n-1)) }},
		{"elements with text", 50_000, func(n int) string { return in(rep("<b>1</b>", n-1)) }},
		{"prefixes, two of them ours", mostPrefixes - 2, func(n int) string { return in(many(n, `<b xmlns:p%d="u:"/>`)) }},
		{"declarations, one of them ours", mostDeclarations - 1, func(n int) string { return in(rep(`<b xmlns="u:"/>`, n)) }},
		{"attributes", mostAttributes, func(n int) string {
			return in(rep("<b"+many(50, ` a%d=""`)+"/>", n/50) + "<b" + many(n%50, ` a%d=""`) + "/>")
		}},
		{"ids", mostIDs, func(n int) string { return in(many(n, `<b id="%d"/>`)) }},
		{"comments", mostComments, func(n int) string { return in(rep("<!---->", n)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, err := ReadDocument(roc.NewContent([]byte(c.make(c.most))), DefaultLimits)
			if err != nil {
				t.Fatalf("%d: %v", c.most, err)
			}
			e.Release()
			if _, err := ReadDocument(roc.NewContent([]byte(c.make(c.most+1))), DefaultLimits); !roc.IsRefused(err, roc.TooLarge) {
				t.Errorf("%d: %v, want too-large", c.most+1, err)
			}
		})
	}
}
