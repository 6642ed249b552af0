package xmlsig

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// denseMessage is a CLC-like message of about size bytes, all small elements.
func denseMessage(size int) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Header/><soap:Body><clc:calculer xmlns:clc="urn:roc:clc:2.0.0"><prestations>`)
	for i := 0; b.Len() < size-3800; i++ {
		fmt.Fprintf(&b, "\n  <prestation><rang>%d</rang><code>FJ</code><date>2026-11-18</date><quantite>3</quantite><montant_total>60.00</montant_total><montant_amo>0.00</montant_amo></prestation>", i)
	}
	b.WriteString(`</prestations></clc:calculer></soap:Body></soap:Envelope>`)
	return b.String()
}

func BenchmarkCheck(b *testing.B) {
	for _, size := range []int{5_000, 20_000, 200_000} {
		m, err := Sign(roc.NewContent([]byte(denseMessage(size))), testKeys().rsaKey, SignOptions{At: testNow})
		if err != nil {
			b.Fatal(err)
		}
		v := testVerifier()
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(m.Len()))
			b.ReportAllocs()
			for b.Loop() {
				env, err := soap.Read(m, soap.DefaultLimits)
				if err != nil {
					b.Fatal(err)
				}
				if _, err = v.Check(env, Policy{}, Expect{Structure: testStructure}, testNow); err != nil {
					b.Fatal(err)
				}
				env.Release()
			}
		})
		b.Run(fmt.Sprint(size, "/read"), func(b *testing.B) {
			b.SetBytes(int64(m.Len()))
			b.ReportAllocs()
			for b.Loop() {
				env, err := soap.Read(m, soap.DefaultLimits)
				if err != nil {
					b.Fatal(err)
				}
				env.Release()
			}
		})
		b.Run(fmt.Sprint(size, "/floor"), func(b *testing.B) {
			key := &testKeys().rsa.PublicKey
			sum := sha256.Sum256(m.Bytes())
			sig, _ := testKeys().rsa.Sign(nil, sum[:], crypto.SHA256)
			b.SetBytes(int64(m.Len()))
			for b.Loop() {
				sum := sha256.Sum256(m.Bytes())
				if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) != nil {
					b.Fatal("bad")
				}
			}
		})
	}
}
