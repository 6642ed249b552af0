// Package await waits, in tests, for what must happen: the only place that
// polls. It is for tests alone; rpn does not link it.
package await

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen. It is only a safety
// limit: a loaded machine may take its time.
const Patience = 2 * time.Minute

// Until waits until holds returns true, and returns how long that took. After
// Patience the test fails with what was awaited: "the RPN is ready". Call it
// from the goroutine of the test.
func Until(t testing.TB, what string, holds func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for pause := time.Millisecond; !holds(); pause = min(2*pause, 20*time.Millisecond) {
		if time.Since(start) > Patience {
			t.Fatalf("never in %s: %s", Patience, what)
		}
		time.Sleep(pause)
	}
	return time.Since(start)
}

// Next waits for the next value of a channel, the zero one where it is closed.
// After Patience the test fails with what was awaited.
func Next[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	late := time.NewTimer(Patience)
	defer late.Stop()
	select {
	case v := <-from:
		return v
	case <-late.C:
	}
	t.Fatalf("never in %s: %s", Patience, what)
	panic("unreachable")
}
