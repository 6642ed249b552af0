// Package nation is a small country in process: a throw-away PKI, a fictitious
// annuaire, fictitious insurers, establishments with names, and the real RPN
// on a free port. `go run ./cmd/demo` plays it, and so do the tests.
//
// Everything is fictitious. What a nation writes in its directory is what
// `rpn serve` reads, so that the same country can be run by hand.
package nation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/mutuelle"
)

const (
	annuaireHost = "annuaire.example"
	annuaireID   = roc.StructureID("300000000000026") // SIRET form, fictitious
)

// Options are what a nation may be told; the zero value is the demonstration.
type Options struct {
	// Dir is where keys and configuration are kept. What an earlier nation
	// left there is used again, its ports too where they are free. "": a new
	// directory, removed by Close.
	Dir string

	Etablissements []Character // default: Establishments and Strangers
	Insurers       []Insurer   // default: Insurers

	// Sections replaces sections of rpn.yaml, by name: "timeouts":
	// "exchange: 2s\nstop: 5s".
	Sections map[string]string

	// Annuaire adds lines to the section annuaire of rpn.yaml: "ttl: 1s".
	Annuaire string

	// Facade lets the RPN answer the searches of those whose Character says so.
	Facade bool

	// Portal opens the portal, with certificates for who reads it.
	Portal bool

	// OIDC lets persons in to the portal: the lines of portal.oidc.
	OIDC string

	// Outage has the first establishment told of outages, and their end, by a
	// webhook (Nation.Outage).
	Outage bool

	// WithoutRPN runs the annuaire and the insurers only; rpn.yaml says where
	// the RPN is expected.
	WithoutRPN bool

	// Log gets the RPN's log. Default: the file rpn.log in Dir.
	Log *slog.Logger

	Now       func() time.Time    // the clock of everybody. Default: time.Now
	Keys      *igc.Keys           // shared between nations, to spare time. Default: new ones
	Slow      time.Duration       // how long the AMCs' case Lente takes. Default: 30 s
	Observers []func(*roc.Record) // of the RPN
	Reload    time.Duration       // how often the RPN looks at its files. Default: 5 s
	Version   string
}

// A Nation is a country that runs. Close it.
type Nation struct {
	Dir      string
	Started  time.Time // real time
	PKI      *igc.PKI
	App      *app.App // nil with Options.WithoutRPN
	Annuaire *fictif.Server

	opts      Options
	now       func() time.Time
	temporary bool
	keys      struct{ server, client, sign, annuaire, annuaireSign igc.Pair }
	insurers  map[string]*mutuelle.Mutuelle
	servers   map[string]*http.Server // of the far side, by host
	places    []Place

	ahead atomic.Int64 // of Options.Now, in nanoseconds (advance)

	mu     sync.Mutex // guards people and calls
	people map[string]*Etablissement
	calls  []Call // of the webhook

	listenAddr, adminAddr, portalAddr string
	listen, admin, portal             net.Listener
	ports                             map[string]string // of each host of the far side

	stops []func() error
}

// A Place is where something listens.
type Place struct{ Name, URL string }

// New starts a nation.
func New(o Options) (_ *Nation, err error) {
	if o.Etablissements == nil {
		o.Etablissements = append(Establishments(), Strangers()...)
	}
	o.Etablissements = slices.Clone(o.Etablissements) // Change changes them
	if o.Insurers == nil {
		o.Insurers = Insurers()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	ownKeys := o.Keys == nil
	if ownKeys {
		o.Keys = igc.NewKeys()
	}
	n := &Nation{
		Started: time.Now(), opts: o, Dir: o.Dir,
		people: map[string]*Etablissement{}, insurers: map[string]*mutuelle.Mutuelle{}, servers: map[string]*http.Server{}, ports: map[string]string{},
	}
	n.now = func() time.Time { return o.Now().Add(time.Duration(n.ahead.Load())) }
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if err := n.openDir(); err != nil {
		return nil, err
	}
	fresh, err := n.openPKI()
	if err != nil {
		return nil, err
	}
	if fresh && ownKeys {
		o.Keys.Prepare(len(o.Etablissements)) // their signature keys, while the rest is made
	}
	if err := n.certificates(); err != nil {
		return nil, err
	}
	if err := n.readers(); err != nil {
		return nil, err
	}
	if err := n.browserFiles(); err != nil {
		return nil, err
	}
	if o.Outage {
		if err := n.startWebhook(); err != nil {
			return nil, err
		}
	}
	if err := n.writeRegister(); err != nil {
		return nil, err
	}
	if err := n.startInsurers(); err != nil {
		return nil, err
	}
	if err := n.startAnnuaire(); err != nil {
		return nil, err
	}
	if err := n.reserve(); err != nil {
		return nil, err
	}
	if err := n.writeConfig(); err != nil {
		return nil, err
	}
	if err := n.writeMessages(); err != nil {
		return nil, err
	}
	if o.WithoutRPN {
		return n, nil
	}
	return n, n.startRPN()
}

// openDir makes the directory, or takes the one given.
func (n *Nation) openDir() error {
	if n.Dir == "" {
		n.temporary = true
		dir, err := os.MkdirTemp("", "rpn-demo-")
		n.Dir = dir
		n.onClose(func() error { return os.RemoveAll(dir) })
		return err
	}
	if err := os.MkdirAll(n.Dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(n.Dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(n.Dir, "autorites")); len(entries) > 0 && err != nil {
		return fmt.Errorf("%s is not empty and holds no nation; give a new or empty directory", n.Dir)
	}
	return nil
}

// Temporary reports whether Close removes the directory.
func (n *Nation) Temporary() bool { return n.temporary }

func (n *Nation) onClose(f func() error) { n.stops = append(n.stops, f) }

// Close ends everything, the RPN first. Its exchanges in flight may finish
// within ten seconds.
func (n *Nation) Close() error {
	n.mu.Lock()
	for _, e := range n.people {
		if e != nil {
			e.Hangup()
		}
	}
	n.mu.Unlock()
	var failed []error
	for len(n.stops) > 0 {
		stop := n.stops[len(n.stops)-1]
		n.stops = n.stops[:len(n.stops)-1]
		failed = append(failed, stop())
	}
	return errors.Join(failed...)
}

// startRPN runs the real application on the files just written.
func (n *Nation) startRPN() error {
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		return err
	}
	logger := n.opts.Log
	if logger == nil {
		f, err := os.OpenFile(n.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		n.onClose(f.Close)
		logger = slog.New(slog.NewJSONHandler(f, nil))
	}
	a, err := app.New(app.Options{
		Config: c, Log: logger, Now: n.now, Version: n.opts.Version,
		Listener: n.listen, Admin: n.admin, Portal: n.portal, Observers: n.opts.Observers,
		ReloadEvery: n.opts.Reload,
	})
	if err != nil {
		return err
	}
	n.listen, n.admin, n.portal = nil, nil, nil // the app's from here
	if err := a.Start(); err != nil {
		return err
	}
	n.App = a
	n.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.Stop(ctx); !errors.Is(err, app.ErrStopped) {
			return err
		}
		return nil // a story stopped it before
	})
	return nil
}

