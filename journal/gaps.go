package journal

import (
	"encoding/binary"
	"time"
)

// gaps counts the exchanges that have no record, until a mark reports them. The
// counts are also in the header of the current segment, a page that exists even
// when the disk is full, so they survive the death of the process.
type gaps [3]gap

type gap struct {
	count    uint64
	from, to time.Time
}

var gapEvents = [3]Event{NotRecorded, TurnedAway, NotAmended}

const gapSize = 24

// gapLocked counts one exchange without a record. The first of a series is
// logged, the others are only counted.
func (j *Journal) gapLocked(e Event) {
	at := j.o.Now()
	for i := range j.gaps {
		if gapEvents[i] != e {
			continue
		}
		g := &j.gaps[i]
		if g.count == 0 {
			g.from = at
			j.o.Log.Error("the journal has a gap from now on: exchanges without a record are counted, and a mark will report them when there is room", "event", "journal_gap", "gap", e.String())
		}
		g.count, g.to = g.count+1, at
	}
	switch e {
	case NotRecorded:
		j.stats.notRecorded.Add(1)
	case TurnedAway:
		j.stats.turnedAway.Add(1)
	case NotAmended:
		j.stats.notAmended.Add(1)
	}
	if j.current != nil {
		j.gaps.carry(j.current)
	}
}

// carry writes the counts into the header of a segment.
func (g *gaps) carry(s *segment) {
	var b [len(g) * gapSize]byte
	for i := range g {
		if g[i].count == 0 {
			continue
		}
		binary.BigEndian.PutUint64(b[i*gapSize:], g[i].count)
		binary.BigEndian.PutUint64(b[i*gapSize+8:], uint64(g[i].from.UnixMicro()))
		binary.BigEndian.PutUint64(b[i*gapSize+16:], uint64(g[i].to.UnixMicro()))
	}
	store(s.data[atGaps:], b[:])
}

// gapsOf reads them back after a crash.
func gapsOf(s *segment) (g gaps) {
	var b [len(g) * gapSize]byte
	if !store(b[:], s.data[atGaps:atGaps+len(b)]) {
		return g
	}
	for i := range g {
		g[i].count = binary.BigEndian.Uint64(b[i*gapSize:])
		g[i].from = time.UnixMicro(int64(binary.BigEndian.Uint64(b[i*gapSize+8:])))
		g[i].to = time.UnixMicro(int64(binary.BigEndian.Uint64(b[i*gapSize+16:])))
	}
	return g
}

// markGapsLocked writes one mark for each gap, once there is room for exchanges
// again, so that a long gap does not produce a thousand marks.
func (j *Journal) markGapsLocked() {
	if j.roomLocked()-j.reserved < 2*slotsPerExchange {
		return
	}
	for i := range j.gaps {
		g := j.gaps[i]
		if g.count == 0 {
			continue
		}
		if j.markLocked(Mark{Event: gapEvents[i], Count: g.count, From: g.from, To: g.to}) {
			j.gaps[i] = gap{}
			j.gaps.carry(j.current)
			j.o.Log.Warn("a gap of the journal is over; a mark reports it", "event", "journal_gap_told", "gap", gapEvents[i].String(),
				"count", g.count, "from", g.from.UTC().Format(time.RFC3339), "to", g.to.UTC().Format(time.RFC3339))
		}
	}
}
