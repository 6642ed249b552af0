package journal

import "time"

// Stats is the state of a journal, for metrics and for the operator.
type Stats struct {
	Records   uint64    // written since the beginning of the journal
	Sealed    uint64    // of them, covered by the last signed checkpoint
	SealedAt  time.Time // when it was signed; zero: never by this process
	Segments  int       // closed
	Bytes     int64     // of the closed segments
	Oldest    time.Time // time of the oldest record at startup; zero: unknown
	RoomLeft  int       // records that are certain to find room
	WaitClose int       // segments waiting to be closed

	NotRecorded, TurnedAway, NotAmended                     uint64 // since this process began
	Faults, SyncErrors, SealErrors, CloseErrors, RoomErrors uint64
	ReadErrors                                              uint64 // closed segments that could not be read at startup: not the same as damaged
	Damaged, Torn, Pruned                                   uint64
}

// Stats returns the current state.
func (j *Journal) Stats() Stats {
	c := &j.stats
	s := Stats{
		Sealed: j.seal.size.Load(), Segments: int(c.closedSegments.Load()), Bytes: c.closedBytes.Load(),
		NotRecorded: c.notRecorded.Load(), TurnedAway: c.turnedAway.Load(), NotAmended: c.notAmended.Load(),
		Faults: c.faults.Load(), SyncErrors: c.syncErrors.Load(), SealErrors: c.sealErrors.Load(), CloseErrors: c.closeErrors.Load(), RoomErrors: c.roomErrors.Load(), ReadErrors: c.readErrors.Load(),
		Damaged: c.void.Load(), Torn: c.torn.Load(), Pruned: c.pruned.Load(),
	}
	if at := j.seal.at.Load(); at != 0 {
		s.SealedAt = time.Unix(0, at)
	}
	if at := c.oldest.Load(); at != 0 {
		s.Oldest = time.UnixMicro(at)
	}
	j.mu.Lock()
	s.Records, s.RoomLeft, s.WaitClose = j.next, j.roomLocked()-j.reserved, len(j.closing)
	j.mu.Unlock()
	return s
}
