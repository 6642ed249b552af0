package register

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a Source needs.
type Options struct {
	// Etablissements and AMC are the paths of the two files. Required.
	Etablissements, AMC string

	// MaxDrop is the share of rows that one reload may remove, from 0 to 1:
	// of the establishments, of their sites, of the AMC numbers, each. A
	// larger drop is more likely a broken export than a decision; Force lets
	// it pass. 0: one fifth.
	MaxDrop float64

	// MinDrop is how many rows a reload may always remove, so that a short
	// list can be edited by hand. 0: five.
	MinDrop int

	// Accept refuses a list that is correct by itself but that whoever opens
	// the Source could not use, forced or not. Default: every list is accepted.
	Accept func(*List) error

	// Now is the clock: a state whose date is reached takes effect then,
	// without a reload. Default: time.Now.
	Now func() time.Time
}

// A Source holds the current register, read from its files. A reload that
// fails changes nothing. It is safe for concurrent use.
type Source struct {
	options Options
	current atomic.Pointer[List]

	mu    sync.Mutex // guards tried; held while reloading
	tried stamp      // of the files at the last attempt, good or bad
}

// Open reads the register for the first time.
func Open(o Options) (*Source, error) {
	o = o.withDefaults()
	s := &Source{options: o}
	if err := s.load(true); err != nil {
		return nil, err
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.MaxDrop == 0 {
		o.MaxDrop = 0.2
	}
	if o.MinDrop == 0 {
		o.MinDrop = 5
	}
	if o.Accept == nil {
		o.Accept = func(*List) error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Current returns the register in force. Take it once per exchange.
func (s *Source) Current() *List {
	l := s.current.Load()
	if l.since.IsZero() && l.until.IsZero() {
		return l
	}
	if now := s.options.Now(); !l.holds(now) {
		return s.turn(l, now)
	}
	return l
}

// turn settles l for now: a date was reached since, or the clock has gone back
// to before one. It takes no lock: an exchange does not wait for a reload.
func (s *Source) turn(l *List, now time.Time) *List {
	next := l.At(now)
	if !s.current.CompareAndSwap(l, next) {
		return s.current.Load() // another exchange did, or a reload
	}
	return next
}

// Reload reads the files again. On an error the register in force stays.
func (s *Source) Reload() error { return s.load(false) }

// Force reads the files again, however many rows they drop.
func (s *Source) Force() error { return s.load(true) }

func (s *Source) load(force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = s.look()
	l, err := Load(s.options.Etablissements, s.options.AMC, s.options.Now())
	if err != nil {
		return err
	}
	if err := s.options.Accept(l); err != nil {
		return err
	}
	if old := s.current.Load(); old != nil && !force {
		if err := s.plausible(old, l); err != nil {
			return err
		}
	}
	s.current.Store(l)
	return nil
}

// ErrTooManyDropped is a reload that would remove more rows than allowed.
var ErrTooManyDropped = errors.New("too many rows would disappear")

// plausible refuses a list that drops more than the allowed share of the old.
func (s *Source) plausible(old, new *List) error {
	return Plausible(old, new, s.options)
}

// Plausible refuses, by MaxDrop and MinDrop, a list that drops too many rows
// of an older one: establishments, sites or AMC numbers. The error wraps
// ErrTooManyDropped and names the files of the options.
func Plausible(old, new *List, o Options) error {
	o = o.withDefaults()
	var ejs, egs []string
	for f := range old.bySite {
		e, _ := old.BySite(f)
		switch now, ok := new.BySite(f); {
		case ok && (now.EJ == f) == (e.EJ == f):
		case e.EJ == f:
			ejs = append(ejs, string(f))
		default:
			egs = append(egs, string(f))
		}
	}
	var numeros []string
	for n := range old.byNumero {
		if _, ok := new.byNumero[n]; !ok {
			numeros = append(numeros, string(n))
		}
	}
	es, sites, amcs := old.Size()
	return errors.Join(
		o.drop(o.Etablissements, "establishments", ejs, es),
		o.drop(o.Etablissements, "sites (EG)", egs, sites),
		o.drop(o.AMC, "AMC numbers", numeros, amcs))
}

func (o Options) drop(file, what string, gone []string, of int) error {
	if len(gone) <= o.MinDrop || float64(len(gone)) <= o.MaxDrop*float64(of) {
		return nil
	}
	slices.Sort(gone)
	named := strings.Join(gone[:min(3, len(gone))], ", ")
	return fmt.Errorf("%s: %w: %d of %d %s (%s...), more than %.0f %%; the list in force is kept; complete the file, or force the reload if this is meant",
		file, ErrTooManyDropped, len(gone), of, what, named, 100*o.MaxDrop)
}

// Watch looks at the files every so often until ctx ends, and reloads when one
// has changed and has then been still for one period, so that a file being
// written is not read half-way. A file that was refused is tried again when it
// changes again. onReload, when not nil, hears the outcome of each reload.
//
// It looks at time, size and identity of the files: this works on NFS and on
// mounted volumes that are swapped by a symbolic link, where notifications do
// not.
func (s *Source) Watch(ctx context.Context, every time.Duration, onReload func(error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	before := s.look()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := s.look()
		if now.same(before) && !now.same(s.lastTried()) {
			err := s.Reload()
			if onReload != nil {
				onReload(err)
			}
		}
		before = now
	}
}

func (s *Source) lastTried() stamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

// A stamp is what the file system says of the two files; nil: not there.
type stamp [2]os.FileInfo

func (s *Source) look() (at stamp) {
	for i, path := range []string{s.options.Etablissements, s.options.AMC} {
		if info, err := os.Stat(path); err == nil {
			at[i] = info
		}
	}
	return at
}

func (a stamp) same(b stamp) bool {
	for i := range a {
		switch {
		case a[i] == nil && b[i] == nil:
		case a[i] == nil || b[i] == nil,
			a[i].Size() != b[i].Size(), !a[i].ModTime().Equal(b[i].ModTime()), !os.SameFile(a[i], b[i]):
			return false
		}
	}
	return true
}