// reserve opens the RPN's two ports, so that rpn.yaml can name them: those of
// an earlier nation, else free ones.
func (n *Nation) reserve() error {
	before := n.earlierPorts()
	var err error
	if n.listen, err = open(before["listen"]); err != nil {
		return err
	}
	if n.admin, err = open(before["admin"]); err != nil {
		return err
	}
	n.listenAddr, n.adminAddr = n.listen.Addr().String(), n.admin.Addr().String()
	if n.opts.Portal {
		if n.portal, err = open(before["portal"]); err != nil {
			return err
		}
		n.portalAddr = n.portal.Addr().String()
	}
	n.onClose(func() error {
		for _, l := range []net.Listener{n.listen, n.admin, n.portal} {
			if l != nil {
				l.Close()
			}
		}
		return nil
	})
	if n.opts.WithoutRPN { // `rpn serve` opens them
		n.listen.Close()
		n.admin.Close()
		if n.portal != nil {
			n.portal.Close()
		}
		n.listen, n.admin, n.portal = nil, nil, nil
	}
	n.places = append([]Place{{"RPN (mutual TLS)", n.URL()}, {"RPN, for its operators", n.AdminURL()}}, n.places...)
	return nil
}

// open listens on the loopback, on that port if it is free.
func open(port string) (net.Listener, error) {
	if port != "" {
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// RunsAt says where an RPN that is not ours listens (Options.WithoutRPN), when
// that is not where rpn.yaml has it: it was told to take a free port.
func (n *Nation) RunsAt(listen, admin string) { n.listenAddr, n.adminAddr = listen, admin }

// URL is where establishments send.
func (n *Nation) URL() string {
	_, port, _ := net.SplitHostPort(n.listenAddr)
	return "https://localhost:" + port + "/roc"
}

// AdminURL is where operators look.
func (n *Nation) AdminURL() string { return "http://" + n.adminAddr }

// Places lists where everything listens.
func (n *Nation) Places() []Place { return n.places }

// Etablissement returns a character by its ID.
func (n *Nation) Etablissement(id string) (*Etablissement, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.people[id]
	return e, ok
}

// Change changes a character in the register, and has the RPN reload it. The
// certificates stay as they are.
func (n *Nation) Change(id string, change func(*Character)) error {
	for i := range n.opts.Etablissements {
		if c := &n.opts.Etablissements[i]; c.ID == id {
			change(c)
			if e, ok := n.Etablissement(id); ok {
				n.mu.Lock() // it may be sending
				e.Character = *c
				n.mu.Unlock()
			}
			return n.reregister()
		}
	}
	return fmt.Errorf("the nation has no establishment %q", id)
}

// Welcome adds a character to the nation, and has the RPN reload the register.
func (n *Nation) Welcome(c Character) (*Etablissement, error) {
	e, err := n.welcome(c)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.people[c.ID] = e
	n.mu.Unlock()
	n.opts.Etablissements = append(n.opts.Etablissements, c)
	return e, n.reregister()
}

func (n *Nation) reregister() error {
	if err := n.writeRegister(); err != nil || n.App == nil {
		return err
	}
	return n.App.Reload()
}
