package revocation

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// What this reader says of a list is what crypto/x509 says of it.
func TestAListReadsAsTheStandardLibraryReadsIt(t *testing.T) {
	t.Parallel()
	p := igc.New(igc.Options{})
	cas := append(p.Roots(igc.EtablissementTLS), p.Intermediates(igc.EtablissementTLS)...)
	for n := range 40 {
		var l igc.List
		for range n * n {
			size := 1 + mathrand.N(20)
			b := make([]byte, size)
			rand.Read(b)
			l.Entries = append(l.Entries, x509.RevocationListEntry{
				SerialNumber: new(big.Int).SetBytes(b), RevocationTime: time.Unix(mathrand.Int64N(4e9), 0).UTC(), ReasonCode: []int{0, 1, 5, 6}[mathrand.N(4)],
			})
		}
		der := p.CRL(igc.EtablissementTLS, l)
		want, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readCRL(der, cas)
		if err != nil {
			t.Fatal(err)
		}
		if got.number.Cmp(want.Number) != 0 || !got.from.Equal(want.ThisUpdate) || !got.to.Equal(want.NextUpdate) || !bytes.Equal(got.ca.Raw, p.Intermediates(igc.EtablissementTLS)[0].Raw) {
			t.Errorf("%d entries: the head differs: %+v", n*n, got)
		}
		last := map[string]x509.RevocationListEntry{}
		for _, e := range want.RevokedCertificateEntries {
			last[e.SerialNumber.String()] = e
		}
		if got.revoked.count != len(last) {
			t.Errorf("%d entries, x509 reads %d", got.revoked.count, len(last))
		}
		for _, e := range last {
			r, ok := got.revoked.find(e.SerialNumber.Bytes())
			if !ok || int(r.reason) != e.ReasonCode || !r.at.Equal(e.RevocationTime.Truncate(time.Minute)) {
				t.Errorf("%x: %v %v, x509 reads %v %d", e.SerialNumber, r, ok, e.RevocationTime, e.ReasonCode)
			}
		}
		for range 50 {
			b := make([]byte, 12)
			rand.Read(b)
			b[0] |= 1
			if _, ok := got.revoked.find(b); ok != (last[new(big.Int).SetBytes(b).String()].SerialNumber != nil) {
				t.Errorf("%x is found", b)
			}
		}
	}
}

func TestListsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := igc.New(igc.Options{})
	side := igc.EtablissementTLS
	cas := append(p.Roots(side), p.Intermediates(side)...)
	critical := func(oid ...int) igc.List {
		return igc.List{Extensions: []pkix.Extension{{Id: oid, Critical: true, Value: []byte{5, 0}}}}
	}
	point := func(fields ...asn1.RawValue) igc.List {
		var content []byte
		for _, f := range fields {
			der, _ := asn1.Marshal(f)
			content = append(content, der...)
		}
		der, _ := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: content})
		return igc.List{Extensions: []pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: der}}}
	}
	flag := func(tag int) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte{0xff}}
	}
	good := p.CRL(side, igc.List{Revoked: []*big.Int{big.NewInt(7)}})
	changed := bytes.Clone(good)
	changed[len(changed)-20] ^= 1
	for _, c := range []struct {
		name, want string
		list       []byte
	}{
		{"good", "", good},
		{"good in PEM", "", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: good})},
		{"only end entities", "", p.CRL(side, point(flag(1)))},
		{"signed by another key", "is not signed by the CA it names", p.CRL(side, igc.List{ByImpostor: true})},
		{"a bit changed", "is not signed by the CA it names", changed},
		{"of another side", "in no trust store", p.CRL(igc.AMCTLS, igc.List{})},
		{"an unknown critical extension", "critical extension (1.2.3)", p.CRL(side, critical(1, 2, 3))},
		{"some reasons only", "some revocation reasons", p.CRL(side, point(flag(3)))},
		{"indirect", "indirect", p.CRL(side, point(flag(4)))},
		{"attribute certificates", "indirect", p.CRL(side, point(flag(5)))},
		{"an entry of an indirect list", "critical extension (2.5.29.29)", p.CRL(side, igc.List{Entries: []x509.RevocationListEntry{{
			SerialNumber: big.NewInt(9), RevocationTime: time.Now(), ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{5, 0}}}}}})},
		{"cut", "is not a revocation list", good[:len(good)-1]},
		{"something after it", "is not a revocation list", append(bytes.Clone(good), 0)},
		{"a certificate", "is not a revocation list", p.Roots(side)[0].Raw},
		{"a certificate in PEM", "is a CERTIFICATE: only revocation lists", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Roots(side)[0].Raw})},
		{"an error page", "is not a revocation list", []byte("<html>maintenance</html>")},
		{"empty", "is not a revocation list", nil},
	} {
		_, err := readCRLs(c.list, cas)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Whatever the bytes, the reader neither panics nor reads a list that
// crypto/x509 does not.
func FuzzReadCRL(f *testing.F) {
	p := igc.New(igc.Options{})
	side := igc.EtablissementTLS
	cas := append(p.Roots(side), p.Intermediates(side)...)
	f.Add(p.CRL(side, igc.List{}))
	f.Add(p.CRL(side, igc.List{Revoked: []*big.Int{big.NewInt(7), big.NewInt(300)}}))
	f.Add(p.CRL(side, igc.List{Number: 4, DeltaOf: 3, Point: "http://crl.test/a"}))
	f.Fuzz(func(t *testing.T, der []byte) {
		parts, err := splitCRL(der)
		if err != nil {
			return
		}
		_, headErr := x509.ParseRevocationList(parts.emptied)
		entries, odd, err := readEntries(parts.entries)
		if headErr == nil && err == nil && odd == 0 {
			if _, err := x509.ParseRevocationList(der); err != nil && entries.count > 0 && !strings.Contains(err.Error(), "serial") {
				t.Errorf("read here, and x509 says %v", err)
			}
		}
		readCRLs(der, cas)
		readCRLs(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), cas)
	})
}

