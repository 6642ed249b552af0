package annuaire

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Search is a question that an establishment itself puts to the annuaire. The
// Directory asks it like its own questions: in turn, within AskTimeout, once at
// a time, and with a rest for an annuaire that does not answer.
type Search struct {
	// ID is a digest of what the answer depends on. Zero: the answer is
	// nobody else's, and is not remembered.
	ID [32]byte

	// Ask puts the question as it came. It must not use anything of the
	// exchange that asks: it may outlive it.
	Ask func(ctx context.Context) (Searched, error)

	// Verify checks an answer at the time it was given, and returns until when
	// it may serve without being asked again. An answer that is not verified
	// is not remembered.
	Verify func(Searched) (until time.Time, err error)
}

// A Searched is the annuaire's answer to a Search, as it came.
type Searched struct {
	Status      int
	ContentType string // "": it was kept on disk
	Body        roc.Content
	At          time.Time // when the annuaire was asked
	Remembered  bool
	Stale       bool // it serves because the annuaire does not answer

	until time.Time
}

// A searching is one Search in flight; done is closed when answer and err are
// set.
type searching struct {
	turn   *turn
	done   chan struct{}
	answer Searched
	err    error
}

// Search answers an establishment's own question: from memory or disk while the
// answer is young, else it asks; while the annuaire does not answer, the last
// answer serves up to MaxAge, at once. It refuses with AnnuaireSilent and
// AnnuaireRefused.
func (d *Directory) Search(ctx context.Context, who roc.StructureID, s Search) (Searched, error) {
	now := d.o.Now()
	kept, is := d.searched(who, &s, now)
	switch {
	case is == answered:
		return kept, nil
	case is == mayServe && d.health.down(now, d.o.AskTimeout/2):
		if !d.health.resting(now) {
			d.openSearch("", s)
		}
		return kept, nil
	}
	q, err := d.openSearch(who, s)
	if err != nil {
		return Searched{}, err
	}
	var hangs <-chan time.Time
	if is == mayServe {
		t := time.NewTimer(d.o.AskTimeout / 2)
		defer t.Stop()
		hangs = t.C
	}
	select {
	case <-q.done:
		if q.err != nil && is == mayServe && (roc.IsRefused(q.err, roc.AnnuaireSilent) || roc.IsRefused(q.err, roc.AnnuaireRefused)) {
			return kept, nil
		}
		return q.answer, q.err
	case <-hangs:
		return kept, nil
	case <-ctx.Done():
		return Searched{}, silent("the exchange could not wait longer for the annuaire: %w", context.Cause(ctx))
	}
}

// searched is what is remembered of a Search.
func (d *Directory) searched(who roc.StructureID, s *Search, now time.Time) (Searched, recalled) {
	if s.ID == ([32]byte{}) {
		return Searched{}, nothing
	}
	a, ok := d.searches.get(s.ID)
	if !ok {
		if a, ok = d.loadSearch(who, s); !ok {
			return Searched{}, nothing
		}
	}
	a.Remembered = true
	switch age := now.Sub(a.At); {
	case age >= 0 && now.Before(a.until):
		return a, answered
	case age >= 0 && age < d.o.MaxAge:
		a.Stale = true
		return a, mayServe
	}
	return Searched{}, nothing
}

// openSearch returns the Search in flight, opening it if there is none. who ""
// asks in the background.
func (d *Directory) openSearch(who roc.StructureID, s Search) (*searching, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	alone := s.ID == ([32]byte{})
	if q := d.searching[s.ID]; q != nil && !alone {
		d.turns.join(q.turn, who)
		return q, nil
	}
	if d.closed {
		return nil, silent("the directory is closed")
	}
	q := &searching{turn: &turn{askers: []roc.StructureID{who}}, done: make(chan struct{})}
	if !alone {
		d.searching[s.ID] = q
	}
	d.asks.Go(func() {
		defer func() {
			d.mu.Lock()
			if !alone {
				delete(d.searching, s.ID)
			}
			d.mu.Unlock()
			close(q.done)
		}()
		q.answer, q.err = d.putSearch(q.turn, who, s)
	})
	return q, nil
}

// putSearch puts a Search and remembers what is verified.
func (d *Directory) putSearch(w *turn, who roc.StructureID, s Search) (a Searched, err error) {
	at := d.o.Now()
	err = d.inTurn(w, func(ctx context.Context) (err error) {
		a, err = s.Ask(ctx)
		return err
	})
	if err == nil && a.Status == 200 {
		a.At = at
		if a.until, err = s.Verify(a); err != nil {
			err = refused("the annuaire's answer: %w", err)
		}
	}
	d.note(d.o.Now(), err)
	if err != nil {
		return Searched{}, err
	}
	if a.Status == 200 && s.ID != ([32]byte{}) {
		d.searches.put(who, s.ID, a)
		if d.o.Disk != nil && (d.o.Disk.hasNamed(s.ID) || d.budgets.take(who, at)) {
			sum := sha256.Sum256(a.Body.Bytes())
			d.o.Disk.putNamed(s.ID, at, 1, digest(sum[:digestSize]), a.Body)
		}
	}
	return a, nil
}

// loadSearch brings what the disk holds of a Search into memory, once it is
// verified.
func (d *Directory) loadSearch(who roc.StructureID, s *Search) (Searched, bool) {
	if d.o.Disk == nil {
		return Searched{}, false
	}
	kept, err := d.o.Disk.getNamed(s.ID)
	if errors.Is(err, errNotThere) {
		return Searched{}, false
	}
	a := Searched{Status: 200, Body: kept.raw, At: kept.at}
	if err == nil {
		a.until, err = s.Verify(a)
	}
	if err != nil {
		d.disbelieved.Add(1)
		d.o.Log.Warn("an answer of the annuaire kept on disk is not believed: the annuaire is asked", "event", "annuaire_disk_disbelieved", "error", err)
		d.o.Disk.dropNamed(s.ID)
		return Searched{}, false
	}
	d.fromDisk.Add(1)
	d.searches.put(who, s.ID, a)
	return a, true
}
