package breaker

import (
	"testing"
	"time"
)

// A rest that began while the clock was five days ahead ends as any other, and
// the outcomes of then count no more.
func TestAClockThatJumpsKeepsNoAddressAtRest(t *testing.T) {
	t.Parallel()
	const fiveDays = 5 * 24 * time.Hour
	begin := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	fail := func(s *Set, at time.Time, n int) {
		for range n {
			if p, _, ok := s.Allow("a", "chu", at); ok {
				p.Done(Failure, at)
			}
		}
	}
	t.Run("at rest", func(t *testing.T) {
		t.Parallel()
		s := NewSet(Options{Failures: 5})
		fail(s, begin, 1)
		fail(s, begin.Add(fiveDays), 20)
		if _, st, ok := s.Allow("a", "chu", begin.Add(time.Second)); ok || st.Until.Sub(begin) > time.Minute {
			t.Errorf("after the clock was put back it rests until %s, passes: %t", st.Until, ok)
		}
		p, _, ok := s.Allow("a", "chu", begin.Add(time.Minute))
		if !ok {
			t.Fatal("a minute later it rests still")
		}
		p.Done(Success, begin.Add(time.Minute))
	})
	t.Run("a trial under way", func(t *testing.T) {
		t.Parallel()
		s := NewSet(Options{Failures: 5})
		fail(s, begin.Add(fiveDays), 20)
		if _, _, ok := s.Allow("a", "chu", begin.Add(fiveDays+10*time.Second)); !ok {
			t.Fatal("no trial")
		}
		s.Allow("a", "chu", begin)
		if _, _, ok := s.Allow("a", "chu", begin.Add(10*time.Second)); !ok {
			t.Error("the trial of five days ahead stands before every other")
		}
	})
	t.Run("the window", func(t *testing.T) {
		t.Parallel()
		s := NewSet(Options{Failures: 5})
		fail(s, begin.Add(fiveDays), 4)
		fail(s, begin, 1)
		if len(s.Resting()) != 0 {
			t.Error("failures of five days ahead count")
		}
		for i := range 4 {
			fail(s, begin.Add(time.Duration(i+1)*time.Hour), 1)
		}
		if len(s.Resting()) != 0 {
			t.Error("the window does not move on")
		}
	})
}
