// Package await waits, in tests, for what must happen: the one place that
// polls. It is for tests alone; rpn does not link it.
package await

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen. Nothing is asserted
// about it but that it is not reached: a loaded machine may take its time.
const Patience = 2 * time.Minute

// Until waits until holds says true, and returns how long that took. After
// Patience the test fails with what was awaited: "the RPN is ready". It is
// called from the goroutine of the test.
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
