package annuaire

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Options are what a Directory needs. Only Asker is required.
type Options struct {
	Asker Asker

	// TTL is how long an answer is used before the annuaire is asked again,
	// however long it says it is valid. Default: 45 min. Each answer gets up to
	// a tenth less, by chance, so that keys learned together are not asked again
	// together.
	TTL time.Duration

	// Stale is how long after TTL an answer still serves at once, while the
	// annuaire is asked again in the background. One that is older is asked
	// again before it serves, as long as the annuaire answers. Default: 15 min:
	// with TTL, an hour.
	Stale time.Duration

	// MaxAge is the age, since the annuaire was asked, up to which an answer
	// serves while the annuaire does not answer. Its own validity may end
	// sooner. Default: none serves once it is no longer fresh.
	MaxAge time.Duration

	// NegativeTTL is how long "unknown AMC" is remembered. Required.
	NegativeTTL time.Duration

	// AskTimeout bounds one question, its wait for a turn included. Required.
	AskTimeout time.Duration

	// Keys bounds how many keys are remembered; as many "unknown AMC" are, up
	// to a sixteenth of it. The keys asked only once are the first to go.
	// Default: 200 000, at most 100 MB (docs/bench/annuaire.md).
	Keys int

	// SearchBytes bounds the answers to establishments' own searches that are
	// remembered, in bytes. Default: 32 MiB.
	SearchBytes int

	// Questions bounds how many questions are in flight at once, over all
	// keys; one establishment gets a quarter of it, and those that nobody
	// waits for a half. Default: 64.
	Questions int

	// PerSecond bounds the questions a second, over all keys; twice as many
	// may come at once. Beyond, they wait. Required.
	PerSecond float64

	// NewKeys is how many keys that were not known one establishment may have
	// stored in an hour. Beyond, its questions are asked and answered, and not
	// stored. Required.
	NewKeys int

	// Disk remembers the signed answers beyond a restart. It is not believed:
	// VerifyStored checks what comes from it. nil: nothing does.
	Disk *Disk

	// Shared is where instances leave their answers to one another. It is not
	// believed either. nil: this one is alone.
	Shared *Shared

	// VerifyStored reads an answer that was kept, as Client.VerifyStored does.
	// Required with Disk or Shared.
	VerifyStored func(raw roc.Content, k roc.Key, at time.Time) (Entry, error)

	// Changes says when answers that would move many routes are held. The zero
	// value holds nothing.
	Changes ChangeOptions

	// ChangesFile keeps over a restart what Changes decides by. Default: it
	// is forgotten.
	ChangesFile string

	// Acts keeps what operators decided. Default: nothing is kept on disk.
	Acts *Acts

	// Log is told what an operator must know. Default: nothing is logged.
	Log *slog.Logger

	// Now tells the time. Default: time.Now.
	Now func() time.Time

	// Chance returns a number in [0, 1): the jitter of every delay. Default:
	// random.
	Chance func() float64
}

