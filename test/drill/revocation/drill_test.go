package revocation_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func TestMain(m *testing.M) { os.Exit(nation.Main(m)) }

// Small by default: the outcome only, no figure. make drill-revocation plays
// the large one.
var (
	connections    = flag.Int("connections", 48, "open connections")
	establishments = flag.Int("establishments", 8, "establishments they are of: a quarter for each means, a quarter that stays")
	rounds         = flag.Int("rounds", 1, "changes of each means")
	limit          = flag.Duration("limit", time.Hour, "what the 99th percentile must stay below")
)

// A country is the nation, the binary before it, and its visitors.
type country struct {
	*nation.Nation
	t        *testing.T
	denyKey  crypto.Signer
	sequence uint64
	number   int64
	denied   []string
	revoked  []x509.RevocationListEntry
	people   []*visitor
}

func TestWhoIsOutIsOut(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	c.open()
	r := &report{connections: *connections, establishments: *establishments}
	rest := c.people
	for _, m := range []means{
		{"deny list", c.deny, true},
		{"revocation list of the CA", c.revoke, true},
		{"register (suspendu)", c.suspend, false},
	} {
		of := rest[:len(c.people)/4]
		rest = rest[len(of):]
		each := max(1, len(of) / *rounds)
		for batch := range slices.Chunk(of, each) {
			c.round(m, batch, rest, r)
		}
	}
	for _, v := range rest {
		r.disturbed += v.disturbed()
	}
	r.print(t.Output())
	for _, f := range r.faults(*limit) {
		t.Error(f)
	}
	if n, want := len(r.all()), *connections*3/4; n < want {
		t.Errorf("%d connections were measured, want the %d of those who were put out", n, want)
	}
}

// A means of putting somebody out. Where it is for the handshake too, nobody
// concerned gets through one any more; else their messages are refused.
type means struct {
	name      string
	put       func(out []*visitor) error // on disk
	handshake bool
}

// round puts a batch out and waits until every connection of theirs has ended.
func (c *country) round(m means, out, rest []*visitor, r *report) {
	c.t.Helper()
	began := time.Now()
	if err := m.put(out); err != nil {
		c.t.Fatal(err)
	}
	await.Until(c.t, m.name+": nobody who is out has a connection", func() bool {
		return !slices.ContainsFunc(out, func(v *visitor) bool { return v.open() > 0 })
	})
	var last time.Time
	for _, v := range out {
		for _, l := range v.lines {
			at, _ := l.ended()
			r.add(m.name, at.Sub(began))
			if at.After(last) {
				last = at
			}
		}
	}
	// From here on, nothing of theirs is accepted: neither on a session they
	// still have, nor on a new one, nor a signed message.
	time.Sleep(300 * time.Millisecond)
	for _, v := range out {
		if at := v.lastCarried(); at.After(began) {
			r.add(m.name, at.Sub(began))
			if at.After(last) {
				r.accepted++
			}
		}
		if m.handshake {
			r.accepted += v.tries()
		} else {
			r.accepted += v.sends()
		}
	}
	for _, v := range rest {
		r.disturbed += v.disturbed()
	}
	c.t.Logf("%s: %d establishments out, the last connection after %s", m.name, len(out), last.Sub(began).Round(time.Millisecond))
}

func newCountry(t *testing.T) *country {
	t.Helper()
	c := &country{t: t, Nation: nation.New(t, nation.NotStarted,
		nation.Section("revocation", "lists: [liste.crl]\ndeny: exclusion/deny.list\ndeny_signers: [exclusion/deny-signer.pem]"))}
	key, _, _ := c.DenyFiles()
	var err error
	if c.denyKey, err = trust.ReadKey(key); err != nil {
		t.Fatal(err)
	}
	c.sequence = 1 // of the nation's list, of nobody
	if err := c.revoke(nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range c.people {
			v.close()
		}
	})
	for range *establishments {
		// Its questions are as many as its connections, each second.
		c.people = append(c.people, newVisitor(c, c.Etablissement(nation.Limited(1e6, 1e6))))
	}
	c.Start()
	return c
}

// open opens every connection: for each establishment half of them resumed.
func (c *country) open() {
	c.t.Helper()
	began := time.Now()
	var all sync.WaitGroup
	turns := make(chan struct{}, 8)
	for _, v := range c.people {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if err := v.connect(*connections / *establishments); err != nil {
				c.t.Error(err)
			}
		})
	}
	all.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
	resumed := 0
	for _, v := range c.people {
		resumed += v.resumed
		v.start()
	}
	c.t.Logf("%d connections open in %s, %d of them resumed", *connections, time.Since(began).Round(time.Millisecond), resumed)
	if resumed == 0 {
		c.t.Fatal("no session was resumed: the drill would not show what it must")
	}
}

