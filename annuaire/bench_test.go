package annuaire

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/piano-roc/rpn/internal/roc"
)

// BenchmarkFind measures a lookup answered from memory, with a million keys
// asked in a random order, per second of one core, and how many bytes of
// heap a key takes:
//
//	go test -run '^$' -bench Find -cpu 1,2 ./annuaire
//
// insurers: the keys are of 500 insurers, and differ by their CSR, as in the
// country. strangers: every key has an answer like no other.
func BenchmarkFind(b *testing.B) {
	b.Run("insurers", func(b *testing.B) { benchFind(b, insurers) })
	b.Run("strangers", func(b *testing.B) { benchFind(b, strangers) })
}

func benchFind(b *testing.B, million func() (*Directory, float64)) {
	d, perKey := million()
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		var csr [9]byte // the key was parsed just before: it is at hand
		for pb.Next() {
			e, err := d.Find(ctx, hospital, benchKeyIn(rand.IntN(benchKeys), &csr))
			if err != nil || !e.Remembered {
				b.Errorf("%v, remembered %v", err, e.Remembered)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/(cpuTime()-cpu).Seconds(), "lookups/core-s")
	b.ReportMetric(perKey, "B/key")
}

const benchKeys = 1_000_000

var (
	insurers  = sync.OnceValues(func() (*Directory, float64) { return million(len(benchAMC)) })
	strangers = sync.OnceValues(func() (*Directory, float64) { return million(benchKeys) })
)

// million returns a directory that remembers a million keys with that many
// different answers, and how many bytes of heap each key takes.
func million(answers int) (*Directory, float64) {
	before := heap()
	d := directoryOf(Options{Asker: &oracle{answer: always}, Keys: 2 * benchKeys, TTL: 24 * time.Hour, Now: newClock().now})
	for i := range benchKeys {
		k := benchKey(i)
		e, _ := always(context.Background(), k)
		n := i % answers
		e.Nom, e.Adresses = fmt.Sprintf("Mutuelle fictive %07d", n), []Adresse{
			{roc.IDB, roc.V1, fmt.Sprintf("https://services.mutuelle-%07d.example/roc/v1/idb", n)},
			{roc.IDB, roc.V2, fmt.Sprintf("https://services.mutuelle-%07d.example/roc/v2/idb", n)},
		}
		route := d.sequences.enter(routeOf(&k), 1)
		d.remember(k, factsOf(&e).under(route, 1), &e, d.o.Now())
	}
	return d, float64(heap()-before) / benchKeys
}

// cpuTime is what the process has used: other load on the machine does not
// count, the garbage collector does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchKey makes keys as establishments send them: 500 AMC, many CSR.
func benchKey(i int) roc.Key { return benchKeyIn(i, new([9]byte)) }

// benchKeyIn is benchKey with its CSR in buf.
func benchKeyIn(i int, buf *[9]byte) roc.Key {
	for j, n := len(buf)-1, i; j >= 0; j, n = j-1, n/10 {
		buf[j] = byte('0' + n%10)
	}
	return roc.Key{AMC: benchAMC[i%len(benchAMC)], Convention: "RO", CSR: roc.CSR(unsafe.String(&buf[0], len(buf))),
		Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1}
}

var benchAMC = func() (list [500]roc.NumeroAMC) {
	for i := range list {
		list[i] = roc.NumeroAMC(fmt.Sprintf("%010d", 70_000_000+i))
	}
	return list
}()

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
