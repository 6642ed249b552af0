package annuaire

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Route is one service of an insurer in one version: what the annuaire moves,
// and what moves are counted by. Keys of one Route differ by convention, CSR
// and domaine.
type Route struct {
	AMC     roc.NumeroAMC
	Service roc.Service
	Version roc.Version
}

func routeOf(k *roc.Key) Route { return Route{k.AMC, k.Service, k.Version} }

// A sequenced is a Route and the sequence of what is known of it. The sequence
// grows when an answer that was current is learned to have changed, here or by
// another instance: what was learned under a lower one is asked again before it
// serves. It never shrinks, so an old answer that somebody puts back into Redis
// is known as such.
type sequenced struct {
	route Route
	seq   atomic.Uint64
}

// raise makes the sequence at least seq, and reports whether it was lower.
func (s *sequenced) raise(seq uint64) bool {
	for {
		was := s.seq.Load()
		if seq <= was {
			return false
		}
		if s.seq.CompareAndSwap(was, seq) {
			return true
		}
	}
}

// next moves the sequence on from was, unless somebody else has, and returns
// what it is now. It follows the clock, so that two instances that cannot hear
// one another seldom choose the same, and never goes back when the clock does.
func (s *sequenced) next(was uint64, now time.Time) uint64 {
	s.seq.CompareAndSwap(was, max(was+1, sequenceAt(now)))
	return s.seq.Load()
}

// sequenceAt is the first sequence of a Route that is met now.
func sequenceAt(now time.Time) uint64 { return uint64(max(1, now.UnixMilli())) }

// sequences are those of every Route that is known. A Route is entered by a
// positive answer of the annuaire, or by what the instances tell one another
// sealed: nobody else can enter one.
type sequences struct {
	mu sync.RWMutex // guards by
	by map[Route]*sequenced
}

// maxRoutes bounds how many Routes are known: 200 000, of 25 000 insurers with
// every service and version. Beyond, answers are not shared.
const maxRoutes = 200_000

func newSequences() *sequences { return &sequences{by: map[Route]*sequenced{}} }

// get returns a Route that is known, or nil.
func (s *sequences) get(r Route) *sequenced {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.by[r]
}

// enter returns a Route, with that sequence when it was not known. nil: there
// are too many.
func (s *sequences) enter(r Route, seq uint64) *sequenced {
	if x := s.get(r); x != nil {
		return x
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.by[r]; x != nil {
		return x
	}
	if len(s.by) >= maxRoutes {
		return nil
	}
	x := &sequenced{route: r}
	x.seq.Store(seq)
	s.by[r] = x
	return x
}

// A version is a Route and its sequence, as instances tell one another.
type version struct {
	route Route
	seq   uint64
}

// list returns every Route and its sequence.
func (s *sequences) list() []version {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]version, 0, len(s.by))
	for r, x := range s.by {
		list = append(list, version{r, x.seq.Load()})
	}
	return list
}

// versionSize is how many bytes a version takes: the AMC as a number (5), the
// service, the version and the sequence.
const versionSize = 5 + 1 + 1 + 8

func (v version) append(b []byte) []byte {
	var p packed
	if !p.pack(&roc.Key{AMC: v.route.AMC, Service: v.route.Service, Version: v.route.Version}) {
		return b
	}
	b = append(b, p[:5]...)
	b = append(b, byte(v.route.Service), byte(v.route.Version))
	return binary.BigEndian.AppendUint64(b, v.seq)
}

func readVersion(b []byte) (version, bool) {
	var p packed
	copy(p[:5], b[:5])
	p[30], p[31] = b[5], b[6]
	k, ok := p.unpack()
	return version{routeOf(&k), binary.BigEndian.Uint64(b[7:])}, ok
}
