package shed

import (
	"math"
	"runtime/metrics"
	"time"
)

// A scheduler tells how long goroutines that could run waited for a processor.
type scheduler struct {
	sample []metrics.Sample
	before []uint64
}

func newScheduler() *scheduler {
	s := &scheduler{sample: []metrics.Sample{{Name: "/sched/latencies:seconds"}}}
	s.wait()
	return s
}

// wait is the median since it was last asked: at least that long, by the
// buckets of the runtime. 0 when nothing ran.
func (s *scheduler) wait() time.Duration {
	metrics.Read(s.sample)
	if s.sample[0].Value.Kind() != metrics.KindFloat64Histogram { // a runtime that does not tell: nothing is dropped
		return 0
	}
	h := s.sample[0].Value.Float64Histogram()
	if s.before == nil {
		s.before = make([]uint64, len(h.Counts))
	}
	var all uint64
	for i, n := range h.Counts {
		h.Counts[i], s.before[i] = n-s.before[i], n
		all += h.Counts[i]
	}
	var below uint64
	for i, n := range h.Counts {
		if below += n; n > 0 && 2*below >= all {
			return time.Duration(math.Max(0, h.Buckets[i]) * float64(time.Second))
		}
	}
	return 0
}
