package annuaire

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Change is a route that the annuaire removed or moved, and that is held.
type Change struct {
	AMC      roc.NumeroAMC `json:"amc"`
	Service  string        `json:"service"`
	Version  string        `json:"version"`
	From     string        `json:"from"`
	To       string        `json:"to"`   // "": removed
	Host     string        `json:"host"` // of To: what an operator approves or rejects
	Keys     int           `json:"keys"` // that it was seen for, 16 at most
	Since    time.Time     `json:"since"`
	Rejected bool          `json:"rejected,omitempty"`
}

// A Newcomer is a host that the annuaire names for an insurer and that the
// register does not know: messages for it are refused as quarantined.
type Newcomer struct {
	AMC      roc.NumeroAMC `json:"amc"`
	Host     string        `json:"host"` // "": the AMC itself is not in the register
	NewAMC   bool          `json:"new_amc,omitempty"`
	Since    time.Time     `json:"since"`
	Last     time.Time     `json:"last"`
	Refused  int           `json:"refused"` // messages
	Rejected bool          `json:"rejected,omitempty"`
}

// Held is what waits for an operator.
type Held struct {
	Since       time.Time  `json:"since,omitzero"` // zero: no change is held
	Routes      int        `json:"routes"`         // known
	Changes     []Change   `json:"changes"`
	Quarantined []Newcomer `json:"quarantined"`
}

// Waiting is how many changes and hosts nobody has decided on.
func (h *Held) Waiting() (n int) {
	for _, c := range h.Changes {
		if !c.Rejected {
			n++
		}
	}
	for _, q := range h.Quarantined {
		if !q.Rejected {
			n++
		}
	}
	return n
}

// Held lists what waits for an operator, by insurer.
func (d *Directory) Held() Held {
	h := d.limiter.list()
	h.Quarantined = d.quarantine.list(d.o.Acts.all())
	return h
}

func (l *changeLimiter) list() Held {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := Held{Routes: len(l.routes), Changes: []Change{}}
	for x, d := range l.held.all() {
		h.Changes = append(h.Changes, Change{
			AMC: x.route.AMC, Service: x.route.Service.String(), Version: x.route.Version.String(), From: d.from, To: d.to, Host: x.host,
			Keys: len(d.keys), Since: d.at, Rejected: l.decided.rejected(x.route.AMC, x.host),
		})
	}
	if len(h.Changes) > 0 {
		h.Since = l.since
	}
	slices.SortFunc(h.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.AMC, b.AMC), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Host, b.Host))
	})
	return h
}

// ErrNothingHeld is the error of an act about what is neither held nor
// quarantined: nobody approves in advance, or by a slip of the pen.
var ErrNothingHeld = errors.New("nothing of that insurer is held or quarantined for that host: look with `rpn annuaire held`")

// Decide does what an operator says about an insurer and a host: lets pass what
// is held or quarantined, that host and nothing else, or keeps it away until it
// is approved. It is written down first. It returns how many routes and hosts
// it was about.
func (d *Directory) Decide(a Act) (int, error) {
	a.Host = strings.ToLower(a.Host)
	if a.Act != Approve && a.Act != Reject {
		return 0, fmt.Errorf("%q is neither %s nor %s", a.Act, Approve, Reject)
	}
	if a.Who == "" || a.Why == "" {
		return 0, errors.New("an act needs who and why")
	}
	n := d.limiter.countHeld(a.AMC, a.Host) + d.quarantine.count(a.AMC, a.Host)
	if n == 0 {
		return 0, ErrNothingHeld
	}
	a.At = d.o.Now().UTC()
	if err := d.o.Acts.add(a); err != nil {
		return 0, err
	}
	d.o.Log.Info("an operator decided on what the annuaire changed", "event", "annuaire_decided", "act", a.Act, "amc", string(a.AMC), "host", a.Host, "who", a.Who, "why", a.Why, "changes", n)
	keys := d.limiter.decide(a)
	if a.Act == Approve {
		d.quarantine.forget(a.AMC, a.Host)
	}
	// The held answers are not used: they are asked again, now.
	for _, k := range keys {
		d.known.change(&k, func(m *memory) { m.until, m.retry = min(m.until, a.At.UnixNano()), 0 })
		d.renew(k)
	}
	return n, nil
}

func (l *changeLimiter) countHeld(amc roc.NumeroAMC, host string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := range l.held[amc] {
		if h.host == host {
			n++
		}
	}
	return n
}

// decide takes an act into account, and returns the keys that waited for it.
func (l *changeLimiter) decide(a Act) (keys []roc.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decided[decided{a.AMC, a.Host}] = a
	l.changed = true
	if a.Act == Reject {
		return nil
	}
	for h, d := range l.held[a.AMC] {
		if h.host != a.Host {
			continue
		}
		if a.Host != "" {
			l.noteLocked(h.route, firstAddress{URL: d.to, Seen: a.At})
		}
		for k := range d.keys {
			keys = append(keys, k)
		}
		l.held.drop(h)
	}
	return keys
}

