package annuaire

import (
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/piano-roc/rpn/internal/roc"
)

// A memory is an answer and how long it is fresh: what a slot of the cache
// holds, in 24 bytes.
type memory struct {
	facts *facts
	until int64  // Unix nanoseconds: it is fresh before
	at    moment // when the annuaire was asked
	retry moment // it is not asked again before
}

// A moment is an instant in whole seconds since 2020, rounded down; 0 is long
// ago.
type moment uint32

const year2020 = 1_577_836_800

func momentOf(t time.Time) moment { return moment(max(0, t.Unix()-year2020)) }

func (m moment) time() time.Time { return time.Unix(year2020+int64(m), 0).UTC() }

// facts are what the annuaire says, apart from when. The keys of one insurer
// differ by convention and CSR and mostly share one answer, so facts are
// shared too: see interner. They never change.
type facts struct {
	route      *sequenced // nil: there are too many routes
	seq        uint64     // of the route, when they were learned
	amc        roc.NumeroAMC
	nom        string
	roc        bool
	debut, fin time.Time
	adresses   []Adresse
	end        int64 // Unix nanoseconds of the end of validity; 0: none
}

func factsOf(e *Entry) *facts {
	f := &facts{amc: e.AMC, nom: e.Nom, roc: e.ROC, debut: e.Debut, fin: e.Fin, adresses: e.Adresses}
	if end := e.end(); !end.IsZero() {
		f.end = end.UnixNano()
	}
	return f
}

// current reports whether nothing newer was learned of the route since.
func (f *facts) current() bool { return f.route == nil || f.route.seq.Load() == f.seq }

// first is the address that messages of the version go to; "": none.
func (f *facts) first(v roc.Version) string {
	if f == nil || !f.roc {
		return ""
	}
	for _, a := range f.adresses {
		if a.Version == v {
			return a.URL
		}
	}
	return ""
}

// under is f, learned under that sequence of its route.
func (f *facts) under(r *sequenced, seq uint64) *facts {
	g := *f
	g.route, g.seq = r, seq
	return &g
}

// entry is the memory as its readers get it.
func (m *memory) entry() Entry {
	f := m.facts
	return Entry{AMC: f.amc, Nom: f.nom, ROC: f.roc, Debut: f.debut, Fin: f.fin, Adresses: f.adresses, At: m.at.time(), Remembered: true}
}

func (f *facts) equal(g *facts) bool {
	return f.route == g.route && f.seq == g.seq && f.says(g)
}

// says reports whether both say the same, whenever they were learned.
func (f *facts) says(g *facts) bool {
	return f.amc == g.amc && f.nom == g.nom && f.roc == g.roc && f.debut.Equal(g.debut) && f.fin.Equal(g.fin) && slices.Equal(f.adresses, g.adresses)
}

// An interner gives equal facts one place in memory, as long as somebody holds
// them.
type interner struct {
	seed maphash.Seed
	mu   sync.Mutex // guards held
	held map[uint64]weak.Pointer[facts]
}

func newInterner() *interner {
	return &interner{seed: maphash.MakeSeed(), held: map[uint64]weak.Pointer[facts]{}}
}

// intern returns f, or facts equal to it that were there before.
func (n *interner) intern(f *facts) *facts {
	h := n.hash(f)
	n.mu.Lock()
	defer n.mu.Unlock()
	if p, ok := n.held[h]; ok {
		if g := p.Value(); g != nil {
			if g.equal(f) {
				return g
			}
			return f // two facts of one hash: the second is not shared
		}
	}
	p := weak.Make(f)
	n.held[h] = p
	runtime.AddCleanup(f, func(h uint64) { n.forget(h, p) }, h)
	return f
}

func (n *interner) forget(h uint64, p weak.Pointer[facts]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held[h] == p {
		delete(n.held, h)
	}
}

func (n *interner) hash(f *facts) uint64 {
	var h maphash.Hash
	h.SetSeed(n.seed)
	text := func(s string) { h.WriteString(s); h.WriteByte(0) }
	text(string(f.amc))
	text(f.nom)
	maphash.WriteComparable(&h, f.debut.UnixNano())
	maphash.WriteComparable(&h, f.end)
	maphash.WriteComparable(&h, f.route)
	maphash.WriteComparable(&h, f.seq)
	for _, a := range f.adresses {
		h.WriteByte(byte(a.Service))
		h.WriteByte(byte(a.Version))
		text(a.URL)
	}
	return h.Sum64()
}

const digestSize = 16

// A digest identifies what the annuaire says, whenever and about whichever key
// it says it: the answers of one digest are stored once. Zero stands for
// "unknown AMC".
type digest [digestSize]byte

func (f *facts) digest() (d digest) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%v\x00%d\x00%d\x00", f.amc, f.nom, f.roc, f.debut.Unix(), f.end)
	for _, a := range f.adresses {
		fmt.Fprintf(h, "%d\x00%d\x00%s\x00", a.Service, a.Version, a.URL)
	}
	copy(d[:], h.Sum(nil))
	return d
}
