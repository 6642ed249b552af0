package breaker

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

const amc = "roc.mutuelle-fictive.example:443"

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// A story is one Set and its clock.
type story struct {
	t   *testing.T
	set *Set
	at  time.Time
	say []State
}

func newStory(t *testing.T, o Options) *story {
	t.Parallel()
	s := &story{t: t, at: noon}
	o.OnChange = func(st State) { s.say = append(s.say, st) }
	s.set = NewSet(o)
	return s
}

func (s *story) send(who string, o Outcome, took time.Duration) bool {
	p, _, ok := s.set.Allow(amc, who, s.at)
	if ok {
		s.at = s.at.Add(took)
		p.Done(o, s.at)
	}
	return ok
}

func (s *story) times(n int, who string, o Outcome) {
	for range n {
		s.send(who, o, time.Millisecond)
	}
}

func (s *story) wantResting(want bool) {
	s.t.Helper()
	if got := len(s.set.Resting()) == 1; got != want {
		s.t.Errorf("resting: %t, want %t", got, want)
	}
}

func TestFiveFailuresPutTheAddressToRest(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	s.times(4, "chu", Failure)
	s.wantResting(false)
	s.times(1, "clinique", Failure)
	s.wantResting(true)
	_, st, ok := s.set.Allow(amc, "chu", s.at.Add(time.Second))
	if ok || !st.Since.Equal(s.at) || !st.Until.Equal(s.at.Add(5*time.Second)) {
		t.Errorf("let through %t, state %+v: want a rest of 5 s since %s", ok, st, s.at)
	}
	if len(s.say) != 1 || !s.say[0].Resting {
		t.Errorf("told %+v, want one rest", s.say)
	}
}

func TestFailuresAmongAnswersAreNoRest(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	for range 100 {
		s.times(2, "chu", Success)
		s.times(1, "clinique", Failure)
	}
	s.wantResting(false)
}

func TestFailuresLongAgoDoNotCount(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	for range 20 {
		s.times(1, "chu", Failure)
		s.at = s.at.Add(10 * time.Second)
	}
	s.wantResting(false)
}

func TestSlowAnswersPutTheAddressToRest(t *testing.T) {
	s := newStory(t, Options{Failures: 5, Window: 10 * time.Minute})
	for range 9 {
		s.send("chu", Success, 11*time.Second)
	}
	s.wantResting(false)
	s.send("clinique", Success, 11*time.Second)
	s.wantResting(true)
}

func TestOneSenderAloneDoesNotPutTheAddressToRestForOthers(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	s.times(3, "clinique", Success)
	s.times(500, "chu", Failure)
	s.wantResting(false)
	s.times(1, "clinique", Failure)
	s.wantResting(true)
}

func TestASenderThatIsAloneIsProtected(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	s.times(5, "chu", Failure)
	s.wantResting(true)
}

func TestOneExchangeAtATimeFindsOutWhetherItIsBack(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	s.times(5, "chu", Failure)
	s.at = s.at.Add(5 * time.Second)
	p, _, ok := s.set.Allow(amc, "chu", s.at)
	if !ok {
		t.Fatal("no trial after the rest")
	}
	if _, st, ok := s.set.Allow(amc, "clinique", s.at); ok || !st.Until.After(s.at) {
		t.Errorf("a second exchange was let through beside the trial (%t), or told to come back at %s", ok, st.Until)
	}
	p.Done(Success, s.at)
	s.times(1, "clinique", Success)
	s.wantResting(true)
	s.times(1, "clinique", Success)
	s.wantResting(false)
	if last := s.say[len(s.say)-1]; last.Resting {
		t.Errorf("told %+v last, want the end of the rest", last)
	}
}

func TestAFailedTrialDoublesTheRestUpToAMinute(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	s.times(5, "chu", Failure)
	since := s.at
	for _, rest := range []time.Duration{10, 20, 40, 60, 60} {
		s.at = s.set.Resting()[0].Until
		s.send("chu", Failure, 0)
		if st := s.set.Resting()[0]; st.Until.Sub(s.at) != rest*time.Second || !st.Since.Equal(since) {
			t.Errorf("rests %s since %s, want %d s since %s", st.Until.Sub(s.at), st.Since, rest, since)
		}
	}
}

