package soap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

// benchMessages are messages of about n bytes, each made of one thing: the
// cost per byte must not depend on what a message is made of.
func benchMessages(n int) map[string]string {
	const head, foot = `<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><c:x xmlns:c="urn:roc:clc:2.0.0">`, `</c:x></soap:Body></soap:Envelope>`
	fill := func(s string) string { return head + strings.Repeat(s, n/len(s)) + foot }
	return map[string]string{
		"dense":    fill("\n  <prestation><rang>1</rang><code>FJ</code><date>2026-11-18</date><quantite>3</quantite><montant_total>60.00</montant_total></prestation>"),
		"text":     fill("QmFzZTY0IGZpY3RpZiwgc2FucyByaWVuIGRlZGFucy4gQmFzZTY0IGZpY3RpZi4u"),
		"prefixed": fill(`<c:prestation xmlns:d="urn:d:d"><c:code d:x="1" y="2">FJ</c:code></c:prestation>`),
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{5_000, 200_000} {
		for name, m := range benchMessages(n) {
			c := roc.NewContent([]byte(m))
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(c.Len()))
				b.ReportAllocs()
				for b.Loop() {
					env, err := Read(c, DefaultLimits)
					if err != nil {
						b.Fatal(err)
					}
					env.Release()
				}
			})
		}
	}
}
