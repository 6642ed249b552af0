package annuaire

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// GuardOptions say when the annuaire changes too much at once. A directory
// that moves a few routes a week and suddenly moves a third of them has been
// broken or taken over: the previous answers go on serving until an operator
// has looked.
type GuardOptions struct {
	// Share is the part of the known routes that may be removed or moved
	// within Window. 0: the guard holds nothing.
	Share float64

	// Least is how many may be, however few routes are known. Default: 10.
	Least int

	// Window. Default: 1 h.
	Window time.Duration
}

// A Change is a route that the annuaire removed or moved: an address of one
// service of an insurer in one version.
type Change struct {
	AMC     roc.NumeroAMC `json:"amc"`
	Nom     string        `json:"nom"`
	Service string        `json:"service"`
	Version string        `json:"version"`
	From    string        `json:"from"`
	To      []string      `json:"to"` // empty: removed
	Keys    int           `json:"keys"`
	Since   time.Time     `json:"since"`
}

// A route is one address of one service of an insurer.
type route struct {
	amc     roc.NumeroAMC
	service roc.Service
	version roc.Version
	url     string
}

// A guard counts the routes that are known and those that moved, and holds
// back what is too much. Routes are counted, not keys: nobody can make it blind
// by inventing keys.
type guard struct {
	o GuardOptions

	mu       sync.Mutex // guards all below
	routes   map[route]time.Time
	moved    map[route]time.Time      // within Window
	before   map[roc.Key]replacement  // what the moves of the window replaced
	approved map[route]time.Time      // moves that an operator let pass
	held     map[roc.Key]*replacement // what waits for an operator; empty: nothing is held
	suspects map[string]int           // the addresses that held answers bring, by how many
	since    time.Time
}

// A replacement is an answer and the one that came in its place.
type replacement struct {
	previous memory
	next     *facts // nil: unknown AMC
	at       time.Time
	raw      roc.Content // of previous, from the disk
	rawAt    time.Time
}

// maxHeld bounds what the guard remembers of keys; beyond, a key is still held
// and shown nowhere.
const maxHeld = 20_000

// maxRoutes bounds the routes that are known.
const maxRoutes = 200_000

// approvedFor is how long an operator's word holds for the moves it was about.
const approvedFor = 24 * time.Hour

func newGuard(o GuardOptions) *guard {
	if o.Least <= 0 {
		o.Least = 10
	}
	if o.Window <= 0 {
		o.Window = time.Hour
	}
	return &guard{
		o: o, routes: map[route]time.Time{}, moved: map[route]time.Time{}, before: map[roc.Key]replacement{},
		approved: map[route]time.Time{}, held: map[roc.Key]*replacement{}, suspects: map[string]int{},
	}
}

// routesOf lists the routes of an answer.
func (f *facts) routesOf() []route {
	if f == nil || !f.roc {
		return nil
	}
	list := make([]route, len(f.adresses))
	for i, a := range f.adresses {
		list[i] = route{f.amc, a.Service, a.Version, a.URL}
	}
	return list
}

// lost lists the routes of one answer that another does not have, and the
// first of a service and version when another comes before it.
func lost(previous, next *facts) []route {
	was, is := previous.routesOf(), next.routesOf()
	var list []route
	for _, r := range was {
		if !slices.Contains(is, r) || r == first(was, r) && r != first(is, r) {
			list = append(list, r)
		}
	}
	return list
}

// first is the first route of the same service and version.
func first(list []route, r route) route {
	for _, x := range list {
		if x.service == r.service && x.version == r.version {
			return x
		}
	}
	return route{}
}

// A verdict is what the guard says of an answer.
type verdict uint8

const (
	passes verdict = iota
	held
)

