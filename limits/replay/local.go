package replay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// DefaultPerSigner is how many messages of one signer a Local remembers: more
// than 20 a second for ten minutes, the usual life plus tolerance. A signer at
// that bound holds about 1 MiB.
const DefaultPerSigner = 16_384

// Local is the window of one instance.
type Local struct {
	perSigner int
	forgotten atomic.Uint64

	mu      sync.Mutex // guards signers and sweep, not what is in a signer
	signers map[roc.StructureID]*signer
	sweep   time.Time // when idle signers are dropped next
}

// NewLocal makes a window that remembers perSigner messages of each signer; 0
// means DefaultPerSigner.
func NewLocal(perSigner int) *Local {
	if perSigner <= 0 {
		perSigner = DefaultPerSigner
	}
	return &Local{perSigner: perSigner, signers: map[roc.StructureID]*signer{}}
}

// Forgotten is how many messages were forgotten before their life ended,
// because their signer sent more than the window holds.
func (l *Local) Forgotten() uint64 { return l.forgotten.Load() }

// A signer's messages, oldest first in ring.
type signer struct {
	mu    sync.Mutex
	until map[[16]byte]int64 // Unix nanoseconds
	ring  [][16]byte
	head  int
	last  time.Time // of its newest message's life; guarded by Local.mu
	at    int64     // of its newest message
}

// No life of a message is as long as longestLife; an instant that is older than
// the last by more than wentBack is a clock that was put back.
const (
	longestLife = 24 * time.Hour
	wentBack    = time.Minute
)

// backTo forgets, once the clock is put back, what was signed while it was ahead:
// it would stand before what comes now for as long as the clock was ahead. Its
// Timestamp is refused as one that is still to come.
func (s *signer) backTo(now int64) {
	ahead := s.at-now > int64(wentBack)
	s.at = now
	if !ahead {
		return
	}
	var ring [][16]byte
	for _, key := range s.ring[s.head:] {
		if s.until[key]-now > int64(longestLife) {
			delete(s.until, key)
			continue
		}
		ring = append(ring, key)
	}
	s.ring, s.head = ring, 0
}

// Reserve never fails.
func (l *Local) Reserve(_ context.Context, m roc.Signed, at time.Time) (bool, error) {
	s := l.signer(m, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [16]byte(m.Signature[:16])
	now := at.UnixNano()
	s.backTo(now)
	if until, ok := s.until[key]; ok && until >= now {
		return true, nil
	} else if ok { // its life is over: the check has refused it as stale before
		s.until[key] = m.Until.UnixNano()
		return false, nil
	}
	for s.head < len(s.ring) && s.until[s.ring[s.head]] < now {
		s.drop()
	}
	if len(s.ring)-s.head >= l.perSigner {
		s.drop()
		l.forgotten.Add(1)
	}
	s.until[key] = m.Until.UnixNano()
	s.ring = append(s.ring, key)
	return false, nil
}

// Forget undoes a Reserve that was told false.
func (l *Local) Forget(_ context.Context, m roc.Signed) {
	l.mu.Lock()
	s := l.signers[m.Signer]
	l.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [16]byte(m.Signature[:16])
	if _, ok := s.until[key]; !ok {
		return
	}
	delete(s.until, key)
	// Newest first: the message to forget has just come.
	for i := len(s.ring) - 1; i >= s.head; i-- {
		if s.ring[i] == key {
			s.ring = append(s.ring[:i], s.ring[i+1:]...)
			return
		}
	}
}

// drop forgets the oldest message, and sometimes shrinks the ring.
func (s *signer) drop() {
	delete(s.until, s.ring[s.head])
	if s.head++; s.head > 1024 && s.head > len(s.ring)/2 {
		s.ring = append(s.ring[:0:0], s.ring[s.head:]...)
		s.head = 0
	}
}

func (l *Local) signer(m roc.Signed, at time.Time) *signer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.After(l.sweep) || l.sweep.Sub(at) > time.Minute {
		for id, s := range l.signers {
			if s.last.Sub(at) > longestLife { // of a clock that was ahead
				s.last = at.Add(longestLife)
			}
			if s.last.Before(at) {
				delete(l.signers, id)
			}
		}
		l.sweep = at.Add(time.Minute)
	}
	s := l.signers[m.Signer]
	if s == nil {
		s = &signer{until: map[[16]byte]int64{}}
		l.signers[m.Signer] = s
	}
	if m.Until.After(s.last) {
		s.last = m.Until
	}
	return s
}
