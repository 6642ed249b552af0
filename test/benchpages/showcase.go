package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/portal"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// A showcase is a country with its pages, on a store and a journal that are real.
type showcase struct {
	*country
	dir     string
	list    *register.List
	records []*roc.Record // of today
	data    *access.Data
	pages   *portal.Portal
	console http.Handler
	people  map[string]*x509.Certificate

	later atomic.Int64 // by how much the clock is after now
	ends  []func()
}

// The readers, each with its certificate. Nobody has none.
const (
	nobody        = ""
	establishment = "établissement"
	insurer       = "organisme"
	operator      = "exploitant"
)

func (w *showcase) now() time.Time { return now.Add(time.Duration(w.later.Load())) }

// open makes the register, the figures and the journal of a country, and the pages
// on them. dir keeps it, or has it from before; "": it is removed. tell is told how
// far it is.
func open(ctx context.Context, s size, dir string, tell func(percent int)) (_ *showcase, err error) {
	w := &showcase{country: newCountry(s)}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.dir = dir; dir == "" {
		if w.dir, err = os.MkdirTemp("", "benchpages"); err != nil {
			return nil, err
		}
		w.ends = append(w.ends, func() { os.RemoveAll(w.dir) })
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if w.list, err = w.register(w.dir); err != nil {
		return nil, err
	}
	w.records = w.today()
	made := filepath.Join(w.dir, "made")
	if _, err := os.Stat(made); err != nil {
		if err := errors.Join(os.RemoveAll(w.journal()), os.RemoveAll(w.figures())); err != nil {
			return nil, err
		}
		if err := w.write(ctx); err != nil {
			return nil, err
		}
		if err := w.project(ctx, tell); err != nil {
			return nil, err
		}
		if err := os.WriteFile(made, nil, 0o644); err != nil {
			return nil, err
		}
	}
	w.open(ctx)
	return w, nil
}

func (w *showcase) close() {
	for len(w.ends) > 0 {
		w.ends[len(w.ends)-1]()
		w.ends = w.ends[:len(w.ends)-1]
	}
}

func (w *showcase) journal() string { return filepath.Join(w.dir, "journal") }
func (w *showcase) figures() string { return filepath.Join(w.dir, "figures.db") }

// write makes the journal of today.
func (w *showcase) write(ctx context.Context) error {
	const origin = "rpn.example/journal/a"
	private, _, err := journal.NewKey(origin)
	if err != nil {
		return err
	}
	keys, err := journal.ParseKeys(private, origin)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(w.journal(), 0o750); err != nil {
		return err
	}
	j, err := journal.Open(journal.Options{Dir: w.journal(), Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 8 << 20, SegmentAge: 24 * time.Hour,
		Durability: journal.Relaxed, OnFull: journal.Refuse, SealEvery: time.Second, KeepFor: 1000 * 24 * time.Hour})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	for _, x := range w.records {
		for {
			if ok, _ := j.Reserve(); ok {
				break
			}
			runtime.Gosched() // it outruns the making of segments
		}
		if _, err = j.Append(x); err != nil {
			break
		}
		j.Release()
	}
	end()
	running.Wait()
	return errors.Join(err, j.Close())
}

// project counts the past and today.
func (w *showcase) project(ctx context.Context, tell func(percent int)) error {
	s, err := store.Open(ctx, w.figures(), store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Project(ctx, past{w.country}, func(done, total uint64) { tell(int(100 * done / max(total, 1))) }); err != nil {
		return err
	}
	l, err := journal.OpenLog(w.journal())
	if err != nil {
		return err
	}
	defer l.Close()
	return s.Project(ctx, l, nil)
}

// open makes the pages. Who reads is in the context of the request.
func (w *showcase) open(ctx context.Context) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.data = access.New(access.Options{
		Open: func(ctx context.Context) (*store.Store, error) {
			return store.Open(ctx, w.figures(), store.Options{Reads: true})
		},
		Journal: w.journal(), Register: func() *register.List { return w.list }, Certificates: w.certificates, Waiting: w.waiting, Log: log, Now: w.now,
	})
	for _, x := range w.records {
		w.data.Observe(x)
	}
	w.data.As(access.Console()) // somebody reads: what is made in the background is made at once
	ctx, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { w.data.Run(ctx) })
	w.ends = append(w.ends, func() { end(); running.Wait(); w.data.Close() })

	pki := igc.New(igc.Options{ECDSA: true})
	w.people = map[string]*x509.Certificate{
		establishment: pki.Auth(structure(ours), "CHU FICTIF").Cert,
		insurer:       pki.AMCAuth("2"+roc.StructureID(numero(0)[1:]), "MUTUELLE FICTIVE").Cert,
		operator:      pki.Auth(igc.RPN, "RPN FICTIF").Cert,
	}
	accept := func([]*x509.Certificate) error { return nil }
	door := &access.Door{Etablissements: accept, AMCs: accept, Operators: accept, Register: func() *register.List { return w.list },
		Listed: func(id roc.CertificateID) (access.Listed, bool) {
			return access.Listed{Name: "Camille Exemple", Role: access.Exploitation}, id == roc.IDOfCertificate(w.people[operator])
		}}
	w.pages = portal.New(portal.Options{Data: w.data, Weather: true, Log: log, Now: w.now,
		Admit: func(r *http.Request) (access.Viewer, error) {
			if cert := w.people[readerOf(r)]; cert != nil {
				return door.Admit([]*x509.Certificate{cert})
			}
			return door.Admit(nil)
		},
		Decide: func(bool, roc.NumeroAMC, string, string, string) (int, error) {
			return 0, errors.New("nothing is decided here")
		},
	})
	w.console = http.StripPrefix("/console", portal.New(portal.Options{Data: w.data, Base: "/console", Weather: true, Log: log, Now: w.now,
		Admit: func(*http.Request) (access.Viewer, error) { return access.Console(), nil }}))
}

