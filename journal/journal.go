package journal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// slotsPerExchange slots are reserved for each open exchange: one for its
// record, the others for what may have to be added afterwards.
const slotsPerExchange = 3

// ErrNoRoom means that an exchange is refused: there is no room for its record.
var ErrNoRoom = errors.New("the journal has no room: its disk is full, read-only or broken")

var errClosed = errors.New("the journal is closed")

// A Journal writes one record for each exchange. It is safe for concurrent use.
// Open it, call Run in a goroutine, Close it at the end.
type Journal struct {
	o    Options
	lock *durable.FolderLock

	mu       sync.Mutex // guards the fields below, and writes to the current segment
	current  *segment   // nil: there is none to write to
	spare    *segment   // the next one, ready; nil: being made, or cannot be made
	closing  []*segment // full or retired, the oldest first
	next     uint64     // index of the next record
	sequence uint64     // of the next segment to be made
	reserved int        // slots promised to the open exchanges
	gaps     gaps
	closed   bool
	holes    bool // a closed segment was unreadable at startup

	wake, retired chan struct{} // a segment must be made; one must be closed
	sync          syncer
	seal          sealer
	stats         counters

	pruned      pruner // used by the seal loop alone
	closeFailed string // why no segment is closed, as it was said; of the seal loop too
}

// counters are what Stats reads without the lock.
type counters struct {
	notRecorded, turnedAway, notAmended atomic.Uint64
	faults, syncErrors, sealErrors      atomic.Uint64
	closeErrors, roomErrors, readErrors atomic.Uint64
	void, torn, pruned                  atomic.Uint64
	closedBytes, closedSegments         atomic.Int64
	oldest                              atomic.Int64 // unix microseconds of the oldest record kept; 0: unknown
}

// Reserve keeps room for the records of one exchange; Release gives it back.
// False without an error: there is no room, the policy is to carry on, and the
// exchange is counted; no other method may be called for it. An error: the
// exchange must be refused before any byte of it is carried. The Refuse policy
// fails closed.
func (j *Journal) Reserve() (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.roomLocked()-j.reserved >= slotsPerExchange {
		j.reserved += slotsPerExchange
		return true, nil
	}
	if j.o.OnFull == ContinueCounting {
		j.gapLocked(NotRecorded)
		return false, nil
	}
	j.gapLocked(TurnedAway)
	return false, ErrNoRoom
}

// Release gives back the room of an exchange that is over.
func (j *Journal) Release() {
	j.mu.Lock()
	j.reserved -= slotsPerExchange
	j.mu.Unlock()
}

// roomLocked is the number of records that are certain to find room.
func (j *Journal) roomLocked() int {
	n := 0
	if j.closed {
		return 0
	}
	if j.current != nil {
		n = j.current.free()
	}
	if j.spare != nil {
		n += j.spare.capacity
	}
	return n
}

// Append writes the record of an exchange that holds a reservation. When it
// returns, the record survives the death of the process, and with Strict the
// loss of power. An error says that there is no record: with Refuse its answer
// must not leave.
func (j *Journal) Append(rec *roc.Record) (roc.Receipt, error) {
	var b slot
	putExchange((*[exchangeSize]byte)(b[slotRecord:]), rec)
	leaf := b.finish(exchangeSize)
	index, err := j.put(&b)
	if err != nil {
		return roc.Receipt{}, j.recordLost(err)
	}
	return roc.Receipt{Origin: j.o.Origin, Index: index, Leaf: leaf}, nil
}

// recordLost counts an exchange whose record could not be written at its end: a
// fault of the disk, not a lack of room. With ContinueCounting it is no error.
func (j *Journal) recordLost(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.gapLocked(NotRecorded)
	if j.o.OnFull == ContinueCounting {
		return nil
	}
	return err
}

// Amend adds what became known after the record of that receipt was written. An
// amendment that finds no room is counted, and a mark reports it.
func (j *Journal) Amend(of roc.Receipt, id roc.ExchangeID, change Change, answerCheck string) {
	var b slot
	putAmendment((*[amendmentSize]byte)(b[slotRecord:]), &Amendment{Exchange: id, Of: of.Index, At: j.o.Now(), Change: change, AnswerCheck: answerCheck})
	b.finish(amendmentSize)
	if _, err := j.put(&b); err != nil {
		j.mu.Lock()
		j.gapLocked(NotAmended)
		j.mu.Unlock()
	}
}

