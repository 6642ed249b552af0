package annuaire

import (
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// turns share out the questions to the annuaire: so many at once, so many a
// second, and one establishment after the other. An establishment that asks
// about a thousand unknown numbers waits behind its own questions, and nobody
// else does.
type turns struct {
	slots, perAsker int     // questions in flight: over all, and of one asker
	rate, burst     float64 // questions a second

	mu       sync.Mutex // guards all below, and the fields of every turn
	free     int
	inFlight map[roc.StructureID]int
	waiting  map[roc.StructureID][]*turn
	order    []roc.StructureID // those with a turn waiting, the next one first
	tokens   float64
	filled   time.Time // when tokens was right
	wake     *time.Timer
	limited  uint64    // how many turns the rate made wait
	last     time.Time // when it last did
	closed   bool
}

// A turn is one question's, which waits or is in flight.
type turn struct {
	ready   chan struct{} // closed when it is granted
	askers  []roc.StructureID
	charged roc.StructureID // once granted
	granted bool
	left    bool // nobody waits for it any more
	limited bool // the rate made it wait
}

func newTurns(slots int, rate float64) *turns {
	return &turns{
		slots: slots, perAsker: max(1, slots/4), rate: rate, burst: 2 * rate, free: slots,
		inFlight: map[roc.StructureID]int{}, waiting: map[roc.StructureID][]*turn{}, tokens: 2 * rate, filled: time.Now(),
	}
}

// enter queues a turn for its askers.
func (t *turns) enter(w *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.ready = make(chan struct{})
	for _, a := range w.askers {
		t.queueLocked(w, a)
	}
	t.grantLocked()
	mayGo := func(a roc.StructureID) bool { return t.inFlight[a] < t.perAsker }
	if !w.granted && t.free > 0 && t.tokens < 1 && slices.ContainsFunc(w.askers, mayGo) {
		t.limitLocked(w)
	}
}

// maxJoined bounds how many establishments stand behind one question.
const maxJoined = 8

// join has a question that is waiting or about to wait counted for one more
// asker: it is granted when the first of them has its turn.
func (t *turns) join(w *turn, who roc.StructureID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.granted || w.left || len(w.askers) >= maxJoined || slices.Contains(w.askers, who) {
		return
	}
	w.askers = append(w.askers, who)
	if w.ready != nil {
		t.queueLocked(w, who)
		t.grantLocked()
	}
}

// leave ends a wait; done ends a question.
func (t *turns) leave(w *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.granted {
		t.doneLocked(w)
	}
	w.left = true
	for _, a := range w.askers {
		t.waiting[a] = slices.DeleteFunc(t.waiting[a], func(x *turn) bool { return x == w })
	}
	t.grantLocked()
}

func (t *turns) done(w *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doneLocked(w)
	t.grantLocked()
}

func (t *turns) doneLocked(w *turn) {
	t.free++
	if t.inFlight[w.charged]--; t.inFlight[w.charged] <= 0 {
		delete(t.inFlight, w.charged)
	}
}

func (t *turns) queueLocked(w *turn, who roc.StructureID) {
	t.waiting[who] = append(t.waiting[who], w)
	if !slices.Contains(t.order, who) {
		t.order = append(t.order, who)
	}
}

// grantLocked gives out what is free.
func (t *turns) grantLocked() {
	t.fillLocked()
	for t.free > 0 {
		w, who := t.nextLocked()
		if w == nil {
			return
		}
		if t.tokens < 1 {
			t.queueFirstLocked(w, who)
			t.limitLocked(w)
			t.waitForTokenLocked()
			return
		}
		t.tokens--
		t.free--
		t.inFlight[who]++
		w.granted, w.charged = true, who
		close(w.ready)
	}
}

// nextLocked takes the next turn out of the queues: of the first asker that has
// not its share in flight, who then goes to the end.
func (t *turns) nextLocked() (*turn, roc.StructureID) {
	for i := 0; i < len(t.order); {
		who := t.order[i]
		q := t.waiting[who]
		for len(q) > 0 && (q[0].granted || q[0].left) {
			q = q[1:]
		}
		t.waiting[who] = q
		switch {
		case len(q) == 0:
			delete(t.waiting, who)
			t.order = slices.Delete(t.order, i, i+1)
		case t.inFlight[who] >= t.perAsker:
			i++
		default:
			t.waiting[who] = q[1:]
			t.order = append(slices.Delete(t.order, i, i+1), who)
			return q[0], who
		}
	}
	return nil, ""
}

// queueFirstLocked puts a turn back where nextLocked took it.
func (t *turns) queueFirstLocked(w *turn, who roc.StructureID) {
	t.waiting[who] = slices.Insert(t.waiting[who], 0, w)
	t.order = slices.DeleteFunc(t.order, func(x roc.StructureID) bool { return x == who })
	t.order = slices.Insert(t.order, 0, who)
}

// fillLocked adds the tokens of the time that passed: of the monotonic clock,
// which does not jump.
func (t *turns) fillLocked() {
	now := time.Now()
	t.tokens = min(t.burst, t.tokens+now.Sub(t.filled).Seconds()*t.rate)
	t.filled = now
}

// limitLocked notes that the rate makes a turn wait, each turn once.
func (t *turns) limitLocked(w *turn) {
	if !w.limited {
		w.limited = true
		t.limited++
	}
	t.last = t.filled
}

// waitForTokenLocked comes back when there is a token.
func (t *turns) waitForTokenLocked() {
	if t.closed || t.wake != nil {
		return
	}
	t.wake = time.AfterFunc(time.Duration((1-t.tokens)/t.rate*float64(time.Second))+time.Millisecond, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.wake = nil
		if !t.closed {
			t.grantLocked()
		}
	})
}

func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.wake != nil {
		t.wake.Stop()
	}
}

// size returns how many turns the rate made wait, and when it last did.
func (t *turns) size() (limited uint64, last time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.limited, t.last
}

// budgets bound how many new keys of one establishment are stored in an hour,
// here and with the other instances. Beyond, its questions are asked and
// answered, and leave nothing behind.
type budgets struct {
	perHour float64

	mu sync.Mutex // guards by
	by map[roc.StructureID]*budget
}

type budget struct {
	left float64
	at   time.Time
}

// maxBudgets bounds how many establishments are counted; those that have all of
// theirs are forgotten first.
const maxBudgets = 10_000

// take spends one of an establishment's new keys; false: it has none left. The
// RPN itself, "", is not counted.
func (b *budgets) take(who roc.StructureID, now time.Time) bool {
	if who == "" {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.by[who]
	if x == nil {
		if len(b.by) >= maxBudgets {
			b.forgetLocked(now)
		}
		if len(b.by) >= maxBudgets {
			return false
		}
		x = &budget{b.perHour, now}
		b.by[who] = x
	}
	b.fill(x, now)
	if x.left < 1 {
		return false
	}
	x.left--
	return true
}

// fill adds what the time that passed gives; a clock that went back gives
// nothing and is counted from where it is.
func (b *budgets) fill(x *budget, now time.Time) {
	if passed := now.Sub(x.at); passed > 0 {
		x.left = min(b.perHour, x.left+passed.Hours()*b.perHour)
	}
	x.at = now
}

func (b *budgets) forgetLocked(now time.Time) {
	for who, x := range b.by {
		if b.fill(x, now); x.left >= b.perHour {
			delete(b.by, who)
		}
	}
}
