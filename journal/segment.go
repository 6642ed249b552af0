package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// An open segment is a preallocated file mapped in memory: a header of one
// page, then slots of one size. A slot is the leaf hash of a record, the
// record, and its length. The hash also distinguishes a whole record from one
// that a crash cut: a slot counts as written when its hash is right.
const (
	headerSize = 4096
	slotRecord = sha256.Size // offset of the record in a slot
	slotLength = slotRecord + exchangeSize
	slotSize   = slotLength + 2

	segmentMagic = "RPNJSEG1"
	unused       = ^uint64(0) // first index of a segment that is not in use yet
)

// Offsets in the header.
const (
	atVersion  = 8
	atSlotSize = 12
	atSequence = 16
	atCapacity = 24
	atOrigin   = 32 // SHA-256 of the name of the journal
	atFirst    = 64 // index of the first record, then its bitwise complement
	atOpened   = 80 // when the first record came, unix microseconds
	atGaps     = 128
)

// capacityOf is how many records a segment of that size holds.
func capacityOf(size int64) int { return int(max(0, size-headerSize) / slotSize) }

// A slot is a record being written into a segment.
type slot [slotSize]byte

// finish hashes the record of n bytes in the slot. The byte before the record
// holds the leaf prefix meanwhile.
func (s *slot) finish(n int) Hash {
	h := leafHash(s[slotRecord-1 : slotRecord+n])
	copy(s[:], h[:])
	binary.BigEndian.PutUint16(s[slotLength:], uint16(n))
	return h
}

// record is the record in a slot; false when there is none or it is incomplete.
func (s *slot) record() ([]byte, Hash, bool) {
	n := int(binary.BigEndian.Uint16(s[slotLength:]))
	if n == 0 || n > exchangeSize {
		return nil, Hash{}, false
	}
	h := Hash(s[:sha256.Size])
	raw := s[slotRecord : slotRecord+n]
	return raw, h, LeafHash(raw) == h
}

// A segment is one open segment. Its writer holds Journal.mu; readers read
// the slots below count.
type segment struct {
	path     string
	f        *os.File
	data     []byte
	sequence uint64
	first    uint64 // index of the record in slot 0
	capacity int
	opened   time.Time // when its first record came

	count  atomic.Int64 // slots written
	synced atomic.Int64 // of them, on the disk

	// boundary is the signed checkpoint of the tree that ends with this
	// segment, once it is full or retired, and sealed to its end.
	boundary []byte
	faulty   atomic.Bool // a store failed: its memory cannot be trusted any more
}

func segmentName(sequence uint64) string { return fmt.Sprintf("segment-%012d", sequence) }

// createSegment makes a segment that is not in use yet. Its disk space stays
// allocated until it is closed.
func createSegment(path string, o *Options, sequence uint64) (s *segment, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path)
		}
	}()
	capacity := capacityOf(o.SegmentBytes)
	if err := o.allocate(f, headerSize+int64(capacity)*slotSize); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var h [headerSize]byte
	copy(h[:], segmentMagic)
	be := binary.BigEndian
	be.PutUint32(h[atVersion:], version)
	be.PutUint32(h[atSlotSize:], slotSize)
	be.PutUint64(h[atSequence:], sequence)
	be.PutUint64(h[atCapacity:], uint64(capacity))
	sum := sha256.Sum256([]byte(o.Origin))
	copy(h[atOrigin:], sum[:])
	be.PutUint64(h[atFirst:], unused)
	if _, err := f.WriteAt(h[:], 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return mapSegment(f, path)
}

const errNotSegment = fileDamage("not a segment of this journal")

// mapSegment maps a file whose header is whole. count is left at zero.
func mapSegment(f *os.File, path string) (*segment, error) {
	var h [headerSize]byte
	if err := readAt(f, h[:], 0, fileDamage("the file was cut")); err != nil {
		return nil, fmt.Errorf("%s: its header: %w", path, err)
	}
	be := binary.BigEndian
	capacity := be.Uint64(h[atCapacity:])
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if string(h[:8]) != segmentMagic || be.Uint32(h[atVersion:]) != version || be.Uint32(h[atSlotSize:]) != slotSize {
		return nil, fmt.Errorf("%s: %w, or its layout is not known to this version of rpn", path, errNotSegment)
	}
	if capacity > 1<<30 || info.Size() < headerSize+int64(capacity)*slotSize {
		return nil, fmt.Errorf("%s: %w: the file has %d bytes; its header says %d records", path, errNotSegment, info.Size(), capacity)
	}
	s := &segment{path: path, f: f, sequence: be.Uint64(h[atSequence:]), capacity: int(capacity), first: be.Uint64(h[atFirst:])}
	if s.first != unused && be.Uint64(h[atFirst+8:]) != ^s.first {
		s.first = unused // the process died while starting to use it: it is empty
	}
	s.opened = time.UnixMicro(int64(be.Uint64(h[atOpened:])))
	s.data, err = mapFile(f, headerSize+int64(capacity)*slotSize)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ofOrigin reports whether the header names that journal.
func (s *segment) ofOrigin(origin string) bool {
	sum := sha256.Sum256([]byte(origin))
	return Hash(s.data[atOrigin:atOrigin+sha256.Size]) == sum
}

// begin starts using a segment.
func (s *segment) begin(first uint64, at time.Time) bool {
	var h [atGaps - atFirst]byte
	binary.BigEndian.PutUint64(h[0:], first)
	binary.BigEndian.PutUint64(h[8:], ^first)
	binary.BigEndian.PutUint64(h[atOpened-atFirst:], uint64(at.UnixMicro()))
	s.first, s.opened = first, at
	return store(s.data[atFirst:], h[:])
}

// put writes the next slot; false: the memory cannot be written.
func (s *segment) put(b *slot) bool {
	n := s.count.Load()
	if !store(s.data[headerSize+n*slotSize:], b[:]) {
		s.faulty.Store(true)
		return false
	}
	s.count.Store(n + 1)
	return true
}

// get copies slot i; false: the memory cannot be read.
func (s *segment) get(i int, b *slot) bool {
	return store(b[:], s.data[headerSize+i*slotSize:headerSize+(i+1)*slotSize])
}

// whyUnread is why the memory of slot i cannot be read: the file was cut, or what
// its disk says.
func (s *segment) whyUnread(i int) error {
	var b slot
	err := readAt(s.f, b[:], headerSize+int64(i)*slotSize, fileDamage("the file was cut"))
	if err == nil {
		return fmt.Errorf("%s: record %d could not be read, and can be now: start again", s.path, s.first+uint64(i))
	}
	return fmt.Errorf("%s: record %d cannot be read: %w", s.path, s.first+uint64(i), err)
}

func (s *segment) free() int { return s.capacity - int(s.count.Load()) }

// end is the index after its last record.
func (s *segment) end() uint64 { return s.first + uint64(s.count.Load()) }

// sync writes to the disk what is in the segment so far.
func (s *segment) sync() error {
	n := s.count.Load()
	if n == s.synced.Load() {
		return nil
	}
	if err := datasync(s.f); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.synced.Store(n)
	return nil
}

func (s *segment) close() error { return errors.Join(unmapFile(s.data), s.f.Close()) }
