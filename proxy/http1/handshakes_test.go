package http1

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// The figures of docs/decisions/0009: how many handshakes and open connections
// an insurer sees at 1 000 messages a second of 1 500 establishments, few of
// which send most, when a connection rests before it serves another, and when
// each establishment has connections of its own. In simulated time, by the real
// pool.
func TestHandshakesAnInsurerSees(t *testing.T) {
	t.Parallel()
	minutes := 2
	if testing.Short() {
		minutes = 1
	}
	shared := simulate(func(roc.StructureID) string { return "" }, 200*time.Millisecond, minutes)
	pairs := simulate(func(who roc.StructureID) string { return string(who) }, 0, minutes)
	unsafe := simulate(func(roc.StructureID) string { return "" }, time.Nanosecond, minutes)
	t.Logf("rest of 200 ms:  %.2f handshakes/s, %d connections", shared.perSecond, shared.open)
	t.Logf("pools per pair: %.2f handshakes/s, %d connections", pairs.perSecond, pairs.open)
	t.Logf("no rest:         %.2f handshakes/s, %d connections", unsafe.perSecond, unsafe.open)
	if shared.open > pairs.open || shared.perSecond > pairs.perSecond {
		t.Errorf("a shared pool with a rest costs more than pools per pair: the decision no longer holds")
	}
}

type seen struct {
	perSecond float64 // handshakes, after the first half
	open      int     // at the end
}

type finish struct {
	at  time.Time
	c   *upstreamConn
	p   *pool
	who roc.StructureID
}

type finishes []finish

func (f finishes) Len() int           { return len(f) }
func (f finishes) Less(i, j int) bool { return f[i].at.Before(f[j].at) }
func (f finishes) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *finishes) Push(x any)        { *f = append(*f, x.(finish)) }
func (f *finishes) Pop() any {
	old := *f
	last := old[len(old)-1]
	*f = old[:len(old)-1]
	return last
}

// simulate plays the minutes; poolOf says which establishments share a pool.
func simulate(poolOf func(roc.StructureID) string, rest time.Duration, minutes int) seen {
	const rate, establishments = 1000, 1500
	random := rand.New(rand.NewPCG(1, 2))
	up := NewUpstream(UpstreamOptions{MaxConns: 4096, DialTimeout: time.Second, AnswerBytes: 1 << 10, Rest: max(rest, time.Nanosecond)})
	pools := map[string]*pool{}
	weights := make([]float64, establishments) // few send most: 1/rank
	sum := 0.0
	for i := range weights {
		sum += 1 / float64(i+1)
		weights[i] = sum
	}
	start := time.Unix(1_000_000, 0)
	end := start.Add(time.Duration(minutes) * time.Minute)
	half := start.Add(end.Sub(start) / 2)
	dialed := 0
	var under finishes
	for now := start; now.Before(end); {
		now = now.Add(time.Duration(-math.Log(1-random.Float64()) * float64(time.Second) / rate))
		for len(under) > 0 && under[0].at.Before(now) {
			f := heap.Pop(&under).(finish)
			f.p.put(f.c, f.who, f.at)
		}
		x := random.Float64() * sum
		rank := 0
		for lo, hi := 0, establishments-1; lo <= hi; {
			mid := (lo + hi) / 2
			if weights[mid] >= x {
				rank, hi = mid, mid-1
			} else {
				lo = mid + 1
			}
		}
		who := roc.StructureID(fmt.Sprintf("1%09d", rank))
		p := pools[poolOf(who)]
		if p == nil {
			p = &pool{up: up}
			pools[poolOf(who)] = p
		}
		c, _, err := p.take(who, now)
		if err != nil {
			continue
		}
		if c == nil {
			c = &upstreamConn{made: now}
			if now.After(half) {
				dialed++
			}
		}
		took := 50*time.Millisecond + time.Duration(random.ExpFloat64()*float64(50*time.Millisecond))
		heap.Push(&under, finish{at: now.Add(took), c: c, p: p, who: who})
	}
	open := 0
	for _, p := range pools {
		p.dropExpiredLocked(end)
		open += p.open
	}
	return seen{float64(dialed) / end.Sub(half).Seconds(), open}
}
