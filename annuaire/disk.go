package annuaire

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Tagger binds data to those who share a secret: internal/secret's Ring.
// Holds reports whether Tag made that tag, with that purpose and those parts.
type Tagger interface {
	Tag(purpose string, parts ...[]byte) []byte
	Holds(tag []byte, purpose string, parts ...[]byte) bool
}

// DiskOptions are what a Disk needs. File is required.
type DiskOptions struct {
	File string

	// MaxAge is the age at which an answer is forgotten. Default: 72 h.
	MaxAge time.Duration

	// MaxBytes bounds the file; when it is reached the oldest answers go.
	// Default: 256 MiB.
	MaxBytes int64

	// Tags, where given, binds each answer to the key it answers, which the
	// annuaire's own signature does for the AMC alone.
	Tags Tagger

	Now func() time.Time // default: time.Now
}

// A Disk keeps the annuaire's signed answers in a file, so that a restart
// during an outage of the annuaire starts with the last good answers. What it
// gives back is to be believed by its signature only: whoever can write the
// file can at most make the RPN forget, or go back to an answer that the
// annuaire did sign within MaxAge.
//
// The file is a log: each record stands behind its length and its checksum,
// and a record that was cut by a crash ends the reading. It is written anew
// when more than half of it is of no use: beside, then renamed, so that at
// each instant there is a whole one.
type Disk struct {
	o DiskOptions

	mu    sync.Mutex // guards all below
	file  *os.File
	size  int64
	live  int64
	index map[packed]extent
	bad   error // the last write that failed
}

// An extent is where a record is, and of when.
type extent struct {
	offset int64
	length int32
	at     moment
}

var (
	errNotThere   = errors.New("nothing is kept about this key")
	errNotReached = errors.New("the shared memory is not reached")
)

const (
	diskMagic  = "RPN annuaire 2\n"
	diskHead   = 4 + sha256.Size // of a record: the length and the checksum of what follows
	diskRecord = len(packed{}) + 8 + 2
	maxRecord  = 4 << 20
	compactAt  = 1 << 20
	tagPurpose = "annuaire"
)

// OpenDisk opens the file, or makes it, and reads what it holds. The folder is
// made too, for this user alone. One process writes a file: its folder is locked
// by whoever opens it (durable.Lock).
func OpenDisk(o DiskOptions) (*Disk, error) {
	if o.MaxAge <= 0 {
		o.MaxAge = 72 * time.Hour
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(filepath.Dir(o.File), 0o700); err != nil {
		return nil, err
	}
	d := &Disk{o: o, index: map[packed]extent{}}
	if err := d.open(); err != nil {
		return nil, err
	}
	return d, nil
}

// open reads the file, and begins a new one when it is none of ours.
func (d *Disk) open() error {
	f, err := os.OpenFile(d.o.File, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	end, ok := d.scan(f)
	if !ok {
		end = int64(len(diskMagic))
		err := f.Truncate(0)
		if err == nil {
			_, err = f.WriteAt([]byte(diskMagic), 0)
		}
		if err != nil {
			f.Close()
			return err
		}
	}
	if err := f.Truncate(end); err != nil {
		f.Close()
		return err
	}
	d.file, d.size = f, end
	d.compactIfWorth()
	return nil
}

// scan reads every record, up to the first that is not whole.
func (d *Disk) scan(f *os.File) (end int64, ok bool) {
	r := bufio.NewReaderSize(f, 1<<20)
	magic := make([]byte, len(diskMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != diskMagic {
		return 0, false
	}
	end = int64(len(diskMagic))
	for {
		payload, err := readRecord(r)
		if err != nil {
			return end, true
		}
		length := int64(diskHead + len(payload))
		var k packed
		copy(k[:], payload)
		d.enter(k, extent{end, int32(length), momentOf(timeIn(payload))}, len(payload) == diskRecord)
		end += length
	}
}

func readRecord(r io.Reader) ([]byte, error) {
	var head [diskHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < uint32(diskRecord) || n > maxRecord {
		return nil, errors.New("not a record")
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, err
	}
	if sha256.Sum256(payload) != [sha256.Size]byte(head[4:]) {
		return nil, errors.New("a record was altered")
	}
	return payload, nil
}

func timeIn(payload []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(payload[len(packed{}):])))
}

// enter puts a record into the index; a drop takes the key out.
func (d *Disk) enter(k packed, x extent, drop bool) {
	if old, ok := d.index[k]; ok {
		d.live -= int64(old.length)
	}
	if drop {
		delete(d.index, k)
		return
	}
	d.index[k] = x
	d.live += int64(x.length)
}

// put keeps an answer in the place of the former one.
func (d *Disk) put(k roc.Key, at time.Time, raw roc.Content) { d.append(k, at, raw.Bytes()) }

// hidden is the key as it is written down: a CSR is fifteen characters of the
// establishment's choice, and where it wrote a patient's number there instead,
// none stands in a file or in Redis.
func (p *packed) hidden() packed { return sha256.Sum256(p[:]) }

// drop forgets the answer to a key.
func (d *Disk) drop(k roc.Key) {
	var p packed
	if !p.pack(&k) {
		return
	}
	p = p.hidden()
	d.mu.Lock()
	_, there := d.index[p]
	d.mu.Unlock()
	if there {
		d.append(k, time.Time{}, nil)
	}
}

func (d *Disk) append(k roc.Key, at time.Time, raw []byte) {
	var p packed
	if !p.pack(&k) || len(raw) > maxRecord/2 {
		return
	}
	p = p.hidden()
	record := d.record(&p, at, raw)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		return
	}
	if _, d.bad = d.file.WriteAt(record, d.size); d.bad != nil {
		return // what was half written is written over by the next
	}
	d.enter(p, extent{d.size, int32(len(record)), momentOf(at)}, raw == nil)
	d.size += int64(len(record))
	d.compactIfWorth()
}

// record writes key, time, tag and answer behind their length and checksum.
func (d *Disk) record(p *packed, at time.Time, raw []byte) []byte {
	b := make([]byte, diskHead, diskHead+diskRecord+64+len(raw))
	b = append(b, p[:]...)
	stamp := int64(0)
	if !at.IsZero() {
		stamp = at.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(stamp))
	var tag []byte
	if d.o.Tags != nil && raw != nil {
		tag = d.o.Tags.Tag(tagPurpose, p[:], b[diskHead+len(p):], raw)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(tag)))
	b = append(append(b, tag...), raw...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-diskHead))
	sum := sha256.Sum256(b[diskHead:])
	copy(b[4:], sum[:])
	return b
}