type readerKey struct{}

func readerOf(r *http.Request) string { who, _ := r.Context().Value(readerKey{}).(string); return who }

// as serves the pages to one reader.
func (w *showcase) as(who string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.pages.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), readerKey{}, who)))
	})
}

// certificates are two of each establishment, one of each insurer, and our own.
func (w *showcase) certificates() (list []expiry.Expiry) {
	add := func(e expiry.Expiry, days int) {
		e.End = now.Add(time.Duration(days)*24*time.Hour + 5*time.Hour)
		e.From, e.Days, e.Level = e.End.AddDate(-3, 0, 0), days, expiry.LevelAt(e.End, now)
		e.Serial = fmt.Sprintf("%016x", 0x5a00000000000000+len(list))
		list = append(list, e)
	}
	for i := range w.establishments {
		id := structure(i)
		e, ok := w.list.ByStructure(id)
		if !ok {
			continue
		}
		for k, kind := range []expiry.Kind{expiry.CallerTLS, expiry.CallerSignature} {
			days := 9 + (i*37+k*211)%1000
			if i == ours {
				days = 24 + 340*k
			}
			add(expiry.Expiry{Kind: kind, Owner: string(id), Nom: e.Nom, Departement: e.Departement, Region: e.Region,
				Subject: fmt.Sprintf("CN=gap-%d.example, OU=%s, O=%s, C=FR", i+1, id, e.Nom), Seen: now.Add(-time.Duration(1+i%50) * time.Minute), Calls: max(1, w.perDayLately/(i+2)/4)}, days)
		}
	}
	for i := range w.amcs {
		add(expiry.Expiry{Kind: expiry.PeerTLS, Owner: fmt.Sprintf("roc-%d.example", i+1), Nom: nameOfAMC(i), Subject: fmt.Sprintf("CN=roc-%d.example, O=%s, C=FR", i+1, nameOfAMC(i)),
			Seen: now.Add(-time.Duration(1+i%20) * time.Minute), Calls: max(1, w.perDayLately/(i+2)/4)}, 40+(i*53)%700)
	}
	add(expiry.Expiry{Kind: expiry.OwnServer, Owner: "rpn", Nom: "RPN", Subject: "CN=rpn.example, O=RPN FICTIF, C=FR"}, 212)
	sortByEnd(list)
	return list
}

// waiting is what waits for an operator.
func (w *showcase) waiting() access.Waiting {
	return access.Waiting{
		Moves: []access.Move{
			{AMC: numero(1), Service: "IDB", Version: "V2", From: "https://roc-2.example/roc/v2", To: "https://roc.heberge-2.example/roc/v2", Host: "roc.heberge-2.example", Since: now.Add(-95 * time.Minute)},
			{AMC: numero(1), Service: "CLC", Version: "V2", From: "https://roc-2.example/roc/v2", To: "https://roc.heberge-2.example/roc/v2", Host: "roc.heberge-2.example", Since: now.Add(-95 * time.Minute)},
		},
		Domains: []access.Domain{{AMC: numero(6), Host: "roc.nouveau-7.example", Since: now.Add(-26 * time.Hour), Last: now.Add(-4 * time.Minute), Refused: 38}},
	}
}
