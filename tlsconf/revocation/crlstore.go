package revocation

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A FailureMode is what is done when nothing certain is known.
type FailureMode string

// The failure modes.
const (
	FailClosed FailureMode = "closed" // refuse
	FailOpen   FailureMode = "open"   // accept
)

// An AgePolicy says how long the last good revocation list of a CA serves.
// That its nextUpdate has passed is not enough to refuse a country: many a CA
// publishes late. Nor may a list serve for ever.
type AgePolicy struct {
	// Warn is how long without news from where the list comes, before that is
	// said to be a problem. Past nextUpdate it always is.
	Warn time.Duration
	// Grace is how long after its nextUpdate a list still serves.
	Grace time.Duration
	// Then is what is done with the certificates of that CA once the grace is
	// over, and while no list was ever obtained.
	Then FailureMode
}

func (p AgePolicy) complete(from AgePolicy) AgePolicy {
	if p.Warn <= 0 {
		p.Warn = from.Warn
	}
	if p.Grace <= 0 {
		p.Grace = from.Grace
	}
	if p.Then == "" {
		p.Then = from.Then
	}
	return p
}

// lists is what is known of every CA at one moment. It never changes: news
// makes another one.
type lists struct {
	of map[trust.IssuerKey]*issuerLists
	// names are the CAs of them, by name: a CA with a new key has its old name.
	names map[string]bool
}

// issuerLists are the lists of one CA: complete ones and deltas, by scope.
type issuerLists struct {
	ca       *x509.Certificate
	age      AgePolicy
	complete map[scope]*crl
	delta    map[scope]*crl
}

// with returns what is known once l is too, and whether that changes who is
// revoked.
func (s *lists) with(l *crl, age AgePolicy) (next *lists, changed bool, err error) {
	old := s.of[l.issuer]
	n := &issuerLists{ca: l.ca, age: age, complete: map[scope]*crl{}, delta: map[scope]*crl{}}
	if old != nil {
		maps.Copy(n.complete, old.complete)
		maps.Copy(n.delta, old.delta)
	}
	if l.base != nil {
		err = n.addDelta(l)
	} else {
		err = n.addComplete(l)
	}
	if err != nil {
		return nil, false, err
	}
	next = &lists{of: maps.Clone(s.of), names: maps.Clone(s.names)}
	next.of[l.issuer] = n
	next.names[trust.NameKey(l.ca.RawSubject)] = true
	return next, !sameEntries(old, n), nil
}

// holds says whether that very list is in use.
func (s *lists) holds(l *crl) bool {
	n := s.of[l.issuer]
	return n != nil && n.complete[l.scope] != nil && n.complete[l.scope].digest == l.digest
}

func (n *issuerLists) addComplete(l *crl) error {
	if err := l.supersedes(n.complete[l.scope]); err != nil {
		return err
	}
	n.complete[l.scope] = l
	if d := n.delta[l.scope]; d != nil && d.number != nil && l.number != nil && l.number.Cmp(d.number) >= 0 {
		delete(n.delta, l.scope)
	}
	return nil
}

// errNoBase: a delta came before the complete list that it needs.
var errNoBase = errors.New("is a delta list without the list it is to")

// addDelta takes a delta whose complete list is here (RFC 5280 section 5.2.4).
func (n *issuerLists) addDelta(l *crl) error {
	base := n.complete[l.scope]
	switch {
	case base == nil:
		return fmt.Errorf("%w: the complete list of %s is not known", errNoBase, trust.NameOf(l.ca.Subject))
	case base.number == nil || l.number == nil || base.number.Cmp(l.base) < 0:
		return fmt.Errorf("%w: it is to the list number %s, and the one known is %s", errNoBase, l.base, base.number)
	case base.number.Cmp(l.number) >= 0:
		return nil // the complete list says as much, or more: nothing to add
	}
	if err := l.supersedes(n.delta[l.scope]); err != nil {
		return err
	}
	n.delta[l.scope] = l
	return nil
}

func sameEntries(a, b *issuerLists) bool {
	if a == nil {
		return false
	}
	same := func(x, y *crl) bool { return x.entries == y.entries }
	return maps.EqualFunc(a.complete, b.complete, same) && maps.EqualFunc(a.delta, b.delta, same)
}

// A standing is how much the lists of a CA say at one moment.
type standing int

const (
	unheard standing = iota // no list
	current
	late  // past nextUpdate, within the grace
	stale // past the grace
)

func (s standing) String() string {
	return [...]string{"unheard", "current", "late", "stale"}[s]
}

// standing of the lists that speak of c at that time: of several, the best.
func (n *issuerLists) standing(c *x509.Certificate, at time.Time) standing {
	best := unheard
	if n == nil {
		return best
	}
	for s, l := range n.complete {
		if !s.covers(c) {
			continue
		}
		if is := n.age.standing(l, n.delta[s], at); best == unheard || is < best {
			best = is
		}
	}
	return best
}

// standing of one list, with its delta or nil, at that time. A delta in force
// speaks for its complete list.
func (p AgePolicy) standing(l, delta *crl, at time.Time) standing {
	to := l.to
	if delta != nil && delta.to.After(to) {
		to = delta.to
	}
	switch {
	case !at.After(to):
		return current
	case !at.After(to.Add(p.Grace)):
		return late
	}
	return stale
}

// find says whether a list of the CA has c, whatever its age and scope: a
// revocation does not pass with time.
func (n *issuerLists) find(serial []byte) (revocation, bool) {
	if n == nil {
		return revocation{}, false
	}
	for s, l := range n.complete {
		if d := n.delta[s]; d != nil {
			if r, ok := d.revoked.find(serial); ok {
				if r.reason == removeFromCRL {
					continue
				}
				return r, true
			}
		}
		if r, ok := l.revoked.find(serial); ok {
			return r, true
		}
	}
	return revocation{}, false
}

// A ListStatus is what is known of one CA's list, for metrics and people.
type ListStatus struct {
	CA         string    // its name
	CommonName string    // of the CA: the label of a metric
	Number     string    // hexadecimal, or ""
	From       time.Time // thisUpdate
	To         time.Time // nextUpdate
	Entries    int
	Odd        int         // entries that were odd, left out or counted as revoked
	Bytes      int         // of memory
	State      string      // "current", "late" (past nextUpdate, still serving) or "stale" (past the grace)
	Then       FailureMode // what a stale one means
}

func (s *lists) status(at time.Time) []ListStatus {
	var all []ListStatus
	for _, n := range s.of {
		for where, l := range n.complete {
			one := ListStatus{CA: trust.NameOf(n.ca.Subject), CommonName: trust.Cut(n.ca.Subject.CommonName, trust.MaxValue), From: l.from, To: l.to,
				Entries: l.revoked.count, Odd: l.odd, Bytes: l.revoked.bytes(), Then: n.age.Then}
			if l.number != nil {
				one.Number = l.number.Text(16)
			}
			if d := n.delta[where]; d != nil {
				one.From, one.To, one.Number = d.from, d.to, d.number.Text(16)
				one.Odd += d.odd
				one.Entries, one.Bytes = one.Entries+d.revoked.count, one.Bytes+d.revoked.bytes()
			}
			one.State = n.age.standing(l, n.delta[where], at).String()
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b ListStatus) int {
		if a.CA != b.CA {
			if a.CA < b.CA {
				return -1
			}
			return 1
		}
		return a.From.Compare(b.From)
	})
	return all
}