func (o Options) withDefaults() Options {
	if o.TTL <= 0 || o.Stale <= 0 || o.NegativeTTL <= 0 || o.AskTimeout <= 0 || o.PerSecond <= 0 || o.NewKeys <= 0 {
		panic("annuaire: TTL, Stale, NegativeTTL, AskTimeout, PerSecond and NewKeys are required")
	}
	orInt := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	orInt(&o.Keys, 200_000)
	orInt(&o.SearchBytes, 32<<20)
	orInt(&o.Questions, 64)
	if o.Changes.Lately <= 0 {
		o.Changes.Lately = o.TTL + o.Stale
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Chance == nil {
		o.Chance = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Acts == nil {
		o.Acts = &Acts{last: decisions{}}
	}
	return o
}

// retryAfter is what a caller is told to wait when the annuaire is silent.
const retryAfter = 10 * time.Second

// A Directory says where the messages of a key go. Fresh: from memory. Stale:
// from memory, revalidated in the background. Older, or learned to have changed:
// the annuaire is asked first, and what is remembered serves if it does not
// answer. Otherwise: the disk, the other instances, the annuaire. It is safe for
// concurrent use.
type Directory struct {
	o          Options
	known      *cache[memory]
	unknown    *cache[time.Time] // until when the AMC is taken as unknown
	same       *interner
	sequences  *sequences
	limiter    *changeLimiter
	saved      atomic.Bool // another process saves what limiter knows
	quarantine quarantine
	searches   *searchCache
	turns      *turns
	budgets    budgets
	background chan struct{} // one token per question that nobody waits for

	// ctx ends at Close: questions belong to the directory, not to the
	// exchange that happened to be first.
	ctx  context.Context
	stop context.CancelFunc

	mu        sync.Mutex // guards asking, searching and closed
	asking    map[roc.Key]*question
	searching map[[32]byte]*searching
	closed    bool
	asks      sync.WaitGroup

	replacedMu sync.Mutex // guards replaced
	replaced   map[roc.Key]replacement

	tally
	health health
}

// New makes a Directory with nothing in memory. Close it, before its Disk and
// its Shared.
func New(o Options) *Directory {
	o = o.withDefaults()
	d := &Directory{
		o:          o,
		known:      newCache[memory](o.Keys),
		unknown:    newCache[time.Time](max(1, o.Keys/16)),
		same:       newInterner(),
		sequences:  newSequences(),
		limiter:    newChangeLimiter(o.Changes),
		quarantine: quarantine{by: map[decided]*Newcomer{}},
		turns:      newTurns(o.Questions, o.PerSecond),
		budgets:    budgets{perHour: float64(o.NewKeys), by: map[roc.StructureID]*budget{}},
		background: make(chan struct{}, (o.Questions+1)/2),
		searches:   newSearchCache(o.SearchBytes),
		asking:     make(map[roc.Key]*question),
		searching:  map[[32]byte]*searching{},
		replaced:   map[roc.Key]replacement{},
	}
	d.limiter.decided = o.Acts.all()
	if o.ChangesFile != "" {
		if err := d.limiter.load(o.ChangesFile); err != nil {
			o.Log.Error("what the annuaire moved before the restart cannot be read: counting starts again", "event", "annuaire_routes_unreadable", "error", err)
		}
	}
	if o.Disk != nil {
		d.health.resume(o.Disk.down())
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	if o.Shared != nil {
		o.Shared.listen(d)
	}
	d.asks.Go(d.tend)
	return d
}

// Close ends the questions in flight and waits for them. What is remembered
// can still be found.
func (d *Directory) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.turns.close()
	d.asks.Wait()
	d.save()
}

// tend does again and again what nobody asks for: what is held is asked again,
// and what the changes are decided by is saved.
func (d *Directory) tend() {
	tick := time.NewTicker(20 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
			d.askHeld()
			d.save()
		}
	}
}

// SaveLast saves what the changes are decided by for the last time: another
// process writes it from then on. Questions go on.
func (d *Directory) SaveLast() {
	d.save()
	d.saved.Store(true)
}

func (d *Directory) save() {
	if d.saved.Load() {
		return
	}
	if err := d.limiter.save(d.o.ChangesFile); err != nil {
		d.o.Log.Error("what the annuaire moves cannot be kept on disk", "event", "annuaire_routes_unwritten", "error", err)
	}
}

// Find returns what the annuaire says about the key, for an establishment. It
// refuses with UnknownAMC, AnnuaireSilent, AnnuaireRefused or Quarantined.
//
// Those who ask for one key at the same time share one question. When ctx ends
// its caller leaves with AnnuaireSilent; the question goes on for the others,
// and for the memory.
func (d *Directory) Find(ctx context.Context, who roc.StructureID, k roc.Key) (Entry, error) {
	e, is, err := d.recall(&k)
	if is == answered {
		return e, err
	}
	q, err := d.question(k, who)
	if err != nil {
		if is == mayServe {
			return d.serveOld(e), nil
		}
		return Entry{}, err
	}
	var hangs <-chan time.Time
	if is == mayServe { // an annuaire that does not answer keeps nobody waiting who need not
		t := time.NewTimer(d.o.AskTimeout / 2)
		defer t.Stop()
		hangs = t.C
	}
	select {
	case <-q.done:
		return q.entry, q.err
	case <-hangs:
		return d.serveOld(e), nil
	case <-ctx.Done():
		return Entry{}, silent("the exchange could not wait longer for the annuaire: %w", context.Cause(ctx))
	}
}

// serveOld is an answer that serves because the annuaire does not answer.
func (d *Directory) serveOld(e Entry) Entry {
	d.stale.Add(1)
	e.Stale = true
	return e
}

// A recalled is what memory knows about a key.
type recalled uint8

const (
	nothing  recalled = iota // somebody must be asked
	mayServe                 // somebody must be asked; the entry serves when nobody answers
	answered
)

// recall answers from memory, where it may.
func (d *Directory) recall(k *roc.Key) (e Entry, is recalled, err error) {
	now := d.o.Now()
	if m, found := d.known.get(k); found {
		switch d.standing(k, &m, now) {
		case fresh:
			return m.entry(), answered, nil
		case stale:
			d.refresh(k, &m, now)
			return d.serveOld(m.entry()), answered, nil
		case old:
			d.expired.Add(1)
			e, is = m.entry(), mayServe
		default:
			d.expired.Add(1)
		}
	}
	if until, found := d.unknown.get(k); found {
		if left := until.Sub(now); left > 0 && left <= d.o.NegativeTTL {
			return Entry{}, answered, roc.Refuse(roc.UnknownAMC, "the annuaire said so less than %v ago", d.o.NegativeTTL).Because(roc.UnknownNumber)
		}
		d.unknownExpired.Add(1)
	}
	return e, is, nil
}

// A standing is what a remembered answer is good for.
type standing uint8

const (
	gone  standing = iota // nothing
	fresh                 // it serves
	stale                 // it serves, and is asked again in the background
	old                   // it is asked again first, and serves when nobody answers
)

// standing says what a remembered answer is good for. An answer of a time that
// is still to come is old: the clock went back.
func (d *Directory) standing(k *roc.Key, m *memory, now time.Time) standing {
	if !m.mayComeBack(now) {
		return gone
	}
	age := now.Sub(m.at.time())
	settled := m.at <= momentOf(now) && m.facts.current()
	left := m.until - now.UnixNano()
	switch {
	case settled && left > 0 && left <= int64(max(d.o.TTL, 2*d.o.NegativeTTL)):
		return fresh
	case settled && age < min(d.o.TTL+d.o.Stale, d.o.MaxAge) && m.until != 0:
		return stale
	case d.limiter.holds(routeOf(k)): // its own validity alone counts
		return stale
	case age >= d.o.MaxAge:
		return gone
	case d.postponed(m, now) || d.health.down(now, d.o.AskTimeout/2):
		return stale
	}
	return old
}

// mayComeBack reports whether an answer could serve in the place of a newer one.
func (m *memory) mayComeBack(now time.Time) bool {
	return m.at != 0 && (m.facts.end == 0 || now.UnixNano() < m.facts.end)
}
