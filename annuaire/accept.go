package annuaire

import (
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An outcome is what was learned about a key.
type outcome struct {
	entry   Entry
	unknown bool  // the annuaire knows no such AMC
	err     error // with unknown: the annuaire's own refusal
	seq     uint64
	from    source
}

// A source is who said so.
type source uint8

const (
	byAnnuaire source = iota
	byShared          // an answer that another instance left; seq is its sequence
	byInstance        // another instance said so
)

// accept remembers what was learned, unless the limiter holds it, and tells the
// others what they cannot know. A failure is not remembered: the next exchange
// asks again.
func (d *Directory) accept(q *question, o outcome) (Entry, error) {
	k, now := q.key, d.o.Now()
	var next *facts
	if !o.unknown {
		if o.entry.At.IsZero() {
			o.entry.At = now
		}
		next = factsOf(&o.entry)
	} else if o.err == nil {
		o.err = roc.Refuse(roc.UnknownAMC, "another instance learned that the annuaire knows no such AMC").Because(roc.UnknownNumber)
	}
	previous, had := d.peek(&k)
	had = had && previous.facts != nil
	v := d.limiter.verdictOf(candidateOf(&k, had, &previous, next, o.entry.At), now)
	d.act(v, now)
	if v.held {
		return d.holdBack(&k, v, had, &previous, now)
	}
	if o.from == byAnnuaire && !had && !d.isKept(&k) && !d.budgets.take(q.who, now) {
		d.unstored.Add(1)
		return o.entry, o.err
	}
	route, seq, news := d.sequence(&k, o, had, &previous, next, v, now)
	if had && previous.at != 0 && !previous.says(next) {
		d.replace(k, previous, now)
	}
	if o.unknown {
		d.forget(k, now)
	} else {
		d.remember(k, next.under(route, seq), &o.entry, now)
	}
	d.publish(k, o, next, seq, news)
	return o.entry, o.err
}

func candidateOf(k *roc.Key, had bool, previous *memory, next *facts, at time.Time) candidate {
	c := candidate{key: *k}
	if had {
		c.from = previous.facts.first(k.Version)
	}
	if next != nil {
		c.next = firstAddress{URL: next.first(k.Version), Debut: next.debut, Seen: at}
		if next.end != 0 {
			c.next.End = time.Unix(0, next.end)
		}
	}
	return c
}

// says reports whether a remembered answer says that; nil: "unknown AMC".
func (m *memory) says(next *facts) bool {
	if next == nil {
		return m.at == 0
	}
	return m.at != 0 && m.facts.says(next)
}

// isKept reports whether something about a key is kept on disk.
func (d *Directory) isKept(k *roc.Key) bool { return d.o.Disk != nil && d.o.Disk.has(k) }

// sequence says under which sequence of its route an answer is remembered, and
// whether the other instances are told.
//
// The sequence moves on when an answer that was current is found to have
// changed. An answer that was not current is expected to have: so a change that
// many keys and instances meet moves it once, and nobody who hears of it tells
// it again.
func (d *Directory) sequence(k *roc.Key, o outcome, had bool, previous *memory, next *facts, v verdict, now time.Time) (route *sequenced, seq uint64, news bool) {
	route = d.sequences.get(routeOf(k))
	if route == nil && next != nil {
		route = d.sequences.enter(routeOf(k), max(o.seq, sequenceAt(now)))
	}
	if route == nil {
		return nil, 0, false
	}
	was := route.seq.Load()
	seq = was
	if o.from == byShared && o.seq > was {
		route.raise(o.seq)
		seq = o.seq
	}
	known := had && previous.at != 0
	changed := known && previous.facts.seq == seq && !previous.says(next)
	if o.from == byInstance {
		return route, seq, false
	}
	if changed || v.added {
		next := route.next(seq, now)
		d.movedOn(k.AMC, next)
		return route, next, true
	}
	return route, seq, o.from == byAnnuaire && !known && next != nil
}

// remember keeps an answer in memory and on disk.
func (d *Directory) remember(k roc.Key, f *facts, e *Entry, now time.Time) {
	d.known.put(&k, memory{facts: d.same.intern(f), until: d.freshUntil(e, now).UnixNano(), at: momentOf(e.At)})
	d.unknown.change(&k, func(until *time.Time) { *until = time.Time{} })
	if d.o.Disk != nil && e.Raw.Len() > 0 {
		d.o.Disk.put(k, e.At, f.seq, f.digest(), e.Raw)
	}
}

// forget keeps "unknown AMC" in the place of an answer.
func (d *Directory) forget(k roc.Key, now time.Time) {
	d.known.change(&k, func(m *memory) { *m = memory{facts: m.facts} })
	d.unknown.put(&k, now.Add(d.o.NegativeTTL))
	if d.o.Disk != nil {
		d.o.Disk.drop(k)
	}
}

// publish leaves an answer for the other instances, and tells them what is new,
// in the background.
func (d *Directory) publish(k roc.Key, o outcome, next *facts, seq uint64, news bool) {
	if d.o.Shared == nil || o.from == byInstance || o.from == byShared && !news {
		return
	}
	n := newsItem{seq: seq}
	if !n.key.pack(&k) {
		return
	}
	d.asks.Go(func() {
		switch {
		case o.unknown:
			d.o.Shared.drop(d.ctx, k)
		case o.entry.Raw.Len() > 0 && seq > 0:
			n.says = next.digest()
			d.o.Shared.put(d.ctx, k, o.entry.At, seq, n.says, o.entry.Raw)
		default:
			news = false
		}
		if news {
			d.o.Shared.publishNews(d.ctx, n)
		}
		d.published.Add(1)
	})
}

// A replacement is an answer that a newer one took the place of.
type replacement struct {
	previous memory
	at       time.Time
}

// maxReplaced bounds how many are kept; what is not is asked again rather than
// taken back.
const maxReplaced = 20_000

// replace keeps what a newer answer takes the place of, so that it can be taken
// back within the window.
func (d *Directory) replace(k roc.Key, previous memory, now time.Time) {
	if d.o.Changes.Share <= 0 {
		return
	}
	d.replacedMu.Lock()
	defer d.replacedMu.Unlock()
	if len(d.replaced) >= maxReplaced {
		for k, r := range d.replaced {
			if now.Sub(r.at) >= d.limiter.o.Window || r.at.After(now) {
				delete(d.replaced, k)
			}
		}
	}
	if r, ok := d.replaced[k]; ok && now.Sub(r.at) < d.limiter.o.Window || len(d.replaced) >= maxReplaced {
		return // the first of the window is the one to go back to
	}
	d.replaced[k] = replacement{previous, now}
}

// act does what a verdict is about beyond its own key.
func (d *Directory) act(v verdict, now time.Time) {
	if len(v.takeBack) == 0 {
		return
	}
	d.o.Log.Warn("the annuaire removes or moves too many routes at once: the previous answers go on serving until an operator decides (rpn annuaire held)",
		"event", "annuaire_changes_held", "moved", v.moved, "known", v.known, "window", d.limiter.o.Window.String())
	d.takeBack(v.takeBack, now)
}

// takeBack has the previous answers of routes serve again, in memory, on disk
// and in Redis. What cannot be taken back is asked again before it serves.
func (d *Directory) takeBack(routes []Route, now time.Time) {
	d.replacedMu.Lock()
	back := map[roc.Key]memory{}
	for k, r := range d.replaced {
		if slices.Contains(routes, routeOf(&k)) {
			back[k] = r.previous
			delete(d.replaced, k)
		}
	}
	d.replacedMu.Unlock()
	for _, r := range routes { // what came in between is out of date, here and elsewhere
		if x := d.sequences.get(r); x != nil {
			x.next(x.seq.Load(), now)
		}
	}
	for k, m := range back {
		m.until, m.retry = d.laterOn(now), 0
		if route := m.facts.route; route != nil {
			m.facts = d.same.intern(m.facts.under(route, route.seq.Load()))
		}
		d.known.put(&k, m)
		d.unknown.change(&k, func(until *time.Time) { *until = time.Time{} })
		if d.o.Disk != nil {
			d.o.Disk.restore(k, m.at.time(), m.facts.seq, m.facts.digest())
		}
		if d.o.Shared != nil {
			d.asks.Go(func() { d.o.Shared.drop(d.ctx, k) })
		}
	}
	d.known.each(func(m *memory) {
		if m.at == 0 || m.facts == nil || m.facts.route == nil {
			return
		}
		if r := m.facts.route.route; slices.Contains(routes, r) && !d.limiter.accepts(r, m.facts.first(r.Version)) {
			*m = memory{facts: m.facts}
		}
	})
}

// holdBack answers in the place of what is held: by the previous answer, which
// serves as long as its own validity lasts.
func (d *Directory) holdBack(k *roc.Key, v verdict, had bool, previous *memory, now time.Time) (Entry, error) {
	if v.fresh && !v.rejected {
		d.o.Log.Warn("the annuaire moves a route, and it is held until an operator decides (rpn annuaire held)",
			"event", "annuaire_route_held", "amc", string(k.AMC), "service", k.Service.String(), "version", k.Version.String())
	}
	if !had || !previous.mayComeBack(now) {
		return Entry{}, roc.Refuse(roc.Quarantined, "what the annuaire says about this insurer waits for an operator").Because(roc.AwaitsOperator).
			Saying("L'annuaire change l'adresse de l'organisme ; ce changement attend l'accord de l'exploitant du RPN.")
	}
	d.known.change(k, func(m *memory) {
		if route := m.facts.route; route != nil && !m.facts.current() { // it is looked at just now
			m.facts = d.same.intern(m.facts.under(route, route.seq.Load()))
		}
		m.until = d.laterOn(now)
	})
	kept := previous.entry()
	kept.Stale = true
	return kept, nil
}

// laterOn is when a held answer is asked about again.
func (d *Directory) laterOn(now time.Time) int64 {
	return now.Add(jittered(d.o.NegativeTTL, d.o.Chance())).UnixNano()
}

// askHeld asks again, in the background, about what is held: it ends by itself
// when the annuaire says again what it said.
func (d *Directory) askHeld() {
	for _, k := range d.limiter.waiting() {
		if !d.renew(k) {
			return // the rest at the next round
		}
	}
}
