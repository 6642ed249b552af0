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

	// AMC is the insurer that the question is about. Empty: its answer is not
	// shared with the other instances.
	AMC roc.NumeroAMC

	// Ask puts the question as it came. It must not use anything of the
	// exchange that asks: it may outlive it.
	Ask func(ctx context.Context) (Searched, error)

	// Verify checks an answer at the time it was given. One that is not verified
	// is not remembered.
	Verify func(Searched) (Verified, error)
}

// Verified is what is read of an answer to a Search that is believed.
type Verified struct {
	Until time.Time // it may serve until then without being asked again
	Says  [16]byte  // a digest of what it says; zero: that the AMC is not known
}

// A Searched is the annuaire's answer to a Search, as it came.
type Searched struct {
	Status      int
	ContentType string // "": it was kept on disk
	Body        roc.Content
	At          time.Time // when the annuaire was asked
	Remembered  bool
	Stale       bool // it serves because the annuaire does not answer

	Verified
	seq uint64 // of the AMC's searches, when it was asked; 0: they have none
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
	case age >= 0 && now.Before(a.Until) && a.seq >= d.searchSequence(s.AMC):
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

// putSearch answers a Search that nothing here answers: by what another instance
// left, while that is young, else by the annuaire, else by what the other left.
// What is verified is remembered.
func (d *Directory) putSearch(w *turn, who roc.StructureID, s Search) (Searched, error) {
	seq := d.searchSequence(s.AMC)
	lent, isLent := d.searchFromShared(&s)
	now := d.o.Now()
	if isLent && now.Before(lent.Until) {
		d.keepSearch(who, &s, lent, now)
		lent.Remembered = true
		return lent, nil
	}
	a, err := d.askSearch(w, &s)
	switch {
	case err != nil && isLent:
		d.keepSearch(who, &s, lent, now)
		lent.Remembered, lent.Stale = true, true
		return lent, nil
	case err != nil:
		return Searched{}, err
	}
	if a.Status == 200 && s.ID != ([32]byte{}) {
		a.seq = seq
		d.acceptSearch(who, &s, a)
	}
	return a, nil
}

// askSearch puts the question to the annuaire and verifies its answer.
func (d *Directory) askSearch(w *turn, s *Search) (a Searched, err error) {
	at := d.o.Now()
	err = d.inTurn(w, func(ctx context.Context) (err error) {
		a, err = s.Ask(ctx)
		return err
	})
	if err == nil && a.Status == 200 {
		a.At = at
		if a.Verified, err = s.Verify(a); err != nil {
			err = refused("the annuaire's answer: %w", err)
		}
	}
	d.note(d.o.Now(), err)
	return a, err
}

// acceptSearch remembers an answer of the annuaire, and leaves it for the other
// instances.
func (d *Directory) acceptSearch(who roc.StructureID, s *Search, a Searched) {
	previous, had := d.searches.get(s.ID)
	news := false
	if s.AMC != "" && a.Says != ([16]byte{}) {
		was := d.searchSequence(s.AMC)
		switch wide := d.sequences.enter(Route{AMC: s.AMC}, sequenceAt(a.At)); {
		case wide == nil: // too many
		case was == 0:
			a.seq, news = wide.seq.Load(), true
		case had && previous.seq == was && previous.Says != a.Says: // what was current has changed
			a.seq, news = wide.next(was, a.At), true
		}
	}
	if !d.keepSearch(who, s, a, a.At) || d.o.Shared == nil || a.seq == 0 {
		return
	}
	d.asks.Go(func() {
		d.o.Shared.putNamed(d.ctx, s.ID, a.At, a.seq, bodyDigest(a.Body), a.Body)
		n := newsItem{says: a.Says, seq: a.seq}
		if news && n.key.pack(&roc.Key{AMC: s.AMC}) {
			d.o.Shared.publishNews(d.ctx, n)
		}
	})
}

func bodyDigest(body roc.Content) digest {
	sum := sha256.Sum256(body.Bytes())
	return digest(sum[:digestSize])
}

// keepSearch keeps an answer in memory, and on disk as far as the new keys of
// its establishment go. It reports whether they went so far.
func (d *Directory) keepSearch(who roc.StructureID, s *Search, a Searched, now time.Time) bool {
	known := d.o.Disk != nil && d.o.Disk.hasNamed(s.ID)
	if !known && d.o.Disk == nil {
		_, known = d.searches.get(s.ID)
	}
	d.searches.put(who, s.ID, a)
	if !known && !d.budgets.take(who, now) {
		d.unstored.Add(1)
		return false
	}
	if d.o.Disk != nil {
		d.o.Disk.putNamed(s.ID, a.At, max(a.seq, 1), bodyDigest(a.Body), a.Body)
	}
	return true
}

// searchSequence is that of all searches about an AMC: it moves when an answer to
// one, or any of the AMC's routes, is learned to have changed, here or elsewhere.
// What was asked under a lower one is asked again before it serves. 0: none is
// known.
func (d *Directory) searchSequence(amc roc.NumeroAMC) uint64 {
	if wide := d.sequences.get(Route{AMC: amc}); wide != nil {
		return wide.seq.Load()
	}
	return 0
}

// movedOn has the searches about an AMC asked again, once a route of it moved.
func (d *Directory) movedOn(amc roc.NumeroAMC, seq uint64) {
	if wide := d.sequences.get(Route{AMC: amc}); wide != nil {
		wide.raise(seq)
	}
}

// searchFromShared returns what another instance left of a Search, once it is
// verified and when it is newer than what is remembered here.
func (d *Directory) searchFromShared(s *Search) (Searched, bool) {
	if d.o.Shared == nil || s.AMC == "" || s.ID == ([32]byte{}) {
		return Searched{}, false
	}
	if d.searchSequence(s.AMC) == 0 {
		d.o.Shared.settle(d.ctx)
	}
	seq := d.searchSequence(s.AMC)
	if seq == 0 {
		return Searched{}, false // nobody here can tell an old answer from a new one
	}
	kept, err := d.o.Shared.getNamed(d.ctx, s.ID)
	if errors.Is(err, errNotThere) || errors.Is(err, errNotReached) {
		return Searched{}, false
	}
	if err == nil && kept.seq < seq {
		d.rolledBack.Add(1)
		return Searched{}, false
	}
	a := Searched{Status: 200, Body: kept.raw, At: kept.at, seq: kept.seq}
	if err == nil {
		a.Verified, err = s.Verify(a)
	}
	if err != nil {
		d.disbelieved.Add(1)
		d.o.Log.Warn("an answer that another instance left is not believed: the annuaire is asked", "event", "annuaire_shared_disbelieved", "amc", string(s.AMC), "error", err)
		return Searched{}, false
	}
	now := d.o.Now()
	previous, had := d.searches.get(s.ID)
	if age := now.Sub(a.At); age < 0 || age >= d.oldest() || had && !a.At.After(previous.At) && !previous.At.After(now) {
		return Searched{}, false
	}
	d.fromSharedN.Add(1)
	return a, true
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
	a := Searched{Status: 200, Body: kept.raw, At: kept.at, seq: kept.seq}
	if err == nil {
		a.Verified, err = s.Verify(a)
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
