package trust_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A CA that was renewed under its name and key has two certificates; the old one
// is revoked. Whatever the order of the store and what the peer presents, who has
// one good chain comes in, by TLS and as a signer; and with both revoked, nobody.
func TestEveryChainIsTriedBeforeARefusal(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, nil)
	old := forge(t, root, "AC", nil, nil)
	renewed := forge(t, root, "AC", old.key, nil)
	peer := leaf(t, old)
	at := time.Now()
	for _, store := range [][]forged{{old, renewed}, {renewed, old}, {renewed}, {old}} {
		for _, beside := range [][]forged{nil, {old}, {renewed}} {
			ways := slices.Concat(store, beside)
			for _, revoked := range [][]forged{nil, {old}, {renewed}, {old, renewed}} {
				good := slices.ContainsFunc(ways, func(way forged) bool {
					return !slices.ContainsFunc(revoked, func(r forged) bool { return r.cert.Equal(way.cert) })
				})
				want := trust.Reason("")
				if !good {
					want = trust.Revoked
				}
				cas := trust.NewTrust(certs(root), certs(store...))
				presented := certs(append([]forged{peer}, beside...)...)
				for _, as := range []trust.Purpose{trust.AsClient, trust.AsServer} {
					a, err := cas.Verify(presented, as, out(certs(revoked...)), at)
					if tlstest.Reason(err) != want {
						t.Errorf("store %d, beside %d, revoked %d: %v, want %q", len(store), len(beside), len(revoked), err, want)
					}
					if err == nil {
						a.Remember(nil)
						if _, err := cas.Verify(presented, as, out(certs(revoked...)), at); err != nil {
							t.Errorf("remembered: %v", err)
						}
					}
				}
				_, _, _, err := cas.Signature(out(certs(revoked...))).Verify(presented, at)
				if (err == nil) != good {
					t.Errorf("as a signer: %v", err)
				}
				if err != nil && roc.RefusalOf(err).Reason != roc.Revoked {
					t.Errorf("as a signer: %v, want RPN103", err)
				}
			}
		}
	}
}

// What somebody unknown presents chooses neither how much is verified nor with
// which keys: junk authorities under the real one's name, on the largest curves,
// a long chain of its own, keys that are slow. Operations are counted, not time.
func TestAStrangerDoesNotChooseHowMuchIsVerified(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, nil)
	inter := forge(t, root, "AC", nil, nil)
	second := forge(t, root, "AC", nil, nil) // renewed under another key
	cas := trust.NewTrust(certs(root), certs(inter, second))
	own := forge(t, forged{}, "AC", nil, nil)
	chain := []forged{own}
	for range 7 { // each issued by the one before, all of the real name
		chain = append([]forged{forge(t, chain[0], "AC", nil, nil)}, chain...)
	}
	junk := func(n int, curve elliptic.Curve) []forged {
		all := []forged{leaf(t, own)}
		for range n {
			all = append(all, forge(t, forged{}, "AC", newKey(t, curve), nil))
		}
		return all
	}
	slow, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	slow.E = 1<<31 - 1 // its own signatures are never asked
	for _, c := range []struct {
		name      string
		presented []forged
		want      trust.Reason
		most      uint64 // signatures
	}{
		{"99 junk authorities, P-521", junk(99, elliptic.P521()), trust.Oversized, 0},
		{"7 of them", junk(7, elliptic.P521()), trust.WeakKey, 0},
		{"7 on P-384", junk(7, elliptic.P384()), trust.UnknownCA, 12},
		{"a chain of 8 of its own, under the real name", slices.Concat([]forged{leaf(t, chain[0])}, chain[:7]), trust.UnknownCA, 12},
		{"a leaf of a stranger", []forged{leaf(t, own)}, trust.UnknownCA, 2},
		{"a leaf of a CA of no known name", []forged{leaf(t, forge(t, forged{}, "AUTRE", nil, nil))}, trust.UnknownCA, 0},
		{"nine good ones", slices.Concat([]forged{leaf(t, inter)}, slices.Repeat([]forged{inter}, 8)), trust.Oversized, 0},
		{"one of 33 kB", []forged{leaf(t, inter, func(c *x509.Certificate) { c.DNSNames = slices.Repeat([]string{"service.exemple.test"}, 1500) })}, trust.Oversized, 0},
		{"an ordinary one", []forged{leaf(t, inter), inter}, "", 2},
		{"as a client and a CA at once", []forged{leaf(t, inter), leaf(t, inter)}, "", 2},
	} {
		for _, signer := range []bool{false, true} {
			before := cas.Verified()
			var err error
			if signer {
				_, _, _, err = cas.Signature(nil).Verify(certs(c.presented...), time.Now())
			} else {
				_, err = cas.Verify(certs(c.presented...), trust.AsClient, nil, time.Now())
			}
			if n := cas.Verified() - before; n > c.most {
				t.Errorf("%s: %d signatures were verified, want %d at most", c.name, n, c.most)
			}
			if !signer && tlstest.Reason(err) != c.want || signer && (err == nil) != (c.want == "") {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
		}
	}
}

