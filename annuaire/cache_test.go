package annuaire

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"

	"github.com/piano-roc/rpn/internal/roc"
	"pgregory.net/rapid"
)

func keyNumber(n int) roc.Key {
	return roc.Key{AMC: roc.NumeroAMC(fmt.Sprintf("%010d", n)), Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1}
}

func keyAt(n int) *roc.Key { k := keyNumber(n); return &k }

func TestCacheNeverHoldsMoreThanItsRoom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(1, 100).Draw(t, "room")
		c := newCache[int](room)
		bound := len(c.shards) * c.shards[0].room
		last := map[roc.Key]int{}
		for i := range rapid.IntRange(1, 400).Draw(t, "steps") {
			k := keyNumber(rapid.IntRange(0, 150).Draw(t, "key"))
			if rapid.Bool().Draw(t, "put") {
				c.put(&k, i)
				last[k] = i
				if v, ok := c.get(&k); !ok || v != i {
					t.Fatalf("just put %d, got %d %v", i, v, ok)
				}
			} else if v, ok := c.get(&k); ok && v != last[k] {
				t.Fatalf("got %d, the last put is %d", v, last[k])
			}
			if n, _ := c.size(); n > bound {
				t.Fatalf("%d keys in a room of %d", n, bound)
			}
			for i := range c.shards {
				s := &c.shards[i]
				if s.probation.n+s.kept.n != s.index.n {
					t.Fatalf("%d + %d slots queued, %d held", s.probation.n, s.kept.n, s.index.n)
				}
			}
		}
	})
}

// A hostile establishment invents keys, each asked once: those in use stay.
func TestInventedKeysPushOutNothingThatIsInUse(t *testing.T) {
	t.Parallel()
	c := newCache[int](1000)
	const used = 500
	for i := range used {
		c.put(keyAt(i), i)
		c.get(keyAt(i)) // asked again: in use
	}
	for i := range 20_000 {
		c.put(keyAt(1_000_000+i), i)
		c.get(keyAt(i % used))
	}
	for i := range used {
		if v, ok := c.get(keyAt(i)); !ok || v != i {
			t.Fatalf("key %d was pushed out by keys that nobody asked again", i)
		}
	}
	if n, evicted := c.size(); n > 1024 || evicted < 19_000 {
		t.Errorf("%d keys held and %d evicted", n, evicted)
	}
}

func TestCacheUnderConcurrentUse(t *testing.T) {
	t.Parallel()
	c := newCache[int](64)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				k := (i*7 + g) % 200
				if v, ok := c.get(keyAt(k)); ok && v != k {
					t.Errorf("key %d holds %d", k, v)
				}
				c.put(keyAt(k), k)
			}
		})
	}
	wg.Wait()
}

func TestTwoKeysNeverPackAlike(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) roc.Key {
			text := rapid.StringMatching("[01]{0,15}")
			return roc.Key{
				AMC:        roc.NumeroAMC(rapid.StringMatching("0{8}[01]{1,2}").Draw(t, name)),
				Convention: roc.Convention(rapid.StringMatching("A{0,3}").Draw(t, name)),
				CSR:        roc.CSR(text.Draw(t, name)),
				Domaine:    roc.Domaine(rapid.StringMatching("[01\\x00]{0,7}").Draw(t, name)),
				Service:    roc.Service(rapid.Uint8Range(0, 2).Draw(t, name)),
				Version:    roc.Version(rapid.Uint8Range(0, 2).Draw(t, name)),
			}
		}
		a, b := draw("a"), draw("b")
		var p, q packed
		okA, okB := p.pack(&a), q.pack(&b)
		if okA && okB && (p == q) != (a == b) {
			t.Fatalf("%v and %v pack to %x and %x", a, b, p, q)
		}
		if back, ok := p.unpack(); okA && (!ok || back != a) {
			t.Fatalf("%v packs to %x, which unpacks to %v", a, p, back)
		}
	})
}

func TestTheLongestKeyOfTheProfilePacks(t *testing.T) {
	t.Parallel()
	k := roc.Key{AMC: "0077565712", Convention: "RO", CSR: "123456789012345", Domaine: roc.HOSP, Service: roc.ANL, Version: roc.V2}
	var p packed
	if !p.pack(&k) {
		t.Error("a key of the longest fields of profile section 4 is not remembered")
	}
	k.Domaine = "DOMAINES"
	if p.pack(&k) {
		t.Error("a field was cut to fit")
	}
}

// What a lookup costs is the lines that it fetches.
func TestASlotIsOneCacheLine(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(slot[memory]{}); n != 64 {
		t.Errorf("a slot has %d bytes, want 64", n)
	}
}

func FuzzUnpack(f *testing.F) {
	var p packed
	k := keyNumber(1)
	p.pack(&k)
	f.Add(p[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != len(p) {
			return
		}
		p := packed(b)
		k, ok := p.unpack()
		var again packed
		if ok && (!again.pack(&k) || again != p) {
			t.Errorf("%x unpacks to %v, which packs to %x", p, k, again)
		}
	})
}
