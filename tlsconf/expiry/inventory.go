package expiry

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A Kind is whose certificate it is, and for what. The list is closed: it
// labels a metric.
type Kind string

// The kinds.
const (
	OwnServer       Kind = "rpn-serveur"             // what we show to establishments
	OwnClient       Kind = "rpn-client"              // what we show to the annuaire and the AMC
	OwnSignature    Kind = "rpn-signature"           // with which we sign the answers of the façade
	CallerTLS       Kind = "etablissement-tls"       // with which establishments connect
	CallerSignature Kind = "etablissement-signature" // with which they sign
	PeerTLS         Kind = "amc-tls"                 // of the servers of the annuaire and of the AMC
	PeerSignature   Kind = "amc-signature"           // with which they sign
	Authority       Kind = "autorite"                // a CA of a trust store
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{OwnServer, OwnClient, OwnSignature, CallerTLS, CallerSignature, PeerTLS, PeerSignature, Authority}
}

// Nom is the kind in French.
func (k Kind) Nom() string {
	switch k {
	case OwnServer:
		return "RPN, serveur"
	case OwnClient:
		return "RPN, client"
	case OwnSignature:
		return "RPN, signature"
	case CallerTLS:
		return "Établissement, connexion"
	case CallerSignature:
		return "Établissement, signature"
	case PeerTLS:
		return "Organisme ou annuaire, serveur"
	case PeerSignature:
		return "Organisme ou annuaire, signature"
	case Authority:
		return "Autorité"
	}
	return ""
}

// A Level says how near the end is: the last of 60, 30, 14, 7 and 1 days that
// has been passed, or that it is over. The list is closed: it labels a metric.
type Level string

// The levels, from the worst.
const (
	Ended     Level = "termine"
	Within1   Level = "1j"
	Within7   Level = "7j"
	Within14  Level = "14j"
	Within30  Level = "30j"
	Within60  Level = "60j"
	FarEnough Level = "ok"
)

// LevelAt is the level at that time of what ends at end.
func LevelAt(end, at time.Time) Level {
	left := end.Sub(at)
	for _, l := range []struct {
		level Level
		days  int
	}{{Ended, 0}, {Within1, 1}, {Within7, 7}, {Within14, 14}, {Within30, 30}, {Within60, 60}} {
		if left <= time.Duration(l.days)*24*time.Hour {
			return l.level
		}
	}
	return FarEnough
}

// An Expiry is one line of the inventory: what ends, when, whose it is and what
// is at stake.
type Expiry struct {
	Kind    Kind      `json:"nature"`
	Owner   string    `json:"proprietaire"` // structure id, host of a server, or store of a CA
	Subject string    `json:"sujet"`
	Issuer  string    `json:"emetteur"`
	Serial  string    `json:"numero"` // hexadecimal
	From    time.Time `json:"debut"`
	End     time.Time `json:"fin"`
	Seen    time.Time `json:"vu,omitzero"`    // last; zero for what is configured
	Calls   int       `json:"appels_24h"`     // exchanges of the last 24 hours that used it
	Renewed bool      `json:"renouvele"`      // its owner has been seen since with one that ends later
	Level   Level     `json:"niveau"`         // at the time of the question
	Days    int       `json:"jours_restants"` // whole days left; negative: over

	// By the register, filled by whoever knows it.
	Nom         string `json:"nom,omitempty"`
	Departement string `json:"departement,omitempty"`
	Region      string `json:"region,omitempty"`
}

// The bounds of what is remembered, far above the certificates of the country
// (about 3000 establishments, two each, and their renewals). Only certificates
// whose owner has proved the key enter, so no stranger fills it, and no owner
// but its own part; past a bound the one seen longest ago goes.
const (
	maxSeen         = 32_768
	maxSeenPerOwner = 64
	maxSeenBytes    = 256 << 20 // of DER
)

// A Inventory remembers every certificate that was accepted, who uses it and how
// much: since the start of the process, and before by Load. Safe for concurrent use.
type Inventory struct {
	now func() time.Time

	mu      sync.Mutex
	seen    map[[sha256.Size]byte]*seenCertificate
	owned   map[trust.Owner]int // how many of each owner
	bytes   int
	counted map[useKey]*seenCertificate // whose count a call raises
}

