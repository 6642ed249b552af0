package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Whenever a certificate ends, its connection is cut within 5 s, though each
// sweep takes all the time that it may, passes the connection at its beginning
// when that is too early and comes to it last when it is not, and something
// changes all the time. The clock is that of the bubble.
func TestAnEndedCertificateIsCutWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	if cutWithin > 5*time.Second {
		t.Fatalf("%v is promised", cutWithin)
	}
	for _, changes := range []bool{false, true} {
		for phase := time.Duration(0); phase < 7*time.Second; phase += 97 * time.Millisecond {
			synctest.Test(t, func(t *testing.T) {
				ends := time.Now().Add(59*time.Second + phase) // a whole sweep is among what comes
				var cut time.Time
				pass := func() {
					over := !time.Now().Before(ends)
					time.Sleep(sweepWithin - time.Millisecond)
					if over && cut.IsZero() {
						cut = time.Now()
					}
				}
				ctx, stop := context.WithDeadline(t.Context(), ends.Add(20*time.Second))
				defer stop()
				everySweep(ctx, pass, func(whole bool) {
					if changes || whole {
						pass()
					}
				})
				if late := cut.Sub(ends); cut.IsZero() || late > cutWithin {
					t.Errorf("changes %t, phase %v: cut %v after the end (%v)", changes, phase, late, cut)
				}
			})
		}
	}
}
