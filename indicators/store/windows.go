package store

import (
	"encoding/binary"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// The definition of an outage of an insurer, for each of its services. A window
// of five minutes is measured when it has fiveCalls exchanges or more, or when
// the rule of five holds in it. It is out when one in outOf of them or more
// fails by a fault of the insurer (RPN401 to RPN405), or by the rule of five:
// fiveCalls exchanges of one instance in a row stay without an answer (RPN401,
// RPN402, RPN404) within fiveWithin; it holds from the first of them until the
// insurer answers one again. What exceeds the rate that the insurer grants is
// never sent, and counts in none of it.
const (
	Window     = 5 * time.Minute
	fiveCalls  = 5
	fiveWithin = 30 * time.Second
	outOf      = 5
)

// A serviceKey is one service of an insurer.
type serviceKey struct {
	amc     roc.NumeroAMC
	service roc.Service
}

// A run is the exchanges in a row that stay without an answer.
type run struct {
	holds bool        // the rule of five
	last  []time.Time // when the last of them came, fiveCalls-1 at most
}

// watch counts an exchange for the availability of its insurer.
func (b *sums) watch(runs map[serviceKey]*run, x *journal.Exchange) {
	if !sent(x) {
		return
	}
	n := b.window(x, x.RequestIn)
	n.Sent++
	unanswered := false
	if FailedByAMC(x) {
		n.Failed++
		unanswered = x.Reason != roc.AMCBadAnswer && x.Reason != roc.AMCNotSOAP
	}
	key := serviceKey{x.To.AMC, x.Service}
	if !unanswered {
		delete(runs, key)
		return
	}
	r := runs[key]
	if r == nil {
		r = &run{}
		runs[key] = r
	}
	if !r.holds && len(r.last) == fiveCalls-1 {
		first, latest := x.RequestIn, x.RequestIn
		for _, t := range r.last { // records are in the order of their ends
			if t.Before(first) {
				first = t
			}
			if t.After(latest) {
				latest = t
			}
		}
		if latest.Sub(first) <= fiveWithin {
			r.holds = true
			for _, t := range r.last {
				b.window(x, t).unanswered++
			}
		}
	}
	if r.holds {
		n.unanswered++
	}
	if r.last = append(r.last, x.RequestIn); len(r.last) >= fiveCalls {
		r.last = r.last[1:]
	}
}

// window is where an instant counts, of the insurer and service of an exchange.
func (b *sums) window(x *journal.Exchange, at time.Time) *Counts {
	day := b.dayOf(Hour.Begin(at).Unix())
	k := packKey{kind: windows, begins: day, amc: x.To.AMC}
	p := b.windows[k]
	if p == nil {
		p = &pack{}
		b.windows[k] = p
	}
	n := len(p.entries)
	c := p.of(entryKey{slot: uint16((at.Unix() - day) / int64(Window/time.Second)), service: x.Service})
	b.weight += (len(p.entries) - n) * weightOfWindow
	return c
}

// appendRuns writes the runs of a journal, in no order.
func appendRuns(b []byte, runs map[serviceKey]*run) []byte {
	for k, r := range runs {
		b = binary.AppendUvarint(b, uint64(len(k.amc)))
		b = append(append(b, k.amc...), byte(k.service))
		n := uint64(len(r.last)) << 1
		if r.holds {
			n |= 1
		}
		b = binary.AppendUvarint(b, n)
		for _, t := range r.last {
			b = binary.AppendUvarint(b, uint64(t.UnixMicro()))
		}
	}
	return b
}

func readRuns(b []byte) (map[serviceKey]*run, error) {
	runs := map[serviceKey]*run{}
	for r := (&reader{b: b}); r.left() > 0; {
		n := int(min(r.uvarint(), 1<<10))
		key := r.take(n + 1)
		if r.err != nil {
			return nil, r.err
		}
		k := serviceKey{roc.NumeroAMC(key[:n]), roc.Service(key[n])}
		v := &run{}
		count := r.uvarint()
		v.holds = count&1 == 1
		for range min(count>>1, fiveCalls) {
			v.last = append(v.last, time.UnixMicro(int64(r.uvarint())))
		}
		if r.err != nil {
			return nil, r.err
		}
		runs[k] = v
	}
	return runs, nil
}