// judge says whether an answer may take the place of the previous one. When it
// is the one too many, those of the window that came before it are taken back.
func (g *guard) judge(k roc.Key, had bool, previous memory, next *facts, now time.Time, d *Directory) verdict {
	if g.o.Share <= 0 {
		return passes
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !had || !previous.mayComeBack(now) {
		if g.suspectLocked(next) {
			return held
		}
		g.noteLocked(next, now)
		return passes
	}
	gone := slices.DeleteFunc(lost(previous.facts, next), func(r route) bool { return now.Before(g.approved[r]) })
	if len(gone) == 0 {
		g.releaseLocked(k)
		g.noteLocked(next, now)
		return passes
	}
	if len(g.held) > 0 {
		g.holdLocked(k, replacement{previous: previous, next: next, at: now})
		return held
	}
	g.pruneLocked(now)
	known := len(g.routes)
	for _, r := range gone {
		g.moved[r] = now
	}
	if len(g.moved) > max(g.o.Least, int(g.o.Share*float64(known))) {
		g.tripLocked(k, replacement{previous: previous, next: next, at: now}, known, now, d)
		return held
	}
	for _, r := range gone {
		delete(g.routes, r)
	}
	g.rememberLocked(k, previous, next, now, d)
	g.noteLocked(next, now)
	return passes
}

// mayComeBack reports whether an answer could serve in the place of a newer one.
func (m *memory) mayComeBack(now time.Time) bool {
	return m.at != 0 && (m.facts.end == 0 || now.UnixNano() < m.facts.end)
}

// rememberLocked keeps what a move replaced, so that it can be taken back.
func (g *guard) rememberLocked(k roc.Key, previous memory, next *facts, now time.Time, d *Directory) {
	if _, ok := g.before[k]; ok || len(g.before) >= maxHeld {
		return // the first of the window is the one to go back to
	}
	r := replacement{previous: previous, next: next, at: now}
	if d.o.Disk != nil {
		r.raw, r.rawAt, _ = d.o.Disk.get(k)
	}
	g.before[k] = r
}

// tripLocked begins to hold: this answer, and those of the window before it.
func (g *guard) tripLocked(k roc.Key, r replacement, known int, now time.Time, d *Directory) {
	g.since = now
	d.o.Log.Error("the annuaire removes or moves too many routes at once: the previous answers go on serving until an operator approves (rpn annuaire held)",
		"moved", len(g.moved), "known", known, "window", g.o.Window.String())
	g.holdLocked(k, r)
	for k, r := range g.before {
		g.holdLocked(k, r)
		d.known.put(&k, r.previous)
		d.holdBack(&k, now)
		d.unknown.change(&k, func(until *time.Time) { *until = time.Time{} })
		if d.o.Disk != nil && r.raw.Len() > 0 {
			d.o.Disk.put(k, r.rawAt, r.raw)
		}
		if d.o.Shared != nil {
			d.asks.Go(func() { d.o.Shared.drop(d.ctx, k) })
		}
		g.noteLocked(r.previous.facts, now)
	}
	clear(g.before)
	clear(g.moved)
}

func (g *guard) holdLocked(k roc.Key, r replacement) {
	if old := g.held[k]; old != nil {
		r.at = old.at
		g.suspect(old, -1)
	} else if len(g.held) >= maxHeld {
		return
	}
	g.held[k] = &r
	g.suspect(&r, 1)
}

// suspect counts the addresses that a held answer brings.
func (g *guard) suspect(r *replacement, n int) {
	for _, x := range r.next.routesOf() {
		if !slices.Contains(r.previous.facts.routesOf(), x) {
			if g.suspects[x.url] += n; g.suspects[x.url] <= 0 {
				delete(g.suspects, x.url)
			}
		}
	}
}

// suspectLocked reports whether an answer to a key never asked before leads to
// an address that is held back for others.
func (g *guard) suspectLocked(f *facts) bool {
	return slices.ContainsFunc(f.routesOf(), func(r route) bool { return g.suspects[r.url] > 0 })
}

// releaseLocked ends the holding of a key: the annuaire says again what it said.
func (g *guard) releaseLocked(k roc.Key) {
	if r := g.held[k]; r != nil {
		g.suspect(r, -1)
		delete(g.held, k)
	}
	delete(g.before, k)
}

func (g *guard) noteLocked(f *facts, now time.Time) {
	for _, r := range f.routesOf() {
		if _, ok := g.routes[r]; ok || len(g.routes) < maxRoutes {
			g.routes[r] = now
		}
	}
}

// note counts the routes of an answer that nothing was known before.
func (g *guard) note(_ roc.Key, f *facts, now time.Time) {
	if g.o.Share <= 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noteLocked(f, now)
}

// pruneLocked forgets the moves that are older than the window.
func (g *guard) pruneLocked(now time.Time) {
	old := now.Add(-g.o.Window)
	maps.DeleteFunc(g.moved, func(_ route, at time.Time) bool { return !at.After(old) })
	maps.DeleteFunc(g.before, func(_ roc.Key, r replacement) bool { return !r.at.After(old) })
	maps.DeleteFunc(g.approved, func(_ route, until time.Time) bool { return !now.Before(until) })
}

func (g *guard) holds(k roc.Key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held[k] != nil
}

func (g *guard) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.held)
}

