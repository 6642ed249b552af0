package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/tlsconf/revocation"
)

type options struct {
	connections, establishments, rounds int
	limit                               time.Duration
	out                                 io.Writer
	patience                            time.Duration // for a round. 0: 15 s
}

// A country is the nation, the binary before it, and its visitors.
type country struct {
	*nation.Nation
	o        options
	rpn      *exec.Cmd
	log      *os.File
	denyKey  ed25519.PrivateKey
	sequence uint64
	number   int64
	denied   []string
	revoked  []x509.RevocationListEntry
	people   []*visitor
}

func drill(ctx context.Context, o options) (*report, error) {
	if o.patience == 0 {
		o.patience = 15 * time.Second
	}
	c, err := newCountry(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	r := &report{connections: o.connections, establishments: len(c.people)}
	rest := c.people
	for _, m := range []means{
		{"deny list", c.deny, true},
		{"revocation list of the CA", c.revoke, true},
		{"register (suspendu)", c.suspend, false},
	} {
		of := rest[:len(c.people)/4]
		rest = rest[len(of):]
		each := max(1, len(of)/o.rounds)
		for batch := range slices.Chunk(of, each) {
			if err := c.round(ctx, m, batch, rest, r); err != nil {
				return nil, err
			}
		}
	}
	for _, v := range rest {
		r.disturbed += v.disturbed()
	}
	return r, ctx.Err()
}

// A means of putting somebody out. Where it is for the handshake too, nobody
// concerned gets through one any more; else their messages are refused.
type means struct {
	name      string
	put       func(out []*visitor) error // on disk
	handshake bool
}

// round puts a batch out and waits until every connection of theirs has ended.
func (c *country) round(ctx context.Context, m means, out, rest []*visitor, r *report) error {
	began := time.Now()
	if err := m.put(out); err != nil {
		return err
	}
	end := began.Add(c.o.patience)
	for time.Now().Before(end) && ctx.Err() == nil && slices.ContainsFunc(out, func(v *visitor) bool { return v.open() > 0 }) {
		time.Sleep(20 * time.Millisecond)
	}
	var last time.Time
	for _, v := range out {
		r.stillOpen += v.open()
		for _, l := range v.lines {
			if at, ended := l.ended(); ended {
				r.add(m.name, at.Sub(began))
				if at.After(last) {
					last = at
				}
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
			r.accepted += v.sends(ctx)
		}
	}
	for _, v := range rest {
		r.disturbed += v.disturbed()
	}
	fmt.Fprintf(c.o.out, "%s: %d establishments out, the last connection after %s\n", m.name, len(out), last.Sub(began).Round(time.Millisecond))
	return ctx.Err()
}

func newCountry(ctx context.Context, o options) (_ *country, err error) {
	c := &country{o: o}
	var people []nation.Character
	for i := range o.establishments {
		people = append(people, nation.Character{
			ID: fmt.Sprintf("es%03d", i), Nom: fmt.Sprintf("Etablissement fictif %d", i), EJ: roc.FINESS(fmt.Sprintf("%09d", 990000001+10*i)), Etat: "cercle",
			TLS: []igc.Option{igc.ECDSA()}, Sign: []igc.Option{igc.ECDSA()},
		})
	}
	if c.Nation, err = nation.New(ctx, nation.Options{
		Etablissements: people, WithoutRPN: true,
		Sections: map[string]string{"revocation": "lists: [liste.crl]\ndeny: deny.list\ndeny_signers: [deny-signer.pem]"},
	}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if _, c.denyKey, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	signer, err := x509.MarshalPKIXPublicKey(c.denyKey.Public())
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		os.WriteFile(c.file("deny-signer.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: signer}), 0o600),
		os.WriteFile(c.file("tickets.secret"), []byte(rand.Text()+rand.Text()), 0o600),
		c.deny(nil), c.revoke(nil), c.configure())
	if err != nil {
		return nil, err
	}
	return c, c.start(ctx)
}

func (c *country) file(name string) string { return filepath.Join(c.Dir, name) }

func (c *country) configure() error {
	f, err := os.OpenFile(c.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("tickets: tickets.secret\n")
	return errors.Join(err, f.Close())
}

// start builds the binary and runs it.
func (c *country) start(ctx context.Context) (err error) {
	build := exec.CommandContext(ctx, "go", "build", "-o", c.file("rpn-binary"), "github.com/piano-roc/rpn/cmd/rpn")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	if c.log, err = os.Create(c.LogFile()); err != nil {
		return err
	}
	c.rpn = exec.Command(c.file("rpn-binary"), "serve", "--config", c.ConfigFile())
	c.rpn.Stdout, c.rpn.Stderr = c.log, c.log
	if err := c.rpn.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get(c.AdminURL() + "/readyz")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	text, _ := os.ReadFile(c.LogFile())
	return fmt.Errorf("the RPN is not ready after 30 s:\n%s", text)
}

func (c *country) close() {
	for _, v := range c.people {
		v.close()
	}
	if c.rpn != nil && c.rpn.Process != nil {
		c.rpn.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(15*time.Second, func() { c.rpn.Process.Kill() })
		c.rpn.Wait()
		late.Stop()
	}
	if c.log != nil {
		c.log.Close()
	}
	c.Nation.Close()
}

// open opens every connection: for each establishment half of them resumed.
func (c *country) open(ctx context.Context) error {
	began := time.Now()
	var mu sync.Mutex
	var failed []error
	var all sync.WaitGroup
	turns := make(chan struct{}, 8)
	for i := range c.o.establishments {
		e, ok := c.Etablissement(fmt.Sprintf("es%03d", i))
		if !ok {
			return errors.New("an establishment is missing")
		}
		v := newVisitor(c, e)
		c.people = append(c.people, v)
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if err := v.connect(c.o.connections / c.o.establishments); err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	resumed := 0
	for _, v := range c.people {
		resumed += v.resumed
		v.start(ctx)
	}
	fmt.Fprintf(c.o.out, "%d connections open in %s, %d of them resumed\n", c.o.connections, time.Since(began).Round(time.Millisecond), resumed)
	if resumed == 0 && len(failed) == 0 {
		failed = append(failed, errors.New("no session was resumed: the drill would not show what it must"))
	}
	return errors.Join(failed...)
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
	return c.replace("deny.list", signed)
}

// revoke publishes a list of the CA that adds these.
func (c *country) revoke(out []*visitor) error {
	for _, v := range out {
		c.revoked = append(c.revoked, x509.RevocationListEntry{SerialNumber: v.e.TLS.Cert.SerialNumber, RevocationTime: time.Now(), ReasonCode: 1})
	}
	c.number++
	return c.replace("liste.crl", c.PKI.CRL(igc.EtablissementTLS, igc.List{Number: c.number, Entries: c.revoked}))
}

// suspend changes the register.
func (c *country) suspend(out []*visitor) error {
	for _, v := range out {
		if err := c.Change(v.e.ID, func(p *nation.Character) { p.Etat = "suspendu" }); err != nil {
			return err
		}
	}
	return nil
}

func (c *country) replace(name string, data []byte) error {
	return errors.Join(os.WriteFile(c.file(name+".new"), data, 0o644), os.Rename(c.file(name+".new"), c.file(name)))
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

// start keeps the connections busy, and sends signed messages beside.
func (v *visitor) start(ctx context.Context) {
	ctx, v.cancel = context.WithCancel(ctx)
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
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
}

func (v *visitor) send(ctx context.Context) nation.Outcome {
	return v.e.Send(ctx, roc.IDB, roc.V2, soap.SOAP12, "bleue")
}

func (v *visitor) lastCarried() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.carried
}

// sends says how many of one more message is carried: 0 is right.
func (v *visitor) sends(ctx context.Context) int {
	if out := v.send(ctx); out.Answered("00") {
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
