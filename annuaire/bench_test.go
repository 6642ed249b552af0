package annuaire

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// BenchmarkFind measures a lookup answered from memory, with a million keys
// asked in a random order, and how many bytes a key takes:
//
//	go test -run '^$' -bench Find -cpu 1,2 ./annuaire
func BenchmarkFind(b *testing.B) {
	const keys = 1_000_000
	before := heap()
	d := New(Options{Asker: &oracle{answer: always}, Keys: 2 * keys, TTL: 24 * time.Hour})
	b.Cleanup(d.Close)
	for i := range keys {
		e, _ := always(b.Context(), benchKey(i))
		e.Nom, e.Adresses = fmt.Sprintf("Mutuelle fictive %07d", i), []Adresse{
			{roc.IDB, roc.V1, fmt.Sprintf("https://services.mutuelle-%07d.example/roc/v1/idb", i)},
			{roc.IDB, roc.V2, fmt.Sprintf("https://services.mutuelle-%07d.example/roc/v2/idb", i)},
		}
		d.known.put(benchKey(i), d.memorize(e, time.Now()))
	}
	perKey := float64(heap()-before) / keys
	ask := make([]roc.Key, 1<<18)
	for i := range ask {
		ask[i] = benchKey(rand.IntN(keys))
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for i := rand.IntN(len(ask)); pb.Next(); i++ {
			e, err := d.Find(ctx, ask[i&(len(ask)-1)])
			if err != nil || !e.Remembered {
				b.Errorf("%v, remembered %v", err, e.Remembered)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
	b.ReportMetric(perKey, "B/key")
}

// benchKey makes keys as establishments send them: 500 AMC, many CSR.
func benchKey(i int) roc.Key {
	return roc.Key{AMC: roc.NumeroAMC(fmt.Sprintf("%010d", 70_000_000+i%500)), Convention: "RO",
		CSR: roc.CSR(fmt.Sprintf("%09d", i)), Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