// useKey finds what an exchange used: by the serial number of its signer, or
// by who spoke, "" as serial.
type useKey struct {
	kind          Kind
	owner, serial string
}

type seenCertificate struct {
	kind        Kind
	owner       string
	whose       trust.Owner
	certificate *x509.Certificate
	chain       []*x509.Certificate // above it
	last        time.Time
	hours       [24]uint32 // calls by hour of the day
	hour        int64      // the last hour counted, since the epoch
}

// New returns an empty Inventory.
func New(now func() time.Time) *Inventory {
	if now == nil {
		now = time.Now
	}
	return &Inventory{now: now, seen: map[[sha256.Size]byte]*seenCertificate{}, owned: map[trust.Owner]int{}, counted: map[useKey]*seenCertificate{}}
}

// Saw remembers that owner was accepted by that chain, its own certificate
// first, and has proved its key. From now on its calls count for that one.
func (h *Inventory) Saw(kind Kind, owner string, chain []*x509.Certificate) {
	if len(chain) == 0 {
		return
	}
	print := printOf(kind, chain[0])
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seen[print]
	if s == nil {
		s = &seenCertificate{kind: kind, certificate: chain[0], chain: slices.Clone(chain[1:])}
		h.add(print, s)
	}
	if owner = trust.Safe(owner); s.owner != owner {
		h.uncount(s)
	}
	s.owner, s.last = owner, h.now()
	h.count(s)
}

// add takes s in, and makes room for it.
func (h *Inventory) add(print [sha256.Size]byte, s *seenCertificate) {
	whose := trust.OwnerOf(s.certificate)
	s.whose = whose
	for h.owned[whose] >= maxSeenPerOwner {
		h.dropOldest(func(o *seenCertificate) bool { return o.whose == whose })
	}
	for len(h.seen) > 0 && (len(h.seen) >= maxSeen || h.bytes+s.size() > maxSeenBytes) {
		h.dropOldest(func(*seenCertificate) bool { return true })
	}
	h.seen[print] = s
	h.owned[whose]++
	h.bytes += s.size()
}

func (s *seenCertificate) size() int {
	n := len(s.certificate.Raw)
	for _, c := range s.chain {
		n += len(c.Raw)
	}
	return n
}

// count has the calls of the owner of s count for it.
func (h *Inventory) count(s *seenCertificate) {
	h.counted[useKey{s.kind, s.owner, ""}] = s
	h.counted[useKey{s.kind, "", s.certificate.SerialNumber.Text(16)}] = s
}

// printOf names a certificate in one use of it.
func printOf(kind Kind, c *x509.Certificate) [sha256.Size]byte {
	print := [sha256.Size]byte(roc.IDOfCertificate(c))
	for i := range len(kind) {
		print[i] ^= kind[i]
	}
	return print
}

func (h *Inventory) dropOldest(of func(*seenCertificate) bool) {
	var oldest [sha256.Size]byte
	var since time.Time
	for print, s := range h.seen {
		if of(s) && (since.IsZero() || s.last.Before(since)) {
			oldest, since = print, s.last
		}
	}
	gone := h.seen[oldest]
	delete(h.seen, oldest)
	h.bytes -= gone.size()
	if h.owned[gone.whose] > 1 {
		h.owned[gone.whose]--
	} else {
		delete(h.owned, gone.whose)
	}
	h.uncount(gone)
}

// uncount undoes count.
func (h *Inventory) uncount(s *seenCertificate) {
	for _, k := range []useKey{{s.kind, s.owner, ""}, {s.kind, "", s.certificate.SerialNumber.Text(16)}} {
		if h.counted[k] == s {
			delete(h.counted, k)
		}
	}
}

// Used counts one exchange for the certificate that owner showed last.
func (h *Inventory) Used(kind Kind, owner string) { h.use(useKey{kind, owner, ""}) }

// Signed counts one exchange for the signer's certificate of that serial
// number, lower-case hexadecimal.
func (h *Inventory) Signed(kind Kind, serial string) { h.use(useKey{kind, "", serial}) }

func (h *Inventory) use(k useKey) {
	at := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.counted[k]
	if s == nil {
		return
	}
	s.last = at
	s.turn(at)
	s.hours[s.hour%24]++
}

