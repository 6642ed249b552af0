package quota

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/redistest"
)

func client(t testing.TB, s *redistest.Server, change ...func(*redis.Options)) *redis.Client {
	o := redis.Options{URLs: []string{s.URL()}, Probe: 100 * time.Millisecond}
	for _, f := range change {
		f(&o)
	}
	c, err := redis.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// The script and central.go are one rule, written twice. The server's own
// clock is read from what it kept.
func TestTheScriptSaysWhatCentralSays(t *testing.T) {
	t.Parallel()
	// A machine that is busy is no store that is lost.
	c := client(t, redistest.Start(t), func(o *redis.Options) { o.Timeout = time.Minute })
	s := NewRedis(c)
	ctx := context.Background()
	var model Central
	r := rand.New(rand.NewPCG(1, 2))
	seen, lefts, unheards, given := Answer{}, 0, 0, 0
	for i := range 400 {
		if r.IntN(40) == 0 && model.last > 0 { // one that fell silent
			old := model.last - 2*memberLife.Microseconds()
			if err := c.ZAdd(ctx, s.prefix+"instances", "silent", float64(old)); err != nil {
				t.Fatal(err)
			}
			model.members["silent"] = old
		}
		q := Question{Instance: fmt.Sprint("i", r.IntN(2)), Mark: seen.Mark, Sequence: seen.Sequence, Lost: r.IntN(40) == 0}
		if r.IntN(60) == 0 {
			q.Sequence += 1000 // this instance has seen what the store has lost
		}
		for k := range r.IntN(4) {
			l := Limit{Rate: 1 + 500*r.Float64(), Burst: 1 + 1000*r.Float64()}
			units := float64(1 + r.IntN(200))
			if r.IntN(10) == 0 {
				units = -float64(1 + r.IntN(4)) // a debt
			}
			q.Wants = append(q.Wants, Want{fmt.Sprint("c", k), TermsOf(l, 3), units})
		}
		if r.IntN(4) == 0 && model.mark > 0 { // the store has settled long since: it has something to give
			const long = 3600 * 1_000_000
			model.mark -= long
			if err := c.HSet(ctx, s.prefix+"depot", "mark", fmt.Append(nil, model.mark)); err != nil {
				t.Fatal(err)
			}
			q.Mark -= long
		}
		if r.IntN(40) == 0 && model.last > 0 { // the server's clock was ahead
			const ahead = 5 * 24 * 3600 * 1_000_000
			for id := range model.members {
				model.members[id] += ahead
				if err := c.ZAdd(ctx, s.prefix+"instances", id, float64(model.members[id])); err != nil {
					t.Fatal(err)
				}
			}
		}
		if r.IntN(20) == 0 { // nobody was heard for long
			const back = 10_000_000
			if err := c.HSet(ctx, s.prefix+"depot", "last", fmt.Append(nil, model.last-back)); err != nil {
				t.Fatal(err)
			}
			model.last -= back
		}
		got, err := s.Ask(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.HGet(ctx, s.prefix+"depot", "last")
		if err != nil {
			t.Fatal(err)
		}
		last, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		want := model.Ask(q, time.Duration(last)*time.Microsecond)
		if got.Mark != want.Mark || got.Sequence != want.Sequence || got.Instances != want.Instances {
			t.Fatalf("question %d: the script says %+v, Central %+v", i, got, want)
		}
		for k := range got.Grants {
			if u := got.Grants[k].Units; u > 0 && u < q.Wants[k].Units {
				given++
			}
			if got.Grants[k].Units != want.Grants[k].Units || (got.Grants[k].Wait-want.Grants[k].Wait).Abs() > time.Millisecond {
				t.Fatalf("question %d, want %d: the script gives %+v, Central %+v", i, k, got.Grants[k], want.Grants[k])
			}
		}
		seen = got
		if model.unheard {
			unheards++
		}
		if text, err := c.HGet(ctx, s.prefix+"depot", "unheard"); err != nil || (string(text) == "1") != model.unheard {
			t.Fatalf("question %d: the script says that one fell silent: %s, %v; Central: %t", i, text, err, model.unheard)
		}
		if d := (Departure{q.Instance, got.Mark - int64(r.IntN(2)), got.Sequence + int64(r.IntN(2)), r.IntN(2) == 0}); r.IntN(3) == 0 {
			if err := s.Leave(ctx, d); err != nil {
				t.Fatal(err)
			}
			model.Leave(d)
		}
		if model.left {
			lefts++
		}
		left, err := c.HGet(ctx, s.prefix+"depot", "left")
		if err != nil || (string(left) == "1") != model.left {
			t.Fatalf("question %d: the script says that all left: %s, %v; Central: %t", i, left, err, model.left)
		}
		time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
	}
	if lefts == 0 || unheards == 0 || given < 10 {
		t.Errorf("all left %d times, one fell silent %d times, a part of what was asked was given %d times: the test tries too little", lefts, unheards, given)
	}
}

// Four instances, one establishment sending to all of them as fast as they
// answer, one Redis that is killed and comes back empty, twice: of messages, and
// of bytes, which are spent up to 2 MiB at once.
func TestFourInstancesWhileRedisIsKilledAndEmptied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const largest = 2 << 20
	kinds := []*spending{
		{name: "compte", limit: Limit{Rate: 200, Burst: 200}, units: func(*rand.Rand) float64 { return 1 }},
		{name: "compte/octets", limit: Limit{Rate: 8 << 20, Burst: 64 << 20, Unit: largest}, units: func(r *rand.Rand) float64 {
			if r.IntN(20) == 0 {
				return largest
			}
			return float64(1000 + r.IntN(200_000))
		}},
	}
	var end atomic.Bool
	var senders sync.WaitGroup
	for i := range 4 {
		m := newMeter(t, Options{Store: NewRedis(client(t, server)), Instance: fmt.Sprint("i", i), Instances: 4})
		for _, k := range kinds {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			senders.Go(func() {
				for !end.Load() {
					before, n := time.Now(), k.units(r)
					if _, ok := m.Spend(context.Background(), k.name, k.limit, n); ok {
						k.admit(before, n)
					} else {
						time.Sleep(time.Millisecond) // before it sends again: nothing is awaited
					}
				}
			})
		}
	}
	time.Sleep(1500 * time.Millisecond)
	for range 2 {
		server.Stop()
		time.Sleep(time.Second)
		server.Restart() // it keeps nothing: it is empty
		time.Sleep(1500 * time.Millisecond)
	}
	end.Store(true)
	senders.Wait()
	for _, k := range kinds {
		worst, total, took := k.held()
		t.Logf("%s: %.0f admitted in %s (the rate alone is %.0f), worst excess over burst + rate*T: %.1f", k.name, total, took.Round(time.Millisecond), k.limit.Rate*took.Seconds(), worst)
		if worst > 0 {
			t.Errorf("%s: %.1f more than burst + rate*T passed", k.name, worst)
		}
		if total < k.limit.Rate*took.Seconds()/2 {
			t.Errorf("%s: only %.0f passed: the outage cost too much", k.name, total)
		}
	}
}

// A spending is what several instances admitted of one account.
type spending struct {
	name  string
	limit Limit
	units func(*rand.Rand) float64

	mu       sync.Mutex // guards admitted
	admitted []admission
}

type admission struct {
	at    time.Time
	units float64
}

func (s *spending) admit(at time.Time, units float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitted = append(s.admitted, admission{at, units})
}

// held is by how much the bound was exceeded at worst: below zero, it was not.
func (s *spending) held() (worst, total float64, took time.Duration) {
	slices.SortFunc(s.admitted, func(a, b admission) int { return a.at.Compare(b.at) })
	full, worst := 0.0, -s.limit.Burst
	for i, a := range s.admitted {
		if i > 0 {
			full = max(0, full-s.limit.Rate*a.at.Sub(s.admitted[i-1].at).Seconds())
		}
		full += a.units
		total += a.units
		worst = max(worst, full-s.limit.Burst)
	}
	return worst, total, s.admitted[len(s.admitted)-1].at.Sub(s.admitted[0].at)
}