// Held is what the guard holds back.
type Held struct {
	Since   time.Time `json:"since,omitzero"` // zero: nothing is held
	Keys    int       `json:"keys"`
	Routes  int       `json:"routes"` // known
	Digest  string    `json:"digest"` // of Changes: what an operator approves
	Changes []Change  `json:"changes"`
}

// Held lists the changes that wait for an operator, by insurer.
func (d *Directory) Held() Held {
	g := d.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.heldLocked()
}

func (g *guard) heldLocked() Held {
	h := Held{Keys: len(g.held), Routes: len(g.routes), Changes: []Change{}}
	if h.Keys == 0 {
		return h
	}
	h.Since = g.since
	by := map[string]*Change{}
	for _, r := range g.held {
		for _, x := range lost(r.previous.facts, r.next) {
			c := Change{AMC: x.amc, Nom: r.previous.facts.nom, Service: x.service.String(), Version: x.version.String(), From: x.url, Since: r.at, To: []string{}}
			for _, n := range r.next.routesOf() {
				if n.service == x.service && n.version == x.version {
					c.To = append(c.To, n.url)
				}
			}
			id := fmt.Sprint(c.AMC, c.Service, c.Version, c.From, c.To)
			if by[id] == nil {
				by[id] = &c
			}
			by[id].Keys++
			if r.at.Before(by[id].Since) {
				by[id].Since = r.at
			}
		}
	}
	sum := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintln(sum, id)
		h.Changes = append(h.Changes, *by[id])
	}
	slices.SortStableFunc(h.Changes, func(a, b Change) int { return cmp.Compare(a.AMC, b.AMC) })
	h.Digest = hex.EncodeToString(sum.Sum(nil)[:8])
	return h
}

// ErrOtherChanges is the error of an Approve of something else than what is
// held now.
var ErrOtherChanges = fmt.Errorf("what is held is no longer what was looked at: look again")

// Approve lets pass what is held, when that is what an operator looked at: the
// digest of Held. For a day the same moves pass for other keys too. It returns
// how many changes it was about.
func (d *Directory) Approve(digest string) (int, error) {
	g := d.guard
	g.mu.Lock()
	h := g.heldLocked()
	if h.Keys == 0 || h.Digest != digest {
		g.mu.Unlock()
		return 0, ErrOtherChanges
	}
	now := d.o.Now()
	waiting := g.held
	for _, r := range waiting {
		for _, x := range lost(r.previous.facts, r.next) {
			g.approved[x] = now.Add(approvedFor)
			delete(g.routes, x)
		}
		g.noteLocked(r.next, now)
	}
	g.held, g.suspects = map[roc.Key]*replacement{}, map[string]int{}
	clear(g.moved)
	clear(g.before)
	g.mu.Unlock()
	d.o.Log.Warn("an operator approved what the annuaire moved", "changes", len(h.Changes), "keys", h.Keys, "digest", digest)
	// The held answers are not used: they are asked again, now.
	for k := range waiting {
		d.known.change(&k, func(m *memory) { m.until, m.retry = min(m.until, now.UnixNano()), 0 })
		d.renew(k)
	}
	return len(h.Changes), nil
}