// turn forgets the hours that are more than a day old.
func (s *seenCertificate) turn(at time.Time) {
	hour := at.Unix() / 3600
	if hour-s.hour >= 24 {
		clear(s.hours[:])
	} else {
		for h := s.hour + 1; h <= hour; h++ {
			s.hours[h%24] = 0
		}
	}
	s.hour = max(s.hour, hour)
}

func (s *seenCertificate) calls(at time.Time) (n int) {
	s.turn(at)
	for _, c := range s.hours {
		n += int(c)
	}
	return n
}

// Expiries returns what was seen and what is given (our own certificates, the
// CAs), the nearest end first.
func (h *Inventory) Expiries(given ...Expiry) []Expiry {
	at := h.now()
	h.mu.Lock()
	all := make([]Expiry, 0, len(h.seen)+len(given))
	for _, s := range h.seen {
		e := ExpiryOf(s.kind, s.owner, s.certificate)
		e.Seen, e.Calls = s.last, s.calls(at)
		all = append(all, e)
	}
	h.mu.Unlock()
	all = append(all, given...)
	type whose struct {
		kind  Kind
		owner string
	}
	last := map[whose]time.Time{}
	for _, e := range all {
		if k := (whose{e.Kind, e.Owner}); !e.Seen.IsZero() && e.End.After(last[k]) {
			last[k] = e.End
		}
	}
	for i := range all {
		e := &all[i]
		e.Renewed = !e.Seen.IsZero() && e.End.Before(last[whose{e.Kind, e.Owner}])
		e.Level = LevelAt(e.End, at)
		e.Days = daysLeft(e.End, at)
	}
	slices.SortFunc(all, func(a, b Expiry) int {
		return cmp.Or(a.End.Compare(b.End), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Owner, b.Owner), strings.Compare(a.Serial, b.Serial))
	})
	return all
}

func daysLeft(end, at time.Time) int {
	const day = 24 * time.Hour
	left := end.Sub(at)
	if left < 0 {
		return int((left - day + 1) / day)
	}
	return int(left / day)
}

// ExpiryOf is the line of a certificate that is configured, not seen.
func ExpiryOf(kind Kind, owner string, c *x509.Certificate) Expiry {
	return Expiry{
		Kind: kind, Owner: trust.Safe(owner), Subject: trust.NameOf(c.Subject), Issuer: trust.NameOf(c.Issuer),
		Serial: fmt.Sprintf("%x", c.SerialNumber), From: c.NotBefore, End: c.NotAfter,
	}
}

// today is how long ago somebody still counts as a client of a CA.
const today = 24 * time.Hour

// InUse is for StoreOptions.InUse: it refuses to lose a CA through which
// somebody of that kind came in within 24 hours, and still valid, would not
// come in any more.
func (h *Inventory) InUse(kind Kind, as trust.Purpose) func(old, next *trust.Trust) error {
	return func(old, next *trust.Trust) error {
		at := h.now()
		var lost []*seenCertificate
		h.mu.Lock()
		for _, s := range h.seen {
			if s.kind == kind && at.Sub(s.last) < today && at.Before(s.certificate.NotAfter) &&
				old.Vouches(s.certificate, s.chain, as, at) && !next.Vouches(s.certificate, s.chain, as, at) {
				lost = append(lost, s)
			}
		}
		h.mu.Unlock()
		if len(lost) == 0 {
			return nil
		}
		slices.SortFunc(lost, func(a, b *seenCertificate) int { return strings.Compare(a.owner, b.owner) })
		var who []string
		for _, s := range lost[:min(len(lost), 3)] {
			who = append(who, trust.Safe(s.owner))
		}
		if len(lost) > 3 {
			who = append(who, "...")
		}
		return fmt.Errorf("%w: %d certificates that were used within 24 hours would be refused (%s): put the CA back (%s), or force the reload",
			ErrInUse, len(lost), strings.Join(who, ", "), trust.NameOf(lost[0].certificate.Issuer))
	}
}

// ErrInUse is the error of a reload that takes away a CA with clients.
var ErrInUse = errors.New("a CA that goes still has clients today")
