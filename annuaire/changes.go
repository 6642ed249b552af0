package annuaire

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// ChangeOptions say when the annuaire changes too much at once. A directory
// that moves a few routes a week and suddenly moves a third of them has been
// broken or taken over: the previous answers go on serving until an operator
// has looked.
type ChangeOptions struct {
	// Share is the part of the known routes that may be removed or moved
	// within Window. 0: nothing is held.
	Share float64

	// Least is how many may be, however few routes are known. Required with
	// Share.
	Least int

	// Window. Default: 1 h.
	Window time.Duration

	// Registered reports whether an AMC is in the register: the routes of
	// those alone are the whole of which Share is a part, so that an annuaire
	// that invents insurers does not make the whole larger. Default: all are.
	Registered func(roc.NumeroAMC) bool

	// Lately is how long a known address counts as in use since the annuaire
	// last said so. Default: 1 h.
	Lately time.Duration
}

// A changeLimiter says whether an answer of the annuaire may take the place of
// the previous one. It decides and remembers what it decided on; the Directory
// acts on its verdict. It keeps, for each Route, the first addresses that were
// accepted: whoever asks about other keys, adds addresses behind the first or
// lets validities end, changes nothing in what it counts. It knows no memory, no
// disk, no Redis and no clock.
type changeLimiter struct {
	o ChangeOptions

	mu      sync.Mutex // guards all below
	routes  map[Route][]firstAddress
	moved   map[Route]move // accepted within Window
	held    heldChanges    // what waits for an operator; empty: nothing is held
	since   time.Time      // of the first of them
	decided decisions
	whole   int       // how many routes are of the register
	counted time.Time // when it was counted
	changed bool      // since the last snapshot
}

// A firstAddress is one that was accepted for a Route: the first of the
// service, where messages go.
type firstAddress struct {
	URL   string    `json:"url"`
	Debut time.Time `json:"debut,omitzero"` // first day of the validity
	End   time.Time `json:"end,omitzero"`   // first instant after the validity; zero: none
	Seen  time.Time `json:"seen"`           // when the annuaire last said so
	Added bool      `json:"added,omitzero"` // beside the known one, for a key that nobody had asked about: a key that moves here is counted
}

// A move is what took the place of what, when, and for which key first.
type move struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
	key  roc.Key   // stands in no file: a CSR is the establishment's own words
}

const (
	maxHeldKeys    = 16
	maxFirst       = 16                  // first addresses of one Route
	firstForgotten = 90 * 24 * time.Hour // when the annuaire has not named it for that long
	approvedFor    = 24 * time.Hour      // for further keys and routes to the same host
)

func newChangeLimiter(o ChangeOptions) *changeLimiter {
	if o.Share > 0 && o.Least <= 0 {
		panic("annuaire: Changes.Least is required with Share")
	}
	if o.Window <= 0 {
		o.Window = time.Hour
	}
	if o.Lately <= 0 {
		o.Lately = time.Hour
	}
	if o.Registered == nil {
		o.Registered = func(roc.NumeroAMC) bool { return true }
	}
	return &changeLimiter{o: o, routes: map[Route][]firstAddress{}, moved: map[Route]move{}, held: heldChanges{}, decided: decisions{}}
}

// A candidate is an answer that would take the place of what is known.
type candidate struct {
	key  roc.Key
	from string       // the first address that the key had; "": none
	next firstAddress // what it would be; URL "": removed, or unknown
}

// A verdict is what the limiter says of a candidate.
type verdict struct {
	held     bool    // it must not be used
	rejected bool    // an operator said no
	takeBack []Route // routes whose moves of the window are held from now on; not empty: it was the one too many
	moved    int     // for the log: routes that moved within the window
	known    int     // of how many
	released bool    // the annuaire says again what it said: nothing of the key is held any more
	added    bool    // an address that the route did not have: its other keys may have moved too
	fresh    bool    // held, and never seen before: to be logged
}

