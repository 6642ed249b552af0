package xmlsig

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// The bounds of a memory. A signer enters it only after a signature that
// verified, so each entry is a certificate that an accepted CA issued and whose
// key its owner holds: an owner can fill its own part and no other.
const (
	maxKnown         = 16_384   // certificates in all
	maxKnownPerOwner = 32       // of one structure: the oldest makes room
	maxKnownBytes    = 64 << 20 // of all, as size estimates them
)

// A memory holds the signers of one generation of trust that have proved, by a
// signature that verified, that they hold their key. Nothing else enters it.
// Its key is the SHA-256 of tbsCertificate, never the bytes as presented. It is
// safe for concurrent use.
type memory struct {
	mu     sync.RWMutex
	known  map[[32]byte]*entry  // by the certificate and its form
	texts  map[[32]byte]*signer // by the text of a token: one of each entry
	owners map[roc.StructureID][][32]byte
	bytes  int
}

type entry struct {
	signer *signer
	text   [32]byte
}

// A claim is a signer whose chain is accepted and whose signature is not
// verified yet: what remember needs once it is.
type claim struct {
	signer     *signer
	cert, text [32]byte // the keys of the memory
}

func newMemory() memory {
	return memory{known: map[[32]byte]*entry{}, texts: map[[32]byte]*signer{}, owners: map[roc.StructureID][][32]byte{}}
}

// One text or one certificate, read as two forms, is two tokens.
func textKey(form TokenForm, text []byte) [32]byte {
	key := sha256.Sum256(text)
	key[0] ^= byte(form)
	return key
}

func certKey(form TokenForm, c *x509.Certificate) [32]byte {
	key := roc.IDOfCertificate(c)
	key[0] ^= byte(form)
	return key
}

// byText finds the signer of a token by its text, while its chain is valid.
func (m *memory) byText(key [32]byte, at time.Time) *signer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s := m.texts[key]; s.validAt(at) {
		return s
	}
	return nil
}

// byCertificate finds the signer of a certificate whose text is written
// differently. The bytes must be identical: another value of the issuer's
// signature is verified again, and takes no second entry.
func (m *memory) byCertificate(key [32]byte, c *x509.Certificate, at time.Time) *signer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if e := m.known[key]; e != nil && e.signer.validAt(at) && bytes.Equal(e.signer.cert.Raw, c.Raw) {
		return e.signer
	}
	return nil
}

// remember keeps a signer whose signature has just been verified.
func (m *memory) remember(c *claim) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[c.cert] != nil {
		m.forget(c.cert)
	}
	owner := c.signer.structure
	if mine := m.owners[owner]; len(mine) >= maxKnownPerOwner {
		m.forget(mine[0])
	}
	if len(m.known) >= maxKnown || m.bytes+c.signer.size() > maxKnownBytes {
		clear(m.known)
		clear(m.texts)
		clear(m.owners)
		m.bytes = 0
	}
	m.known[c.cert], m.texts[c.text] = &entry{c.signer, c.text}, c.signer
	m.owners[owner] = append(m.owners[owner], c.cert)
	m.bytes += c.signer.size()
}

func (m *memory) forget(key [32]byte) {
	e := m.known[key]
	delete(m.known, key)
	delete(m.texts, e.text)
	m.bytes -= e.signer.size()
	owner := e.signer.structure
	mine := m.owners[owner]
	for i := range mine {
		if mine[i] == key {
			mine = append(mine[:i:i], mine[i+1:]...)
			break
		}
	}
	if len(mine) == 0 {
		delete(m.owners, owner)
	} else {
		m.owners[owner] = mine
	}
}

// size estimates what a signer takes: the certificate, its parsed form, the
// prepared key and the places of the maps.
func (s *signer) size() int { return 3*len(s.cert.Raw) + 6<<10 }