// Each signature is verified once, and none for who is remembered.
func TestASignatureIsVerifiedOnce(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, nil)
	inter := forge(t, root, "AC", nil, nil)
	cas := trust.NewTrust(certs(root), nil)
	presented := certs(leaf(t, inter), inter)
	for i, want := range []uint64{2, 4, 4} {
		a, err := cas.Verify(presented, trust.AsClient, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first peer did not prove its key
			a.Remember(nil)
		}
		if got := cas.Verified(); got != want {
			t.Errorf("time %d: %d signatures in all, want %d", i+1, got, want)
		}
	}
}

// Nothing is remembered before the peer has proved its key, and what is has its
// bounds: of one owner, and in bytes.
func TestWhatIsRememberedIsProvedAndBounded(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, nil)
	cas := trust.NewTrust(certs(root), nil)
	at := time.Now()
	for range 50 {
		if _, err := cas.Verify(certs(leaf(t, root)), trust.AsClient, nil, at); err != nil {
			t.Fatal(err)
		}
	}
	if n, bytes := cas.Remembered(); n != 0 || bytes != 0 {
		t.Errorf("%d leaves, %d bytes are remembered of peers that proved nothing", n, bytes)
	}
	remember := func(change func(*x509.Certificate)) {
		a, err := cas.Verify(certs(leaf(t, root, change)), trust.AsClient, nil, at)
		if err != nil {
			t.Fatal(err)
		}
		a.Remember(nil)
	}
	for range 100 { // one owner
		remember(func(*x509.Certificate) {})
	}
	if n, _ := cas.Remembered(); n != 32 {
		t.Errorf("%d leaves of one owner, want 32", n)
	}
	heavy := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: make([]byte, 28<<10)}}
	}
	for i := range 800 { // many owners, of the largest certificates that are taken
		remember(func(c *x509.Certificate) {
			heavy(c)
			c.Subject.OrganizationalUnit = []string{fmt.Sprintf("101%07d", i)}
		})
	}
	if n, bytes := cas.Remembered(); bytes > 64<<20 || n < 40 {
		t.Errorf("%d leaves, %d bytes: want at most 64 MiB, and what fits", n, bytes)
	}
	var n, bytes int
	for range 20 { // the same again is the same
		remember(func(c *x509.Certificate) { c.SerialNumber = big.NewInt(9) })
		n, bytes = cas.Remembered()
	}
	if n2, bytes2 := cas.Remembered(); n2 != n || bytes2 != bytes {
		t.Errorf("%d, %d then %d, %d", n, bytes, n2, bytes2)
	}
}

