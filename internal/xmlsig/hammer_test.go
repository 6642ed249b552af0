//go:build hammer

package xmlsig

import (
	"bytes"
	"flag"
	mathrand "math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	hammerFor  = flag.Duration("hammer-for", time.Minute, "how long TestHammer goes on")
	hammerSeed = flag.Uint64("hammer-seed", 1, "seed of the first worker; the others follow")
)

// TestHammer is FuzzCheck without the fuzzing engine: it changes the messages
// of the attack files at random, some fifty times faster than the engine does,
// but led by no coverage. It says how many messages it tried (docs/bench/fuzz.md).
func TestHammer(t *testing.T) {
	v := forgeVerifier()
	seeds, known := attackSeeds(t, v)
	until := time.Now().Add(*hammerFor)
	var tried atomic.Uint64
	var workers sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			r := mathrand.New(mathrand.NewPCG(*hammerSeed+uint64(w), 1))
			for !t.Failed() && time.Now().Before(until) {
				for range 1000 {
					onlyWhatWasSigned(t, v, known, mutateSome(bytes.Clone(seeds[r.IntN(len(seeds))]), r))
				}
				tried.Add(1000)
			}
		})
	}
	workers.Wait()
	t.Logf("%d messages tried in %v, from seed %d", tried.Load(), *hammerFor, *hammerSeed)
}
