package top

import (
	"math"
	"time"
)

// A rate is events a second, an average that forgets: what is older than some
// seconds weighs little.
type rate struct {
	value float64
	at    time.Time
}

const forgets = 10 * time.Second

func (r *rate) add(n float64, at time.Time) {
	r.value = r.now(at) + n/forgets.Seconds()
	if at.After(r.at) {
		r.at = at
	}
}

// now is the rate at an instant; an older instant than the last event's is that one.
func (r *rate) now(at time.Time) float64 {
	gone := at.Sub(r.at)
	if r.at.IsZero() || gone <= 0 {
		return r.value
	}
	return r.value * math.Exp(-gone.Seconds()/forgets.Seconds())
}

// durations are those of the last half minute to minute, to a tenth.
type durations struct {
	turn         time.Time // when the current half began
	now, earlier [steps]uint32
}

const (
	half     = 30 * time.Second
	steps    = 128
	shortest = 500 * time.Microsecond // of the first step; the last one is beyond 90 s
	growth   = 1.1
)

func (d *durations) add(took time.Duration, at time.Time) {
	if took <= 0 { // it did not get that far
		return
	}
	d.rotate(at)
	step := 0
	if took > shortest {
		step = min(steps-1, int(math.Ceil(math.Log(float64(took)/float64(shortest))/math.Log(growth))))
	}
	d.now[step]++
}

func (d *durations) rotate(at time.Time) {
	switch gone := at.Sub(d.turn); {
	case gone < half && gone > -half: // a clock that was put back begins again
		return
	case gone >= half && gone < 2*half:
		d.earlier = d.now
	default:
		d.earlier = [steps]uint32{}
	}
	d.now, d.turn = [steps]uint32{}, at
}

// p95 is the duration that 95 of 100 do not exceed; 0: there were none.
func (d *durations) p95(at time.Time) time.Duration {
	d.rotate(at)
	var n uint64
	for i := range d.now {
		n += uint64(d.now[i]) + uint64(d.earlier[i])
	}
	if n == 0 {
		return 0
	}
	rank, seen := (n*95+99)/100, uint64(0)
	for i := range d.now {
		if seen += uint64(d.now[i]) + uint64(d.earlier[i]); seen >= rank {
			return time.Duration(float64(shortest) * math.Pow(growth, float64(i)))
		}
	}
	return 0
}
