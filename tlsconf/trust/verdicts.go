package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"

	"github.com/piano-roc/rpn/internal/roc"
)

// verdicts remembers the chains of leaves whose owners have proved their key,
// and when they are valid: some 3000 establishments come back all day, and
// checking their chain again says nothing new as long as the CAs are the same.
// It lives and dies with its Trust. What may change meanwhile (the clock, a
// revocation) is not remembered.
//
// It is bounded in entries and bytes, in all and for one owner: who has many
// certificates pushes out its own.
type verdicts struct {
	mu     sync.RWMutex
	good   map[verdictKey]verdict
	owners map[Owner][]verdictKey // oldest first
	bytes  int
}

// A verdict is the chains of a leaf, and when the best of them is valid.
type verdict struct {
	window
	chains []vetted // all that were accepted
}

// A vetted chain was accepted, for as long as its window.
type vetted struct {
	window
	links []Link
	own   int // how many of the links, from the leaf, are not the store's
}

func (v vetted) certificates() []*x509.Certificate {
	chain := make([]*x509.Certificate, len(v.links))
	for i := range v.links {
		chain[i] = v.links[i].Cert
	}
	return chain
}

type verdictKey struct {
	leaf roc.CertificateID
	as   string // the purpose
}

// The bounds: far above the establishments of the country, and the certificates
// of one.
const (
	maxVerdicts         = 8192
	maxVerdictBytes     = 64 << 20
	maxVerdictsPerOwner = 32
)

// of returns what is remembered of a leaf, zero when nothing is.
func (v *verdicts) of(key verdictKey) verdict {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.good[key]
}

func (v *verdicts) remember(key verdictKey, w verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, again := v.good[key]; again {
		v.forget(key)
	}
	size := w.size()
	if size > maxVerdictBytes/maxVerdictsPerOwner {
		return // verified again each time
	}
	owner := w.owner()
	if mine := v.owners[owner]; len(mine) >= maxVerdictsPerOwner {
		v.forget(mine[0])
	}
	if v.good == nil || len(v.good) >= maxVerdicts || v.bytes+size > maxVerdictBytes {
		v.good, v.owners, v.bytes = map[verdictKey]verdict{}, map[Owner][]verdictKey{}, 0
	}
	v.good[key] = w
	v.owners[owner] = append(v.owners[owner], key)
	v.bytes += size
}

func (v *verdicts) forget(key verdictKey) {
	w := v.good[key]
	delete(v.good, key)
	v.bytes -= w.size()
	owner := w.owner()
	mine := v.owners[owner]
	for i := range mine {
		if mine[i] == key {
			mine = append(mine[:i:i], mine[i+1:]...)
			break
		}
	}
	if v.owners[owner] = mine; len(mine) == 0 {
		delete(v.owners, owner)
	}
}

// OwnerOf names the owner of a certificate in what we remember of owners: its
// structure, else its issuer and subject.
func OwnerOf(leaf *x509.Certificate) Owner {
	if id, err := roc.StructureOfCertificate(leaf); err == nil {
		return sha256.Sum256([]byte(id))
	}
	return sha256.Sum256([]byte(NameKey(leaf.RawIssuer) + NameKey(leaf.RawSubject)))
}

// An Owner is whose a certificate is.
type Owner [sha256.Size]byte

func (w verdict) owner() Owner { return OwnerOf(w.chains[0].links[0].Cert) }

// size estimates what a verdict takes: the leaf and the CAs that the store does
// not share, parsed.
func (w verdict) size() int {
	n := 1 << 10
	for _, chain := range w.chains {
		for i := range chain.links {
			n += 512
			if i < chain.own {
				n += 3 * len(chain.links[i].Cert.Raw)
			}
		}
	}
	return n
}
