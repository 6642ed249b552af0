package tlsconf

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A TicketSecret is what instances share so that a TLS session begun with one
// is resumed with another. Who has it can read the sessions sealed with it:
// keep it as a private key, and change it from time to time. Safe for
// concurrent use.
type TicketSecret struct {
	file    string
	current atomic.Pointer[[sha256.Size]byte]
}

// OpenTicketSecret reads the secret: a file of 32 bytes or more, the same for
// each instance (openssl rand -out tickets.secret 48).
func OpenTicketSecret(file string) (*TicketSecret, error) {
	s := &TicketSecret{file: file}
	if _, err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the file again. On an error the old secret stays.
func (s *TicketSecret) Reload() (changed bool, err error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return false, trust.FileProblem(s.file, err)
	}
	if len(text) < 32 || len(bytes.TrimSpace(text)) < 32 {
		return false, fmt.Errorf("%s: holds %d bytes; a secret for sessions is 32 random bytes or more: openssl rand -out %s 48", s.file, len(text), s.file)
	}
	if info, err := os.Stat(s.file); err == nil && info.Mode().Perm()&0o007 != 0 {
		return false, fmt.Errorf("%s: may be read by everybody on this machine: chmod 0400 %s", s.file, s.file)
	}
	sum := sha256.Sum256(text)
	old := s.current.Swap(&sum)
	return old == nil || *old != sum, nil
}

// ticketKeyLife is how long a ticket key seals; it opens for twice that.
// crypto/tls rotates its own keys, but only those of the outer configuration,
// which know nothing of generations.
const ticketKeyLife = 12 * time.Hour

// ticketKeys returns the keys of a generation; the first one seals, all of
// them open.
//
// With a shared secret they are derived (HKDF-SHA-256, RFC 5869) from it, the
// fingerprint of the trust store and the half day: instances that trust the
// same CAs open one another's sessions, those that do not cannot. The next
// half day's key opens too, for an instance whose clock is ahead.
//
// Without one they are random, and the last one opens as long as only time has
// passed.
func ticketKeys(secret *[sha256.Size]byte, old, next *serverGeneration) ([][32]byte, error) {
	if secret == nil {
		keys := make([][32]byte, 1, 2)
		rand.Read(keys[0][:]) // never fails
		if old != nil && old.trust == next.trust && old.secret == nil {
			keys = append(keys, old.keys[0])
		}
		return keys, nil
	}
	fingerprint := next.trust.Fingerprint()
	turn := ticketTurn(next.made)
	var keys [][32]byte
	for _, t := range []int64{turn, turn - 1, turn + 1} {
		info := binary.BigEndian.AppendUint64([]byte("rpn tls session ticket "), uint64(t))
		key, err := hkdf.Key(sha256.New, secret[:], fingerprint[:], string(info), 32)
		if err != nil || len(key) != 32 {
			return nil, errors.Join(errors.New("the keys of TLS sessions cannot be derived"), err)
		}
		keys = append(keys, [32]byte(key))
	}
	return keys, nil
}

// ticketTurn numbers the half days.
func ticketTurn(at time.Time) int64 { return at.Unix() / int64(ticketKeyLife/time.Second) }
