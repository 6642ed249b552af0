// Package top keeps what goes on right now, for `rpn top`: of each
// establishment and each insurer, how many exchanges a second, how many of them
// refused, and how long they take. It is of this instance and of the last minute;
// what lasts is in the journal and in indicators/store.
//
// Its memory is bounded by the register: who is not in it shares one line.
package top

import (
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Options are what New needs; every field is required.
type Options struct {
	// Structure returns the establishment of a structure (the structure may be a
	// site of it) and its name; false: it is not in the register. AMC likewise.
	// They are asked at each exchange and must be quick.
	Structure func(roc.StructureID) (of roc.StructureID, nom string, ok bool)
	AMC       func(roc.NumeroAMC) (of roc.NumeroAMC, nom string, ok bool)

	Now func() time.Time
}

// Outside is the ID of the line of those that are not in the register.
const Outside = "-"

// maxLines bounds each side, far above the country: what is beyond it shares the
// line of those outside.
const maxLines = 20_000

// A Board is what goes on. Safe for concurrent use.
type Board struct {
	o     Options
	since time.Time

	mu    sync.RWMutex // guards the maps, not what they hold
	sides [2]map[string]*line
	all   line
}

// The sides.
const (
	establishments = iota
	insurers
)

// New makes an empty Board.
func New(o Options) *Board {
	return &Board{o: o, since: o.Now(), sides: [2]map[string]*line{{}, {}}}
}

// Observe counts an exchange that ended. It keeps nothing of the record but its
// codes and the name of the insurer's host.
func (b *Board) Observe(rec *roc.Record) {
	at := b.o.Now()
	total := rec.Total()
	b.all.add(rec, total, at)
	if rec.From != "" {
		of, nom, ok := b.o.Structure(rec.From)
		b.line(establishments, string(of), nom, ok).add(rec, total, at)
	}
	if rec.To.AMC != "" {
		of, nom, ok := b.o.AMC(rec.To.AMC)
		b.line(insurers, string(of), nom, ok).add(rec, rec.AMC, at)
	}
}

// line is the line of one of a side; of all who are not in the register, one.
func (b *Board) line(side int, id, nom string, ok bool) *line {
	if !ok {
		id, nom = Outside, "hors du registre"
	}
	b.mu.RLock()
	l := b.sides[side][id]
	b.mu.RUnlock()
	if l != nil {
		return l
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sides[side]) >= maxLines {
		id, nom = Outside, "hors du registre"
	}
	if l = b.sides[side][id]; l == nil {
		l = &line{nom: nom}
		b.sides[side][id] = l
	}
	return l
}

// A line is what is kept of one establishment or insurer.
type line struct {
	mu  sync.Mutex // guards the fields below
	nom string

	rate, refused, quota, failed, bytes rate
	took                                durations

	exchanges, refusals uint64 // since the start
	target              string // of an insurer: the host that was written to last
	last                Refusal
}

func (l *line) add(rec *roc.Record, took time.Duration, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exchanges++
	l.rate.add(1, at)
	l.bytes.add(float64(rec.RequestBytes+rec.AnswerBytes), at)
	l.took.add(took, at)
	if rec.Target != "" {
		l.target = rec.Target
	}
	if rec.Outcome != roc.Refused {
		return
	}
	l.refusals++
	l.refused.add(1, at)
	l.last = Refusal{rec.Code(), string(rec.CauseCode), at}
	if rec.Reason == roc.TooMany {
		l.quota.add(1, at)
	}
	if rec.Responsable() == roc.ByAMC {
		l.failed.add(1, at)
	}
}
