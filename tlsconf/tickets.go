package tlsconf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
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

// A ticket is told to live for lifeTold in TLS 1.3, and crypto/tls leaves no
// choice. So our keys open it for as long; crypto/tls refuses it after, by the
// instant that lies in it. In TLS 1.2 no life is told (RFC 5077: a hint of 0),
// and a ticket holds the secret of the session itself: a key opens those for
// lifeTLS12 only.
const (
	ticketKeyLife = 12 * time.Hour // a key seals for that long
	lifeTold      = 7 * 24 * time.Hour
	lifeTLS12     = 2 * ticketKeyLife // from when the key began to seal
)

// A ticketKey seals tickets from an instant on, for ticketKeyLife, and opens
// what it sealed for longer.
type ticketKey struct {
	name  [4]byte // in each ticket: which key sealed it
	aead  cipher.AEAD
	since time.Time
}

func newTicketKey(secret []byte, since time.Time) (ticketKey, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return ticketKey{}, err
	}
	k := ticketKey{since: since}
	name := sha256.Sum256(append([]byte("name of a ticket key "), secret...))
	copy(k.name[:], name[:])
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

// opens says whether a ticket of that version of TLS may still be opened.
func (k ticketKey) opens(version uint16, at time.Time) bool {
	if version < tls.VersionTLS13 {
		return at.Before(k.since.Add(lifeTLS12))
	}
	return !at.After(k.since.Add(ticketKeyLife + lifeTold))
}

// ticketKeys returns the keys of a generation; the first one seals, all of
// them open.
//
// With a shared secret they are derived (HKDF-SHA-256, RFC 5869) from it, the
// fingerprint of the trust store and the half day: instances that trust the
// same CAs open one another's sessions, those that do not cannot. The next
// half day's key opens too, for an instance whose clock is ahead.
//
// Without one they are random, and the last ones open as long as only time has
// passed.
func ticketKeys(secret *[sha256.Size]byte, old, next *serverGeneration) ([]ticketKey, error) {
	if secret == nil {
		var random [32]byte
		rand.Read(random[:]) // never fails
		first, err := newTicketKey(random[:], next.made)
		if err != nil {
			return nil, err
		}
		keys := []ticketKey{first}
		if old == nil || old.trust != next.trust || old.secret != nil {
			return keys, nil
		}
		for _, k := range old.keys {
			if k.opens(tls.VersionTLS13, next.made) {
				keys = append(keys, k)
			}
		}
		return keys, nil
	}
	fingerprint := next.trust.Fingerprint()
	now := ticketTurn(next.made)
	var keys []ticketKey
	turns := []int64{now, now + 1}
	for ago := int64(1); ago <= int64(lifeTold/ticketKeyLife); ago++ {
		turns = append(turns, now-ago)
	}
	for _, turn := range turns {
		info := binary.BigEndian.AppendUint64([]byte("rpn tls session ticket "), uint64(turn))
		derived, err := hkdf.Key(sha256.New, secret[:], fingerprint[:], string(info), 32)
		if err != nil {
			return nil, fmt.Errorf("the keys of TLS sessions cannot be derived: %w", err)
		}
		key, err := newTicketKey(derived, time.Unix(turn*int64(ticketKeyLife/time.Second), 0))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// ticketTurn numbers the half days.
func ticketTurn(at time.Time) int64 { return at.Unix() / int64(ticketKeyLife/time.Second) }

// maxTicket is how long a ticket may be. A longer one is not given: old clients
// cannot bring it back (docs/decisions/0017-tickets.md), and who presents CAs
// that the store does not hold makes a whole handshake each time.
const maxTicket = 4 << 10

// noTicket is given in the place of one that would be too long: TLS 1.3 has no
// empty ticket. It opens nothing.
var noTicket = []byte("-")

// seal is a tls.Config's WrapSession.
func (g *serverGeneration) seal(_ tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
	long, err := session.Bytes()
	if err != nil {
		return nil, err
	}
	key := g.keys[0]
	short := g.cas.shrink(long)
	if len(key.name)+len(short)+key.aead.Overhead() > maxTicket {
		return noTicket, nil
	}
	return key.aead.Seal(bytes.Clone(key.name[:]), nil, short, key.name[:]), nil
}

// open is a tls.Config's UnwrapSession: nil, which means a whole handshake, for
// what is not a ticket of ours or no longer one.
func (g *serverGeneration) open(ticket []byte, cs tls.ConnectionState, at time.Time) *tls.SessionState {
	for _, k := range g.keys {
		sealed, ours := bytes.CutPrefix(ticket, k.name[:])
		if !ours || !k.opens(cs.Version, at) {
			continue
		}
		short, err := k.aead.Open(nil, nil, sealed, k.name[:])
		if err != nil {
			continue
		}
		long, err := g.cas.grow(short)
		if err != nil {
			return nil
		}
		session, err := tls.ParseSessionState(long)
		if err != nil {
			return nil
		}
		return session
	}
	return nil
}