// get returns what is kept about a key: unbelieved.
func (d *Disk) get(k roc.Key) (roc.Content, time.Time, error) {
	var p packed
	if !p.pack(&k) {
		return roc.Content{}, time.Time{}, errNotThere
	}
	p = p.hidden()
	d.mu.Lock()
	defer d.mu.Unlock()
	x, ok := d.index[p]
	if !ok || d.file == nil {
		return roc.Content{}, time.Time{}, errNotThere
	}
	payload, err := readRecord(io.NewSectionReader(d.file, x.offset, int64(x.length)))
	if err != nil {
		return roc.Content{}, time.Time{}, err
	}
	return d.opened(&p, payload)
}

// opened reads the payload of a record about that key.
func (d *Disk) opened(p *packed, payload []byte) (roc.Content, time.Time, error) {
	rest := payload[len(p):]
	n := int(binary.BigEndian.Uint16(rest[8:]))
	if [len(packed{})]byte(payload) != *p || len(rest) < 10+n {
		return roc.Content{}, time.Time{}, errors.New("the record is about another key")
	}
	tag, raw := rest[10:10+n], rest[10+n:]
	if d.o.Tags != nil && !d.o.Tags.Holds(tag, tagPurpose, p[:], rest[:8], raw) {
		return roc.Content{}, time.Time{}, errors.New("the record's tag is not of our secrets")
	}
	return roc.NewContent(raw), timeIn(payload), nil
}

// compactIfWorth writes the file anew when it is mostly of no use, or full.
func (d *Disk) compactIfWorth() {
	full := d.size > d.o.MaxBytes
	if !full && (d.size < compactAt || d.size < 2*d.live) {
		return
	}
	oldest := momentOf(d.o.Now().Add(-d.o.MaxAge))
	if full { // keep the newer half
		oldest = max(oldest, d.average())
	}
	d.bad = d.compact(oldest)
}

// average is the age of an answer, when what is kept takes more than half of the
// room.
func (d *Disk) average() moment {
	if d.live < d.o.MaxBytes/2 {
		return 0
	}
	var sum, n uint64
	for _, x := range d.index {
		sum += uint64(x.at)
		n++
	}
	return moment(sum / max(n, 1))
}

// compact writes the records that are newer to a new file, and puts it in the
// place of the old one.
func (d *Disk) compact(oldest moment) error {
	next, err := durable.Create(d.o.File, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if !next.InPlace() {
			next.Close()
		}
	}()
	w := bufio.NewWriterSize(next, 1<<20)
	w.WriteString(diskMagic)
	index, size := make(map[packed]extent, len(d.index)), int64(len(diskMagic))
	for k, x := range d.index {
		if x.at < oldest {
			continue
		}
		if _, err := io.Copy(w, io.NewSectionReader(d.file, x.offset, int64(x.length))); err != nil {
			return err
		}
		x.offset = size
		size += int64(x.length)
		index[k] = x
	}
	if err := w.Flush(); err != nil {
		return err
	}
	err = next.Commit()
	if next.InPlace() {
		d.file.Close()
		d.file, d.size, d.index, d.live = next.File, size, index, size-int64(len(diskMagic))
	}
	return err
}

// Size returns how many answers are kept, in how many bytes, and the error of
// the last write, nil when it went well.
func (d *Disk) Size() (answers int, bytes int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.index), d.size, d.bad
}

// Newest is when the last of the answers that are kept was given; zero: none is
// kept. Their signatures are not looked at.
func (d *Disk) Newest() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.index) == 0 {
		return time.Time{}
	}
	var newest moment
	for _, e := range d.index {
		newest = max(newest, e.at)
	}
	return newest.time()
}

// Close makes sure that the file is written, and lets another process have it.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		return nil
	}
	err := errors.Join(d.file.Sync(), d.file.Close())
	d.file = nil
	return err
}
