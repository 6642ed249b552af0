package access

import (
	"context"
	"sync"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// BandDays is over how many whole days, before today, establishments are
// compared.
const BandDays = 28

// peers keeps the sums of every establishment over those days: they change once
// a day, and take a second or two.
type peers struct {
	mu       sync.Mutex
	from, to time.Time
	made     time.Time
	groups   map[string]map[string]*report.Sum // by group, then by establishment
}

// peersEvery is how often they are made again: late records change them a little.
const peersEvery = time.Hour

// BandPeriod is the period of the bands, for a page of now.
func BandPeriod(now time.Time) (from, to time.Time) {
	to = store.Day.Begin(now)
	return to.AddDate(0, 0, -BandDays), to
}

// groupOf is with whom an establishment is compared: those of its région.
// Without one, or when they are too few, the nation (Subject.Band).
func groupOf(e *register.Etablissement) string { return e.Region }

// nation is the group of all.
const nation = ""

// renewPeers makes the sums again when their days are over, or their hour is.
func (d *Data) renewPeers(ctx context.Context) error {
	now := d.o.Now()
	from, to := BandPeriod(now)
	d.peers.mu.Lock()
	fresh := d.peers.from.Equal(from) && now.Sub(d.peers.made) < peersEvery
	d.peers.mu.Unlock()
	if fresh {
		return nil
	}
	st, err := d.store.get(ctx)
	if err != nil {
		return err
	}
	list := d.o.Register()
	sums, err := report.Groups(ctx, st, from, to, func(id roc.StructureID) string {
		if e, ok := list.ByStructure(id); ok {
			return string(e.Structure)
		}
		return ""
	})
	if err != nil {
		return err
	}
	groups := map[string]map[string]*report.Sum{nation: sums}
	for id, sum := range sums {
		e, _ := list.ByStructure(roc.StructureID(id))
		if g := groupOf(e); g != nation {
			if groups[g] == nil {
				groups[g] = map[string]*report.Sum{}
			}
			groups[g][id] = sum
		}
	}
	d.peers.mu.Lock()
	defer d.peers.mu.Unlock()
	d.peers.from, d.peers.to, d.peers.made, d.peers.groups = from, to, now, groups
	return nil
}

// Band is where the others stand: those of its région when they are enough,
// else those of the nation. Ready is false while the sums are being made.
func (s *Subject) Band(c *report.Card) (band report.Band, group string, known, ready bool) {
	p := &s.r.d.peers
	p.mu.Lock()
	groups := p.groups
	p.mu.Unlock()
	if s.es == nil || groups == nil {
		return band, "", false, groups != nil
	}
	mine := string(s.es.Structure)
	if g := groupOf(s.es); g != nation {
		if band, known = report.BandOf(c, groups[g], mine); known {
			return band, g, true, true
		}
	}
	band, known = report.BandOf(c, groups[nation], mine)
	return band, "France", known, true
}