func million() *serials {
	s := newSerials(1_000_000)
	b := make([]byte, 16)
	for range 1_000_000 {
		rand.Read(b)
		b[0] |= 1
		s.add(b, revocation{time.Now(), 1})
	}
	return s
}

// BenchmarkAMillionRevoked is one look-up among a million revoked serial
// numbers: of one that is not, of one that is.
func BenchmarkAMillionRevoked(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := million()
	runtime.GC()
	runtime.ReadMemStats(&after)
	absent, present := make([][]byte, 1<<18), make([][]byte, 1<<18)
	for i := range absent {
		absent[i] = make([]byte, 16)
		rand.Read(absent[i])
		absent[i][0] |= 1
		place := mathrand.N(len(s.table))
		for s.table[place] == 0 {
			place = mathrand.N(len(s.table))
		}
		entry := s.entry(place)
		present[i] = bytes.Clone(entry[1 : 1+int(entry[0])])
	}
	for name, serials := range map[string][][]byte{"absent": absent, "present": present} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := s.find(serials[i&(1<<18-1)]); ok != (name == "present") {
					b.Fatal(ok)
				}
				i++
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-held")
		})
	}
}

// BenchmarkReadAMillion reads and checks a list of a million entries (some
// 40 MB).
func BenchmarkReadAMillion(b *testing.B) {
	p := igc.New(igc.Options{})
	var l igc.List
	for range 1_000_000 {
		n := make([]byte, 16)
		rand.Read(n)
		l.Entries = append(l.Entries, x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(n), RevocationTime: time.Now()})
	}
	der := p.CRL(igc.EtablissementTLS, l)
	l.Entries = nil
	b.SetBytes(int64(len(der)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readCRL(der, p.Intermediates(igc.EtablissementTLS)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckAChain is what revocation adds to a handshake, and to each
// connection of a sweep: a chain of three under a list of a million, and a deny
// list of a thousand.
func BenchmarkCheckAChain(b *testing.B) {
	p := igc.New(igc.Options{ECDSA: true})
	side := igc.EtablissementTLS
	r, err := Open(b.Context(), Options{
		Authorities: func() []*x509.Certificate { return append(p.Roots(side), p.Intermediates(side)...) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.take(&source{location: "x"}, p.CRL(side, igc.List{})); err != nil {
		b.Fatal(err)
	}
	for _, of := range r.lists.Load().of {
		for _, l := range of.complete {
			l.revoked = million()
		}
	}
	denied := &DenyList{Date: time.Now()}
	for i := range 1000 {
		denied.Serials = append(denied.Serials, DeniedSerial{Serial: big.NewInt(int64(i + 1)).Text(16)})
	}
	r.deny = &deny{}
	r.deny.current.Store(newDenied(denied, nil))
	pair := p.Auth("1010000008", "CH FICTIF")
	links := trust.LinksOf([]*x509.Certificate{pair.Cert, pair.Chain[0], p.Roots(side)[0]})
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if f := r.CheckLinks(links, at); f != nil {
			b.Fatal(f)
		}
	}
}