// The product category (profile section 3), in production and in test.
func TestTheProductCategoryIsOfThisEnvironment(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, nil)
	category := func(value ...byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 250, 1, 71, 1, 2, 5}, Value: value}}
		}
	}
	for _, c := range []struct {
		name             string
		change           func(*x509.Certificate)
		production, test bool // accepted
	}{
		{"none", func(*x509.Certificate) {}, true, true},
		{"03 software", category(3), true, false},
		{"83 software, test", category(0x83), false, true},
		{"00 card", category(0), false, false},
		{"80 card, test", category(0x80), false, false},
		{"02 module", category(2), false, false},
		{"82 module, test", category(0x82), false, false},
		{"83 in an octet string", category(4, 1, 0x83), false, true},
		{"13, not known", category(0x13), false, false},
		{"empty", category(), false, false},
		{"two bytes", category(3, 3), false, false},
	} {
		for environment, good := range map[trust.Environment]bool{trust.Production: c.production, trust.Testing: c.test, trust.AnyEnvironment: true} {
			cas := trust.NewTrustWithRules(certs(root), nil, trust.Rules{Environment: environment})
			presented := certs(leaf(t, root, c.change))
			want := trust.Reason("")
			if !good {
				want = trust.WrongCategory
			}
			if _, err := cas.Verify(presented, trust.AsClient, nil, time.Now()); tlstest.Reason(err) != want {
				t.Errorf("%s in environment %d: %v, want %q", c.name, environment, err, want)
			}
			_, _, _, err := cas.Signature(nil).Verify(presented, time.Now())
			if (err == nil) != good || err != nil && roc.RefusalOf(err).Reason != roc.UntrustedSigner {
				t.Errorf("%s as a signer: %v", c.name, err)
			}
		}
	}
}

// A wanting Revocation knows nothing, and notes what it is told.
type wanting struct{ seen, wanted *[][]trust.Link }

func (w wanting) Seen(l []trust.Link)   { *w.seen = append(*w.seen, l) }
func (w wanting) Wanted(l []trust.Link) { *w.wanted = append(*w.wanted, l) }

func (wanting) CheckLinks([]trust.Link, time.Time) *trust.Failure {
	return &trust.Failure{Reason: trust.RevocationUnknown, Detail: "fictitious"}
}

// Who is refused because nothing is known yet of a list that its certificate
// names has it fetched: else it would never come in. Nothing of a stranger's
// certificate is asked about, and nothing is remembered.
func TestAListThatIsNotKnownYetIsWanted(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, nil)
	cas := trust.NewTrust(certs(root), nil)
	for _, c := range []struct {
		name   string
		peer   forged
		wanted int
	}{
		{"under a CA of the store", leaf(t, root), 1},
		{"under a stranger of that name", leaf(t, forge(t, forged{}, "AC RACINE", nil, nil)), 0},
		{"ended", leaf(t, root, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(1, 0) }), 0},
	} {
		w := wanting{new([][]trust.Link), new([][]trust.Link)}
		if _, err := cas.Verify(certs(c.peer), trust.AsClient, w, time.Now()); err == nil {
			t.Errorf("%s comes in", c.name)
		}
		if len(*w.wanted) != c.wanted || len(*w.seen) != 0 {
			t.Errorf("%s: %d chains wanted, %d seen", c.name, len(*w.wanted), len(*w.seen))
		}
	}
	if n, _ := cas.Remembered(); n != 0 {
		t.Errorf("%d leaves are remembered", n)
	}
}