// put writes a slot, and waits for the disk if asked to.
func (j *Journal) put(b *slot) (uint64, error) {
	j.mu.Lock()
	index, err := j.putLocked(b)
	j.mu.Unlock()
	if err == nil && j.o.Durability == Strict {
		err = j.sync.wait(index + 1)
	}
	return index, err
}

// putLocked writes a slot into the current segment, or into the next one when
// it is full or its memory fails.
func (j *Journal) putLocked(b *slot) (uint64, error) {
	for range 3 {
		if j.closed {
			return 0, errClosed
		}
		if j.current == nil || j.current.free() == 0 {
			if !j.rotateLocked() {
				return 0, ErrNoRoom
			}
		}
		if j.current.put(b) {
			j.next++
			return j.next - 1, nil
		}
		j.stats.faults.Add(1)
		j.o.Log.Error("the journal could not write into its segment: the next segment takes over", "event", "journal_segment_fault", "file", j.current.path)
		j.retireLocked()
	}
	return 0, ErrNoRoom
}

// rotateLocked starts using the spare segment; false: there is none.
func (j *Journal) rotateLocked() bool {
	if j.spare == nil {
		return false
	}
	j.retireLocked()
	j.current, j.spare = j.spare, nil
	wakeUp(j.wake)
	if !j.current.begin(j.next, j.o.Now()) {
		j.current.faulty.Store(true)
		j.retireLocked()
		return false
	}
	j.gaps.carry(j.current)
	return true
}

// retireLocked hands the current segment over to be closed.
func (j *Journal) retireLocked() {
	if j.current != nil {
		j.closing = append(j.closing, j.current)
		j.current = nil
		wakeUp(j.retired)
	}
}

func wakeUp(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// markLocked adds a record about the journal itself, if there is room that was
// not promised to an exchange.
func (j *Journal) markLocked(m Mark) bool {
	if j.roomLocked()-j.reserved < 1 {
		return false
	}
	var b slot
	putMark((*[markSize]byte)(b[slotRecord:]), &m)
	b.finish(markSize)
	_, err := j.putLocked(&b)
	return err == nil
}

// ensureSpare makes the spare segment if there is none, and writes the marks of
// the gaps once there is room.
func (j *Journal) ensureSpare() {
	j.mu.Lock()
	missing, sequence := j.spare == nil && !j.closed, j.sequence
	j.mu.Unlock()
	if missing {
		s, err := createSegment(j.path(segmentName(sequence)+".open"), &j.o, sequence)
		if err != nil {
			j.noRoom(err)
		} else {
			j.mu.Lock()
			j.spare, j.sequence = s, sequence+1
			j.mu.Unlock()
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.current; old != nil && old.count.Load() > 0 && j.o.Now().Sub(old.opened) >= j.o.SegmentAge && j.spare != nil {
		j.rotateLocked()
	}
	if j.current == nil {
		j.rotateLocked()
	}
	j.markGapsLocked()
}

func (j *Journal) noRoom(err error) {
	j.stats.roomErrors.Add(1)
	j.o.Log.Error("no new segment can be made for the journal: once the open one is full, exchanges are "+map[FullPolicy]string{Refuse: "refused", ContinueCounting: "carried without a record and counted"}[j.o.OnFull],
		"event", "journal_no_room", "error", err.Error(), "records_left", j.left(), "remedy", "free space on the disk of "+j.o.Dir+", or move journal.dir")
}

func (j *Journal) left() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.roomLocked()
}

// Ready returns nil, or what is wrong with the journal, for the operator:
// little room is left, or a fault was seen.
func (j *Journal) Ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch room := j.roomLocked() - j.reserved; {
	case room < slotsPerExchange:
		return ErrNoRoom
	case j.spare == nil && j.current.free() < j.current.capacity/4:
		return fmt.Errorf("the journal has room for %d records more, and no new segment can be made", room)
	}
	return nil
}