// deny signs a list that adds these.
func (c *country) deny(out []*visitor) error {
	for i, v := range out {
		if i%2 == 0 {
			c.denied = append(c.denied, "structure "+string(roc.StructureOf(v.e.EJ)))
		} else {
			c.denied = append(c.denied, revocation.DenyLine(v.e.TLS.Cert))
		}
	}
	c.sequence++
	signed, err := revocation.SignDenyList([]byte(strings.Join(c.denied, "\n")), c.sequence, time.Now(), c.denyKey)
	if err != nil {
		return err
	}
	_, _, list := c.DenyFiles()
	return durable.WriteFile(list, signed, 0o644)
}

// revoke publishes a list of the CA that adds these.
func (c *country) revoke(out []*visitor) error {
	for _, v := range out {
		c.revoked = append(c.revoked, x509.RevocationListEntry{SerialNumber: v.e.TLS.Cert.SerialNumber, RevocationTime: time.Now(), ReasonCode: 1})
	}
	c.number++
	return durable.WriteFile(c.File("liste.crl"), c.PKI.CRL(igc.EtablissementTLS, igc.List{Number: c.number, Entries: c.revoked}), 0o644)
}

// suspend changes the register.
func (c *country) suspend(out []*visitor) error {
	for _, v := range out {
		if err := c.Change(v.e.ID, func(p *inner.Character) { p.Etat = "suspendu" }); err != nil {
			return err
		}
	}
	return nil
}

// A visitor is an establishment, its connections, and its signed messages.
type visitor struct {
	c       *country
	e       *nation.Etablissement
	config  *tls.Config // with a session cache
	lines   []*line
	resumed int
	cancel  context.CancelFunc
	sending sync.WaitGroup

	mu      sync.Mutex // guards what follows
	carried time.Time  // when the last message that an AMC answered was sent
	failed  int        // messages that were not
}

func newVisitor(c *country, e *nation.Etablissement) *visitor {
	own := e.TLS.TLS()
	return &visitor{c: c, e: e, cancel: func() {}, config: &tls.Config{
		RootCAs: c.PKI.Pool(igc.EtablissementTLS), ServerName: "127.0.0.1",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
		ClientSessionCache:   tls.NewLRUClientSessionCache(4),
	}}
}

func (v *visitor) address() string {
	return strings.TrimSuffix(strings.TrimPrefix(v.c.URL(), "https://"), "/roc")
}

// connect opens n connections, every second one on a resumed session.
func (v *visitor) connect(n int) error {
	full := v.config.Clone()
	full.ClientSessionCache = nil
	for i := range n {
		config := v.config
		if i%2 == 1 {
			config = full
		}
		l, err := openLine(v.address(), config)
		if err != nil {
			return fmt.Errorf("%s: %w", v.e.ID, err)
		}
		if l.conn.ConnectionState().DidResume {
			v.resumed++
		}
		v.lines = append(v.lines, l)
	}
	return nil
}

// start keeps the connections busy, and sends signed messages meanwhile.
func (v *visitor) start() {
	ctx, cancel := context.WithCancel(v.c.t.Context())
	v.cancel = cancel
	for i, l := range v.lines {
		l.start(time.Duration(i) * time.Second / time.Duration(len(v.lines)))
	}
	v.sending.Go(func() {
		for ctx.Err() == nil {
			sent := time.Now()
			out := v.send(ctx)
			v.mu.Lock()
			if out.Answered("00") {
				v.carried = sent
			} else if ctx.Err() == nil {
				v.failed++
			}
			v.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond): // before the next message: nothing is awaited
			}
		}
	})
}

func (v *visitor) send(ctx context.Context) inner.Outcome {
	return v.e.Etablissement.Send(ctx, roc.IDB, roc.V2, soap.SOAP12, "bleue")
}

func (v *visitor) lastCarried() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.carried
}

// sends says how many of one more message is carried: 0 is right.
func (v *visitor) sends() int {
	if out := v.send(v.c.t.Context()); out.Answered("00") {
		return 1
	}
	return 0
}

// tries says how many of two more connections are served, on the session it
// still has and on a new one: 0 is right.
func (v *visitor) tries() (served int) {
	full := v.config.Clone()
	full.ClientSessionCache = nil
	for _, config := range []*tls.Config{v.config, full} {
		if l, err := openLine(v.address(), config); err == nil {
			served++
			l.conn.Close()
		}
	}
	return served
}

func (v *visitor) open() (n int) {
	for _, l := range v.lines {
		if _, ended := l.ended(); !ended {
			n++
		}
	}
	return n
}

// disturbed is how many of its connections ended and messages failed.
func (v *visitor) disturbed() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.failed + len(v.lines) - v.open()
	return n
}

func (v *visitor) close() {
	v.cancel()
	v.sending.Wait()
	for _, l := range v.lines {
		l.close()
	}
}