func TestATrialThatIsNeverHeardOfIsGivenToAnother(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	s.times(5, "chu", Failure)
	s.at = s.at.Add(5 * time.Second)
	lost, _, _ := s.set.Allow(amc, "chu", s.at)
	s.at = s.at.Add(90 * time.Second)
	if _, _, ok := s.set.Allow(amc, "clinique", s.at); !ok {
		t.Fatal("the address rests for ever")
	}
	lost.Done(Failure, s.at) // late: the second trial decides
	s.wantResting(true)
	if st := s.set.Resting()[0]; st.Until.After(s.at) {
		t.Error("a trial that was given up has settled the state")
	}
}

func TestACallerThatLeftSaysNothing(t *testing.T) {
	s := newStory(t, Options{Failures: 5})
	s.times(100, "chu", Nothing)
	s.wantResting(false)
	s.times(5, "chu", Failure)
	s.at = s.at.Add(5 * time.Second)
	s.send("chu", Nothing, 0)
	if !s.send("chu", Success, 0) {
		t.Error("a trial that said nothing took the turn of the next")
	}
}

func TestTheNumberOfAddressesIsBounded(t *testing.T) {
	t.Parallel()
	s := NewSet(Options{Failures: 5, Addresses: 10})
	for i := range 100 {
		if _, _, ok := s.Allow(fmt.Sprint("amc", i), "chu", noon.Add(time.Duration(i)*time.Minute)); !ok {
			t.Fatal("refused for want of a breaker")
		}
	}
	if n := len(s.by); n > 10 {
		t.Errorf("%d breakers are kept, want at most 10", n)
	}
}

func TestManyAtOnceGetOneTrial(t *testing.T) {
	t.Parallel()
	s := NewSet(Options{Failures: 5})
	for range 5 {
		p, _, _ := s.Allow(amc, "chu", noon)
		p.Done(Failure, noon)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 16 {
		wg.Go(func() {
			if _, _, ok := s.Allow(amc, "chu", noon.Add(5*time.Second)); ok {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if passed != 1 {
		t.Errorf("%d trials at once, want 1", passed)
	}
}

func BenchmarkAllow(b *testing.B) {
	s := NewSet(Options{Failures: 5})
	b.ReportAllocs()
	for b.Loop() {
		p, _, _ := s.Allow(amc, "1010003812", noon)
		p.Done(Success, noon)
	}
}

// An address that asks for nothing until then has it, an hour at most; then one
// exchange finds out whether it is back.
func TestAnAnnouncedPauseIsKeptAndBounded(t *testing.T) {
	s := newStory(t, Options{Failures: 5, Trials: 1})
	pause := func(d time.Duration) {
		t.Helper()
		p, _, ok := s.set.Allow(amc, "chu", s.at)
		if !ok {
			t.Fatal("not let through")
		}
		p.Announce(s.at.Add(d), s.at)
		p.Done(Failure, s.at)
	}
	resting := func(after time.Duration, want bool) {
		t.Helper()
		p, st, ok := s.set.Allow(amc, "chu", s.at.Add(after))
		if ok == want || want && !st.Announced {
			t.Errorf("after %v: let through %t, %+v", after, ok, st)
		}
		if ok {
			p.Done(Success, s.at.Add(after))
		}
	}
	pause(10 * time.Minute)
	resting(0, true)
	resting(10*time.Minute-time.Second, true)
	resting(10*time.Minute, false)
	resting(10*time.Minute, false) // the trial succeeded
	if len(s.say) != 2 || !s.say[0].Announced || s.say[1].Resting {
		t.Errorf("said %+v", s.say)
	}
	s.at = s.at.Add(time.Hour)
	pause(24 * time.Hour)
	resting(time.Hour-time.Second, true)
	resting(time.Hour, false)
	s.at = s.at.Add(2 * time.Hour)
	pause(-time.Second)
	resting(time.Second, false)
}
