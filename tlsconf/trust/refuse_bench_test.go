package trust_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// What a refused peer costs beyond an ordinary handshake: its certificates parsed
// and refused. CPU time of the process, for docs/bench/denial.md.
func BenchmarkRefusePeer(b *testing.B) {
	root := forge(b, forged{}, "AC RACINE", newKey(b, elliptic.P384()), nil)
	inter := forge(b, root, "AC", newKey(b, elliptic.P384()), nil)
	second := forge(b, root, "AC", newKey(b, elliptic.P384()), nil)
	cas := trust.NewTrust(certs(root), certs(inter, second))
	own := forge(b, forged{}, "AC", newKey(b, elliptic.P384()), nil)
	chain := []forged{own}
	for range 7 {
		chain = append([]forged{forge(b, chain[0], "AC", newKey(b, elliptic.P384()), nil)}, chain...)
	}
	junk := func(n int, curve elliptic.Curve) []forged {
		all := []forged{leaf(b, own)}
		for range n {
			all = append(all, forge(b, forged{}, "AC", newKey(b, curve), nil))
		}
		return all
	}
	for name, presented := range map[string][]forged{
		"a leaf of a stranger":             {leaf(b, own)},
		"7 namesakes, P-384":               junk(7, elliptic.P384()),
		"7 namesakes, P-521":               junk(7, elliptic.P521()),
		"99 namesakes, P-521":              junk(99, elliptic.P521()),
		"8 of its own under the real name": slices.Concat([]forged{leaf(b, chain[0])}, chain[:7]),
		"one of 30 kB":                     {leaf(b, own, func(c *x509.Certificate) { c.DNSNames = slices.Repeat([]string{"service.exemple.test"}, 1300) })},
	} {
		b.Run(name, func(b *testing.B) {
			before := cas.Verified()
			began := cpu()
			for b.Loop() {
				var parsed []*x509.Certificate
				for _, f := range presented {
					c, err := roc.ParseCertificate(f.cert.Raw)
					if err != nil {
						b.Fatal(err)
					}
					parsed = append(parsed, c)
				}
				if _, err := cas.Verify(parsed, trust.AsClient, nil, time.Now()); err == nil {
					b.Fatal("accepted")
				}
			}
			b.ReportMetric(float64((cpu()-began).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
			b.ReportMetric(float64(cas.Verified()-before)/float64(b.N), "signatures/op")
		})
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
