package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Names remembers the addresses that DNS last gave for each name: while DNS does
// not answer, they serve for a bounded time (RFC 8767). An address that no longer
// belongs to a name gains nothing: who answers there must have the certificate of
// that name, and the filter decides at the dial. What DNS says is followed at once,
// also that a name is no more. Safe for concurrent use.
type Names struct {
	o NamesOptions

	mu   sync.Mutex // guards what follows, and the names
	by   map[string]*name
	told bool // of an outage
}

// NamesOptions are what Names needs; all but OnFailing are required.
type NamesOptions struct {
	// Ask asks DNS, as the method LookupNetIP of a net.Resolver.
	Ask func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// Serve is how long addresses serve after DNS gave them. 0: they do not.
	Serve time.Duration
	// Now is the clock.
	Now func() time.Time
	// OnFailing is told that DNS does not answer (err), and that it does again
	// (nil). May be nil.
	OnFailing func(err error)
}

type name struct {
	addresses []netip.Addr // that DNS gave last
	at        time.Time    // when
	wanted    time.Time    // when somebody last needed it
	failing   error        // the last question failed; nil: it did not
	since     time.Time    // of the first of these failures
}

const (
	mostNames = 4096
	// firstAnswer is how long a question may take while there is an address that
	// serves instead.
	firstAnswer = 500 * time.Millisecond
	// again is how often a name that DNS does not answer for is asked, in the
	// background; meanwhile nobody waits for it.
	again = time.Second
	// unwanted is how long a name that fails and that nobody needs is still asked.
	unwanted = time.Hour
)

// NewNames makes one. Run it.
func NewNames(o NamesOptions) *Names { return &Names{o: o, by: map[string]*name{}} }

// Found are the addresses of a name. Stale is why DNS does not say so now; nil: it
// does.
type Found struct {
	Addresses []netip.Addr
	Stale     error
}

// Because says why none of the addresses could be connected to: where DNS does not
// say whether they are those of the name still, it is DNS.
func (f Found) Because(err error) error {
	if f.Stale == nil || errors.Is(err, ErrForbidden) {
		return err
	}
	return fmt.Errorf("the last address known: %v; %w", err, f.Stale)
}

// lookup finds the addresses of a host.
func (n *Names) lookup(ctx context.Context, host string) (Found, error) {
	kept, failing := n.kept(host)
	if failing != nil && len(kept) > 0 {
		return Found{kept, failing}, nil // Run asks again
	}
	if len(kept) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, firstAnswer)
		defer cancel()
	}
	list, err := n.ask(ctx, host)
	if err != nil && len(kept) > 0 && FaultOf(err) == OfTheResolver && !errors.Is(context.Cause(ctx), context.Canceled) {
		return Found{kept, err}, nil
	}
	return Found{Addresses: list}, err
}

// kept are the addresses that serve for a host, and whether DNS failed of late.
func (n *Names) kept(host string) (list []netip.Addr, failing error) {
	now := n.o.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.by[host]
	if e == nil {
		return nil, nil
	}
	e.wanted = now
	if now.Sub(e.at) < n.o.Serve {
		list = slices.Clone(e.addresses)
	}
	return list, e.failing
}

// ask asks DNS, and keeps what comes of it.
func (n *Names) ask(ctx context.Context, host string) ([]netip.Addr, error) {
	list, err := n.o.Ask(ctx, "ip", host)
	if errors.Is(ctx.Err(), context.Canceled) {
		return list, err // who asked has left: that says nothing
	}
	now := n.o.Now()
	n.mu.Lock()
	e := n.by[host]
	if e == nil {
		n.dropLocked()
		e = &name{wanted: now}
		n.by[host] = e
	}
	switch {
	case err == nil:
		*e = name{addresses: slices.Clone(list), at: now, wanted: e.wanted}
	case FaultOf(err) != OfTheResolver: // it says that there is none
		delete(n.by, host)
	case e.failing == nil:
		e.failing, e.since = err, now
	}
	told := n.notifyLocked()
	n.mu.Unlock()
	told()
	return list, err
}

// notifyLocked notes whether a name fails; what it returns says so, where that is new.
func (n *Names) notifyLocked() func() {
	var why error
	for _, e := range n.by {
		if e.failing != nil {
			why = e.failing
			break
		}
	}
	if n.told == (why != nil) || n.o.OnFailing == nil {
		return func() {}
	}
	n.told = why != nil
	return func() { n.o.OnFailing(why) }
}

// dropLocked keeps the names bounded: the one that was needed longest ago goes.
func (n *Names) dropLocked() {
	if len(n.by) < mostNames {
		return
	}
	var oldest string
	for host, e := range n.by {
		if o := n.by[oldest]; o == nil || e.wanted.Before(o.wanted) {
			oldest = host
		}
	}
	delete(n.by, oldest)
}

// Run asks again for the names that DNS does not answer for, one a second, and all
// once it answers, until ctx ends.
func (n *Names) Run(ctx context.Context) {
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, host := range n.failing() {
			ask, cancel := context.WithTimeout(ctx, 2*again)
			_, err := n.ask(ask, host)
			cancel()
			if ctx.Err() != nil || err != nil && FaultOf(err) == OfTheResolver {
				break
			}
		}
	}
}

// failing are the names that DNS does not answer for, in no order, so that one that
// fails alone does not keep the others waiting; those that nobody needs are dropped.
func (n *Names) failing() (list []string) {
	now := n.o.Now()
	n.mu.Lock()
	for host, e := range n.by {
		switch {
		case e.failing == nil:
		case now.Sub(e.wanted) > unwanted:
			delete(n.by, host)
		default:
			list = append(list, host)
		}
	}
	told := n.notifyLocked()
	n.mu.Unlock()
	told()
	return list
}

// Failing returns nil, or what an operator is to know: for which names DNS does not
// answer, since when, and until when their last addresses serve.
func (n *Names) Failing() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var hosts []string
	var since, until time.Time
	without := 0
	for host, e := range n.by {
		if e.failing == nil {
			continue
		}
		hosts = append(hosts, host)
		if since.IsZero() || e.since.Before(since) {
			since = e.since
		}
		if end := e.at.Add(n.o.Serve); len(e.addresses) == 0 || !n.o.Now().Before(end) {
			without++
		} else if until.IsZero() || end.Before(until) {
			until = end
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	slices.Sort(hosts)
	text := fmt.Sprintf("DNS does not answer for %d of %d names since %s", len(hosts), len(n.by), since.UTC().Format(time.RFC3339))
	if !until.IsZero() {
		text += "; the last addresses serve until " + until.UTC().Format(time.RFC3339)
	}
	if without > 0 {
		text += fmt.Sprintf("; %d have none", without)
	}
	return errors.New(text + ": " + strings.Join(hosts[:min(len(hosts), 10)], ", "))
}