// A CA of one key that two roots have issued: the leaf's signature is verified
// once, whichever path it is for.
func TestASignatureIsVerifiedOnceForAllPaths(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	one, other := forge(t, forged{}, "AC RACINE UNE", nil, nil), forge(t, forged{}, "AC RACINE DEUX", nil, nil)
	first, second := forge(t, one, "AC", key, nil), forge(t, other, "AC", key, nil)
	cas := trust.NewTrust(certs(one, other), certs(first, second))
	if _, err := cas.Verify(certs(leaf(t, first)), trust.AsClient, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := cas.Verified(); n != 1 {
		t.Errorf("%d signatures were verified, want 1", n)
	}
}

// A signature by a P-384 key costs three times another: fewer are verified.
func TestDearSignaturesAreCountedAsSeveral(t *testing.T) {
	t.Parallel()
	for curve, most := range map[elliptic.Curve]uint64{elliptic.P256(): 12, elliptic.P384(): 4} {
		root := forge(t, forged{}, "AC RACINE", nil, nil)
		var inters []forged
		for range 14 {
			inters = append(inters, forge(t, root, "AC", newKey(t, curve), nil))
		}
		cas := trust.NewTrust(certs(root), certs(inters...))
		if _, err := cas.Verify(certs(leaf(t, forge(t, forged{}, "AC", nil, nil))), trust.AsClient, nil, time.Now()); tlstest.Reason(err) != trust.UnknownCA {
			t.Errorf("%s: %v", curve.Params().Name, err)
		}
		if n := cas.Verified(); n != most {
			t.Errorf("%s: %d signatures were verified, want %d", curve.Params().Name, n, most)
		}
	}
}

// What is remembered of a peer holds as long as its chain does, and of two chains
// the one that is valid is the one.
func TestWhatIsRememberedAgesWithItsChain(t *testing.T) {
	t.Parallel()
	at := time.Now()
	until := func(end time.Time) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotAfter = end }
	}
	root, key := forge(t, forged{}, "AC RACINE", nil, until(at.Add(48*time.Hour))), newKey(t, elliptic.P256())
	short, long := forge(t, root, "AC", key, until(at.Add(time.Hour))), forge(t, root, "AC", key, until(at.Add(3*time.Hour)))
	for _, order := range [][]forged{{short, long}, {long, short}} {
		cas := trust.NewTrust(certs(root), certs(order...))
		peer := certs(leaf(t, short, until(at.Add(24*time.Hour))))
		a, err := cas.Verify(peer, trust.AsClient, nil, at)
		if err != nil {
			t.Fatal(err)
		}
		a.Remember(nil)
		if a, err = cas.Verify(peer, trust.AsClient, nil, at.Add(2*time.Hour)); err != nil || !a.Chain()[1].Equal(long.cert) {
			t.Errorf("after the end of one of its chains: %v", err)
		}
		if _, err = cas.Verify(peer, trust.AsClient, nil, at.Add(4*time.Hour)); tlstest.Reason(err) != trust.Expired {
			t.Errorf("after the end of both: %v", err)
		}
	}
}

// A CA with a critical extension that is not known here vouches for nobody.
func TestACriticalExtensionThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, nil)
	for critical, want := range map[bool]trust.Reason{true: trust.UnknownCA, false: ""} {
		inter := forge(t, root, "AC", nil, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: critical, Value: []byte{5, 0}}}
		})
		_, err := trust.NewTrust(certs(root), nil).Verify(certs(leaf(t, inter), inter), trust.AsClient, nil, time.Now())
		if tlstest.Reason(err) != want {
			t.Errorf("critical %t: %v", critical, err)
		}
	}
}

// A CA that is issued under its own name, by its former key, is not one more CA
// below (RFC 5280 section 4.2.1.9).
func TestASelfIssuedCAIsNotCountedInThePath(t *testing.T) {
	t.Parallel()
	short := func(c *x509.Certificate) { c.MaxPathLenZero = true }
	root := forge(t, forged{}, "AC RACINE", nil, short)
	for name, want := range map[string]trust.Reason{"AC RACINE": "", "AC": trust.UnknownCA} {
		next := forge(t, root, name, nil, nil)
		_, err := trust.NewTrust(certs(root), nil).Verify(certs(leaf(t, next), next), trust.AsClient, nil, time.Now())
		if tlstest.Reason(err) != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
