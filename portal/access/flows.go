package access

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Flow is what an establishment sent to an insurer in the last minutes, by this
// instance.
type Flow struct {
	From roc.StructureID // "": never identified
	AMC  roc.NumeroAMC   // "": never read

	All, Lost int64           // exchanges, and those that did not end well
	Owner     roc.Responsable // who must act on most of Lost
}

// FlowMinutes is how far back flows go.
const FlowMinutes = 15

// maxFlows is how many pairs are told apart in a minute; the others are in none.
const maxFlows = 4096

// flows counts what passes, minute by minute: a page of now that waits for no
// journal. It is told of each exchange, so it costs a map and no more.
type flows struct {
	mu      sync.Mutex
	minutes [FlowMinutes]minute
}

type minute struct {
	at    int64 // since 1970
	pairs map[pair]*lost
}

type pair struct {
	from roc.StructureID
	amc  roc.NumeroAMC
}

type lost struct {
	all int64
	by  [6]int64 // by ownersOfFlows, NoOne for an answer
}

var ownersOfFlows = roc.Responsables()

// Observe is told of each exchange at its end. Safe for concurrent use.
func (d *Data) Observe(r *roc.Record) {
	at := r.RequestIn.Unix() / 60
	owner := max(0, slices.Index(ownersOfFlows, r.Responsable()))
	f := &d.flows
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &f.minutes[at%FlowMinutes]
	switch {
	case m.at > at: // it took longer than all the minutes
		return
	case m.at < at:
		*m = minute{at, map[pair]*lost{}}
	}
	k := pair{r.From, r.To.AMC}
	n := m.pairs[k]
	if n == nil {
		if len(m.pairs) >= maxFlows {
			return
		}
		n = &lost{}
		m.pairs[k] = n
	}
	n.all++
	n.by[owner]++
}

// Flows are those of the last minutes, the largest first, for an operator.
func (s *Subject) Flows() (list []Flow) {
	if s.es != nil || s.numero != "" || s.r.v.kind != Operator {
		return nil
	}
	f := &s.r.d.flows
	since := s.r.Now().Add(-FlowMinutes*time.Minute).Unix() / 60
	sum := map[pair]*lost{}
	f.mu.Lock()
	for i := range f.minutes {
		if f.minutes[i].at <= since {
			continue
		}
		for k, n := range f.minutes[i].pairs {
			if sum[k] == nil {
				sum[k] = &lost{}
			}
			sum[k].all += n.all
			for o := range n.by {
				sum[k].by[o] += n.by[o]
			}
		}
	}
	f.mu.Unlock()
	for k, n := range sum {
		one := Flow{From: k.from, AMC: k.amc, All: n.all, Lost: n.all - n.by[0]}
		for o := 1; o < len(n.by); o++ {
			if worst := slices.Index(ownersOfFlows, one.Owner); n.by[o] > 0 && (worst == 0 || n.by[o] > n.by[worst]) {
				one.Owner = ownersOfFlows[o]
			}
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(x, y Flow) int {
		return cmp.Or(cmp.Compare(y.All, x.All), cmp.Compare(x.From, y.From), cmp.Compare(x.AMC, y.AMC))
	})
	return list
}