// quarantine remembers the hosts that the register does not know, a bounded
// number.
type quarantine struct {
	mu sync.Mutex // guards by
	by map[decided]*Newcomer
}

// maxQuarantined bounds how many newcomers are listed; beyond, messages are
// refused all the same.
const maxQuarantined = 10_000

// Quarantined is told that a message was refused because the register does not
// know the host, or the AMC. Each is logged once.
func (d *Directory) Quarantined(amc roc.NumeroAMC, host string, newAMC bool) {
	now := d.o.Now().UTC()
	q := &d.quarantine
	q.mu.Lock()
	defer q.mu.Unlock()
	k := decided{amc, host}
	if n := q.by[k]; n != nil {
		n.Last = now
		n.Refused++
		return
	}
	if len(q.by) >= maxQuarantined {
		return
	}
	q.by[k] = &Newcomer{AMC: amc, Host: host, NewAMC: newAMC, Since: now, Last: now, Refused: 1}
	d.o.Log.Warn("the annuaire names what the register does not know: its messages are refused until an operator decides (rpn annuaire held)",
		"event", "annuaire_quarantined", "amc", string(amc), "host", host, "new_amc", newAMC)
}

func (q *quarantine) list(acts decisions) []Newcomer {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := []Newcomer{}
	for k, n := range q.by {
		x := *n
		x.Rejected = acts.rejected(k.amc, k.host)
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b Newcomer) int { return cmp.Or(cmp.Compare(a.AMC, b.AMC), cmp.Compare(a.Host, b.Host)) })
	return list
}

// count is 1 when that host can be decided on. An AMC that is not in the
// register cannot: it must be written there.
func (q *quarantine) count(amc roc.NumeroAMC, host string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.by[decided{amc, host}]; n != nil && !n.NewAMC {
		return 1
	}
	return 0
}

func (q *quarantine) forget(amc roc.NumeroAMC, host string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.by, decided{amc, host})
}

// A snapshot is what the limiter keeps over a restart. No key is in it.
type snapshot struct {
	Routes []snapshotRoute `json:"routes"`
	Since  time.Time       `json:"since,omitzero"`
}

type snapshotRoute struct {
	AMC     roc.NumeroAMC  `json:"amc"`
	Service string         `json:"service"`
	Version string         `json:"version"`
	First   []firstAddress `json:"first,omitempty"`
	Moved   *move          `json:"moved,omitempty"`
	Held    []move         `json:"held,omitempty"`
}

// save writes the snapshot when something changed since the last one.
func (l *changeLimiter) save(file string) error {
	l.mu.Lock()
	if file == "" || !l.changed {
		l.mu.Unlock()
		return nil
	}
	l.changed = false
	by := map[Route]*snapshotRoute{}
	at := func(r Route) *snapshotRoute {
		if by[r] == nil {
			by[r] = &snapshotRoute{AMC: r.AMC, Service: r.Service.String(), Version: r.Version.String()}
		}
		return by[r]
	}
	for r, list := range l.routes {
		at(r).First = slices.Clone(list)
	}
	for r, m := range l.moved {
		at(r).Moved = &m
	}
	for h, d := range l.held.all() {
		x := at(h.route)
		x.Held = append(x.Held, move{From: d.from, To: d.to, At: d.at})
	}
	s := snapshot{Since: l.since}
	l.mu.Unlock()
	for _, x := range by {
		s.Routes = append(s.Routes, *x)
	}
	slices.SortFunc(s.Routes, func(a, b snapshotRoute) int {
		return cmp.Or(cmp.Compare(a.AMC, b.AMC), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version))
	})
	data, err := json.Marshal(s)
	if err == nil {
		err = durable.WriteFile(file, data, 0o600)
	}
	if err != nil {
		l.mu.Lock()
		l.changed = true // the next save tries again
		l.mu.Unlock()
	}
	return err
}

// load reads what save wrote. A file that is not there is none.
func (l *changeLimiter) load(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%s: not the routes that the annuaire gave: move it away to begin with none: %w", file, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = s.Since
	for _, x := range s.Routes {
		service, err1 := roc.ParseService(x.Service)
		version, err2 := roc.ParseVersion(x.Version)
		if err1 != nil || err2 != nil || len(l.routes) >= maxRoutes {
			continue
		}
		r := Route{x.AMC, service, version}
		if len(x.First) > 0 {
			l.routes[r] = x.First[:min(len(x.First), maxFirst)]
		}
		if x.Moved != nil {
			l.moved[r] = *x.Moved
		}
		for _, m := range x.Held {
			l.held.put(heldChange{r, hostOf(m.To)}, &heldDetails{from: m.From, to: m.To, at: m.At, keys: map[roc.Key]bool{}})
		}
	}
	return nil
}
