// Package incident keeps what operators say to everybody about what does not work: a
// text beside an outage that was measured, or an incident that they open and close
// themselves. Every act is written down before it is done.
package incident

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/acts"
)

// An Incident is one time at which something did not work, as everybody reads it. It
// never changes: a Book gives copies.
type Incident struct {
	ID       string
	AMC      roc.NumeroAMC // "": the RPN itself, or several insurers
	Measured bool          // it is an outage that was measured: the figures open and close it
	Opened   time.Time
	Closed   time.Time // zero: it goes on
	Text     string    // of an operator; "": none yet
	Changed  time.Time // when it last did

	By string // who wrote the text, or closed it: for operators alone
}

// MeasuredID names an outage that was measured.
func MeasuredID(amc roc.NumeroAMC, began time.Time) string {
	return "panne-" + string(amc) + "-" + strconv.FormatInt(began.Unix(), 10)
}

// Errors of an act about an incident.
var (
	// ErrText is of a text that is none.
	ErrText = errors.New("a text is one line of 1 to 500 bytes")
	// ErrUnknown is of an incident that is not there, or is closed.
	ErrUnknown = errors.New("no such incident, or it is closed")
	// ErrTooMany is of too many incidents, or acts of one day.
	ErrTooMany = errors.New("there are enough incidents for today")
	// ErrClosed is of a book that cannot be read or written, or that another process has.
	ErrClosed = errors.New("the incidents cannot be read or written")
)

// The bounds of a book.
const (
	MaxText   = 500
	maxOpen   = 50
	maxPerDay = 500 // acts
	keepOver  = 400 * 24 * time.Hour
)

// Options are what a Book needs. Every field is required, but where it says
// otherwise.
type Options struct {
	File string // of the acts; "": they are in memory alone
	Log  *slog.Logger
	Now  func() time.Time
}

// A Book is every incident that operators spoke of. Safe for concurrent use, by one
// process: its folder is locked by whoever opens it.
type Book struct {
	o    Options
	file acts.File[act]

	mu     sync.Mutex // guards the rest
	all    map[string]*Incident
	today  []time.Time // of the acts of the last day
	closed bool
}

const (
	opened = "opened" // by hand
	told   = "told"   // its text, of a measured one too
	closed = "closed"
)

// An act is one line of the file.
type act struct {
	V    int           `json:"v"`
	At   time.Time     `json:"at"`
	Act  string        `json:"act"`
	ID   string        `json:"id"`
	By   string        `json:"by"`
	AMC  roc.NumeroAMC `json:"amc,omitzero"`
	Text string        `json:"text,omitzero"`
}

// Open reads the book. One that cannot be read says nothing and takes nothing: the
// error says why, and the Book is there all the same.
func Open(o Options) (*Book, error) {
	b := &Book{o: o, all: map[string]*Incident{}}
	b.file = acts.File[act]{Name: o.File, Of: "incidents", Cut: func(line int) {
		o.Log.Error("a line of the incidents was cut while it was written: that act was not done, and is skipped", "event", "portal_incident_cut", "file", o.File, "line", line)
	}}
	read, err := b.file.Read(b.apply)
	if err == nil {
		now := o.Now()
		for id, i := range b.all {
			if now.Sub(i.Changed) > keepOver && (i.Measured || !i.Closed.IsZero()) {
				delete(b.all, id)
			}
		}
		err = b.file.Keep(read, func(a *act) bool { return b.all[a.ID] != nil })
	}
	if err != nil {
		b.closed, b.all = true, map[string]*Incident{}
	}
	return b, err
}

// apply does an act in memory, and reports whether it can be done.
func (b *Book) apply(a *act) bool {
	i := b.all[a.ID]
	measured := strings.HasPrefix(a.ID, "panne-")
	switch {
	case a.V != 1 || a.At.IsZero() || a.ID == "" || a.Act != closed && !acts.IsLine(a.Text, MaxText):
		return false
	case a.Act == opened && i == nil && !measured:
		i = &Incident{ID: a.ID, AMC: a.AMC, Opened: a.At}
	case a.Act == told && i == nil && measured:
		i = &Incident{ID: a.ID, AMC: a.AMC, Measured: true}
	case i == nil || a.Act == opened || a.Act == closed && measured:
		return false
	}
	changed := *i
	changed.Changed, changed.By = a.At, a.By
	if a.Act == closed {
		changed.Closed = a.At
	} else {
		changed.Text = a.Text
	}
	b.all[a.ID] = &changed
	return true
}

func (b *Book) do(a act) error {
	now := b.o.Now().UTC()
	b.today = slices.DeleteFunc(b.today, func(t time.Time) bool { return now.Sub(t) >= 24*time.Hour })
	if len(b.today) >= maxPerDay {
		return ErrTooMany
	}
	a.V, a.At = 1, now
	if err := b.file.Append(&a); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	b.today = append(b.today, now)
	b.apply(&a)
	b.o.Log.Info("an incident is "+a.Act+" by an operator", "event", "portal_incident", "act", a.Act, "incident", a.ID, "amc", string(a.AMC), "text", a.Text, "who", a.By)
	return nil
}

// Close ends the writing: another process may have the folder.
func (b *Book) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// Begin opens an incident by hand; amc "" is the RPN itself.
func (b *Book) Begin(amc roc.NumeroAMC, text, by string) error {
	text = strings.TrimSpace(text)
	if !acts.IsLine(text, MaxText) {
		return ErrText
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	open := 0
	for _, i := range b.all {
		if !i.Measured && i.Closed.IsZero() {
			open++
		}
	}
	if open >= maxOpen {
		return ErrTooMany
	}
	var id [8]byte
	rand.Read(id[:])
	return b.do(act{Act: opened, ID: hex.EncodeToString(id[:]), AMC: amc, Text: text, By: by})
}

// Describe gives an incident its text: of the book, or a measured one.
func (b *Book) Describe(i Incident, text, by string) error {
	text = strings.TrimSpace(text)
	if !acts.IsLine(text, MaxText) {
		return ErrText
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if kept := b.all[i.ID]; !i.Measured && (kept == nil || !kept.Closed.IsZero()) {
		return ErrUnknown
	}
	return b.do(act{Act: told, ID: i.ID, AMC: i.AMC, Text: text, By: by})
}

// End closes an incident that was opened by hand. The figures close the others.
func (b *Book) End(id, by string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if i := b.all[id]; i == nil || i.Measured || !i.Closed.IsZero() {
		return ErrUnknown
	}
	return b.do(act{Act: closed, ID: id, By: by, AMC: b.all[id].AMC})
}

// Of are the incidents: those of the book and the outages that were measured, each
// with its text; those that go on first, then the latest.
func (b *Book) Of(outages []Incident) (list []Incident) {
	b.mu.Lock()
	for _, i := range b.all {
		if !i.Measured {
			list = append(list, *i)
		}
	}
	for _, o := range outages {
		if kept := b.all[o.ID]; kept != nil {
			o.Text, o.By = kept.Text, kept.By
			if kept.Changed.After(o.Changed) {
				o.Changed = kept.Changed
			}
		}
		list = append(list, o)
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y Incident) int {
		if x.Closed.IsZero() != y.Closed.IsZero() {
			if x.Closed.IsZero() {
				return -1
			}
			return 1
		}
		return cmp.Or(y.Opened.Compare(x.Opened), cmp.Compare(x.ID, y.ID))
	})
	return list
}