// verdictOf says whether a candidate passes. Called again with the same, it says
// the same.
func (l *changeLimiter) verdictOf(c candidate, now time.Time) verdict {
	if l.o.Share <= 0 {
		return verdict{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pruneLocked(now)
	r := routeOf(&c.key)
	known := l.routes[r]
	here := slices.IndexFunc(known, func(a firstAddress) bool { return a.URL == c.next.URL })
	host := hostOf(c.next.URL)
	switch {
	case c.next.URL != "" && here >= 0 && (!known[here].Added || c.from == "" || c.from == c.next.URL): // nothing new
		c.next.Added = known[here].Added
		l.noteLocked(r, c.next)
		return verdict{released: l.releaseLocked(c.key)}
	case l.decided.rejected(r.AMC, host):
		return verdict{held: true, rejected: true, fresh: l.holdLocked(c, host, now)}
	case l.decided.approved(r.AMC, host, now):
		return l.passLocked(c, r)
	case c.next.URL == "" && c.from == "": // it had none before
		return verdict{held: l.holdsLocked(r.AMC)}
	case !l.isMove(c, known, now):
		if l.holdsLocked(r.AMC) { // nobody asked about the key before, and its insurer is held
			return verdict{held: true, fresh: l.holdLocked(c, host, now)}
		}
		c.next.Added = len(known) > 0
		return l.passLocked(c, r)
	case l.anyWaitsLocked():
		return verdict{held: true, fresh: l.holdLocked(c, host, now)}
	}
	return l.countLocked(c, r, now)
}

// isMove reports whether a candidate is to be counted: it would change where
// the messages of a route go. What is not: the first address of a route; a
// further one, for a key that nobody asked about, of a route whose known one was
// confirmed lately (an insurer whose rows differ by CSR); a row that was
// announced, its validity beginning before the known one's was over.
func (l *changeLimiter) isMove(c candidate, known []firstAddress, now time.Time) bool {
	if c.from == "" && len(known) == 0 {
		return false
	}
	if c.next.URL == "" {
		return true
	}
	last := firstAddress{}
	for _, a := range known {
		if age := now.Sub(a.Seen); c.from == "" && age >= 0 && age < l.o.Lately && (a.End.IsZero() || now.Before(a.End)) {
			return false
		}
		if a.URL == c.from || c.from == "" && a.Seen.After(last.Seen) {
			last = a
		}
	}
	announced := !last.End.IsZero() && !now.Before(last.End) && c.next.Debut.After(last.Debut) && c.next.Debut.Before(last.End)
	return !announced
}

// countLocked counts a move. When it is the one too many, it is held, and those
// of the window with it.
func (l *changeLimiter) countLocked(c candidate, r Route, now time.Time) verdict {
	l.countWholeLocked(now)
	first, again := l.moved[r]
	if !again {
		first = move{From: c.from, At: now, key: c.key}
		if c.from == "" && len(l.routes[r]) > 0 {
			first.From = l.routes[r][0].URL
		}
	}
	n := len(l.moved)
	if !again {
		n++
	}
	v := verdict{moved: n, known: l.whole}
	if n <= max(l.o.Least, int(l.o.Share*float64(l.whole))) {
		first.To = c.next.URL
		l.moved[r] = first
		v.added = l.passLocked(c, r).added
		return v
	}
	v.held = true
	l.since = now
	for route, m := range l.moved {
		v.takeBack = append(v.takeBack, route)
		d := &heldDetails{from: m.From, to: m.To, at: m.At, keys: map[roc.Key]bool{}}
		if m.key != (roc.Key{}) { // of before a restart, it is not known
			d.keys[m.key] = true
		}
		l.held.put(heldChange{route, hostOf(m.To)}, d)
		l.routes[route] = slices.DeleteFunc(l.routes[route], func(a firstAddress) bool { return a.URL == m.To && m.To != "" })
	}
	if !again {
		v.takeBack = append(v.takeBack, r)
	}
	clear(l.moved)
	v.fresh = l.holdLocked(c, hostOf(c.next.URL), now)
	return v
}

// countWholeLocked counts the routes of the register, once a minute at most.
func (l *changeLimiter) countWholeLocked(now time.Time) {
	if age := now.Sub(l.counted); l.whole > 0 && age >= 0 && age < time.Minute {
		return
	}
	l.whole, l.counted = 0, now
	for r := range l.routes {
		if l.o.Registered(r.AMC) {
			l.whole++
		}
	}
}

// passLocked lets a candidate in.
func (l *changeLimiter) passLocked(c candidate, r Route) verdict {
	added := c.next.URL != "" && len(l.routes[r]) > 0
	l.noteLocked(r, c.next)
	l.changed = true
	return verdict{released: l.releaseLocked(c.key), added: added}
}

// noteLocked remembers a first address.
func (l *changeLimiter) noteLocked(r Route, a firstAddress) {
	if a.URL == "" {
		return
	}
	list, known := l.routes[r]
	if !known && len(l.routes) >= maxRoutes {
		return
	}
	for i := range list {
		if list[i].URL == a.URL {
			list[i] = a
			return
		}
	}
	list = slices.DeleteFunc(list, func(x firstAddress) bool { return a.Seen.Sub(x.Seen) > firstForgotten })
	if len(list) >= maxFirst {
		oldest := 0
		for i := range list {
			if list[i].Seen.Before(list[oldest].Seen) {
				oldest = i
			}
		}
		list = slices.Delete(list, oldest, oldest+1)
	}
	l.routes[r] = append(list, a)
	l.changed = true
	if !known {
		l.counted = time.Time{}
	}
}

// note remembers what was accepted before: an answer of the disk.
func (l *changeLimiter) note(k *roc.Key, a firstAddress) {
	if l.o.Share <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.routes[routeOf(k)]) == 0 {
		l.noteLocked(routeOf(k), a)
	}
}

// pruneLocked forgets the moves that are older than the window, and those of a
// time that is still to come: the clock went back.
func (l *changeLimiter) pruneLocked(now time.Time) {
	maps.DeleteFunc(l.moved, func(_ Route, m move) bool { return now.Sub(m.At) >= l.o.Window || m.At.After(now) })
}

// holds reports whether something of the Route is held.
func (l *changeLimiter) holds(r Route) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := range l.held[r.AMC] {
		if h.route == r {
			return true
		}
	}
	return false
}

// accepts reports whether an address is a first address that was accepted.
func (l *changeLimiter) accepts(r Route, url string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.routes[r], func(a firstAddress) bool { return a.URL == url })
}

// size returns how many changes wait for an operator.
func (l *changeLimiter) size() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := range l.held.all() {
		if !l.decided.rejected(h.route.AMC, h.host) {
			n++
		}
	}
	return n
}

// hostOf is the host of an address, with its port when it states one, as an
// operator names it; "" for none. What is no URL stands for itself.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return strings.ToLower(u.Host)
}
