package annuaire

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

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

	// MaxAge is the age up to which an answer serves. One that is older is kept
	// as long again, should the clock have jumped, then forgotten when the file
	// is written again. Required.
	MaxAge time.Duration

	// MaxBytes bounds the file; when it is reached the oldest answers go.
	// Default: 256 MiB.
	MaxBytes int64

	// Tags, where given, binds each answer to the key it answers, which the
	// annuaire's own signature does for the AMC alone.
	Tags Tagger

	Log *slog.Logger     // default: nothing is logged
	Now func() time.Time // default: time.Now
}

// A Disk keeps the annuaire's signed answers in a file, so that a restart
// during an outage of the annuaire starts with the last good answers. What it
// gives back is to be believed by its signature only: whoever can write the
// file can at most make the RPN forget, or go back to an answer that the
// annuaire did sign within MaxAge.
//
// The file is a log of two kinds of records, each behind a mark, its length and
// its checksum: what the annuaire said, by its digest, once; and which key it
// was said about, when, and under which sequence of its route. A record that is
// damaged is copied beside (File.bad), counted and logged, and the rest is
// read. The file is written again when more than half of it is of no use: in the background,
// then renamed, so that at each instant there is a whole one.
type Disk struct {
	o DiskOptions

	mu       sync.Mutex // guards all below
	file     *os.File
	size     int64
	live     int64 // bytes of the records that are of use
	keys     map[packed]keptKey
	contents map[digest]keptContent
	damaged  int   // records that could not be read, since the start
	bad      error // the last write that failed
}

// An extent is where a record is.
type extent struct {
	offset int64
	length int32
}

type keptKey struct {
	extent
	at   moment
	seq  uint64
	says digest
}

type keptContent struct {
	extent
	at moment
}

var (
	errNotThere   = errors.New("nothing is kept about this key")
	errNotReached = errors.New("the shared memory is not reached")
)

// A stored is an answer as a Disk or a Shared gives it back: unbelieved.
type stored struct {
	raw roc.Content
	at  time.Time // when the annuaire was asked about the key
	seq uint64    // of the route, then
}

// OpenDisk opens the file, or makes it, and reads what it holds. The folder is
// made too, for this user alone. One process writes a file: its folder is locked
// by whoever opens it (durable.Lock).
func OpenDisk(o DiskOptions) (*Disk, error) {
	if o.MaxAge <= 0 {
		return nil, errors.New("annuaire: MaxAge is required")
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Dir(o.File), 0o700); err != nil {
		return nil, err
	}
	d := &Disk{o: o, keys: map[packed]keptKey{}, contents: map[digest]keptContent{}}
	if err := d.open(); err != nil {
		return nil, err
	}
	return d, nil
}

// open reads the file. One that is none of ours is kept aside, and a new one
// begun.
func (d *Disk) open() error {
	f, err := os.OpenFile(d.o.File, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	d.file = f
	end, ours, err := d.scan(f)
	if err == nil && !ours {
		end, err = d.begin(f)
	}
	if err == nil {
		err = f.Truncate(end)
	}
	if err != nil {
		f.Close()
		return err
	}
	d.size = end
	if d.damaged > 0 { // so that the next start does not meet it again
		d.bad = d.compact(func(packed, keptKey) bool { return true })
	}
	d.compactIfWorth()
	return nil
}

// begin makes an empty file of ours, and keeps aside what stood there.
func (d *Disk) begin(f *os.File) (int64, error) {
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		d.keepAside(f, 0, info.Size())
		d.damaged++
		d.o.Log.Error("the file of the annuaire's answers is not one: it is kept aside and a new one begun", "event", "annuaire_disk_damaged", "file", d.o.File, "aside", d.o.File+".bad")
	}
	if err := f.Truncate(0); err != nil {
		return 0, err
	}
	_, err := f.WriteAt([]byte(diskMagic), 0)
	return int64(len(diskMagic)), err
}

// enterKey puts a key into the index; one that says nothing is taken out.
func (d *Disk) enterKey(p packed, k keptKey) {
	if old, ok := d.keys[p]; ok {
		d.live -= int64(old.length)
	}
	if k.says == (digest{}) {
		delete(d.keys, p)
		return
	}
	d.keys[p] = k
	d.live += int64(k.length)
}

func (d *Disk) enterContent(says digest, c keptContent) {
	if old, ok := d.contents[says]; ok {
		d.live -= int64(old.length)
	}
	d.contents[says] = c
	d.live += int64(c.length)
}

// contentSlack is how much older than a key's own answer the one that is kept
// for it may be, when both say the same.
const contentSlack = 5 * time.Minute

// put keeps an answer about a key. What it says is written only when it is not
// there yet, or has become old.
func (d *Disk) put(k roc.Key, at time.Time, seq uint64, says digest, raw roc.Content) {
	var p packed
	if p.pack(&k) {
		d.putNamed(p.hidden(), at, seq, says, raw)
	}
}

// putNamed is put for what is written down under that name: the hidden key, or
// the digest of a search.
func (d *Disk) putNamed(p packed, at time.Time, seq uint64, says digest, raw roc.Content) {
	if raw.Len() > maxRecord/2 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c, ok := d.contents[says]; !ok || at.Sub(c.at.time()) > contentSlack {
		if n := d.writeLocked(d.contentRecord(says, at, raw.Bytes())); n > 0 {
			d.enterContent(says, keptContent{extent{d.size - int64(n), int32(n)}, momentOf(at)})
		}
	}
	d.putKeyLocked(p, at, seq, says)
}

// restore has a key say again what it said before, when that is still there.
func (d *Disk) restore(k roc.Key, at time.Time, seq uint64, says digest) {
	var p packed
	if !p.pack(&k) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.contents[says]; ok {
		d.putKeyLocked(p.hidden(), at, seq, says)
	}
}

// drop forgets the answer to a key.
func (d *Disk) drop(k roc.Key) {
	var p packed
	if p.pack(&k) {
		d.dropNamed(p.hidden())
	}
}

func (d *Disk) dropNamed(p packed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, there := d.keys[p]; there {
		d.putKeyLocked(p, time.Time{}, 0, digest{})
	}
}

func (d *Disk) putKeyLocked(p packed, at time.Time, seq uint64, says digest) {
	if n := d.writeLocked(d.keyRecord(&p, at, seq, says)); n > 0 {
		d.enterKey(p, keptKey{extent{d.size - int64(n), int32(n)}, momentOf(at), seq, says})
	}
	d.compactIfWorth()
}

// writeLocked appends a record and returns its length; 0: it is not written.
func (d *Disk) writeLocked(record []byte) int {
	if d.file == nil {
		return 0
	}
	if _, d.bad = d.file.WriteAt(record, d.size); d.bad != nil {
		return 0 // what was half written is written over by the next
	}
	d.size += int64(len(record))
	return len(record)
}

// get returns what is kept about a key: unbelieved. A record that is damaged is
// counted, and the key forgotten.
func (d *Disk) get(k roc.Key) (stored, error) {
	var p packed
	if !p.pack(&k) {
		return stored{}, errNotThere
	}
	return d.getNamed(p.hidden())
}

func (d *Disk) getNamed(p packed) (stored, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, ok := d.keys[p]
	if !ok || d.file == nil {
		return stored{}, errNotThere
	}
	c, ok := d.contents[key.says]
	if !ok {
		return stored{}, errNotThere
	}
	s := stored{at: key.at.time(), seq: key.seq}
	err := d.openKey(&p, key)
	if err == nil {
		s.raw, err = d.openContent(key.says, c)
	}
	if err != nil {
		d.damaged++
		return stored{}, err
	}
	return s, nil
}

// has reports whether something is kept about a key.
func (d *Disk) has(k *roc.Key) bool {
	var p packed
	return p.pack(k) && d.hasNamed(p.hidden())
}

func (d *Disk) hasNamed(p packed) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.keys[p]
	return ok
}

// hidden is the key as it is written down: a CSR is fifteen characters of the
// establishment's choice, and where it wrote a patient's number there instead,
// none stands in a file or in Redis.
func (p *packed) hidden() packed { return sha256.Sum256(p[:]) }

// setDown keeps over a restart that the annuaire does not answer: what is kept
// then serves at once. It is a hint, and what fails is left.
func (d *Disk) setDown(down bool) {
	if !down {
		os.Remove(d.o.File + ".down")
	} else if f, err := os.OpenFile(d.o.File+".down", os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		f.Close()
	}
}

// down returns since when the annuaire did not answer before a restart; zero: it
// did.
func (d *Disk) down() time.Time {
	info, err := os.Stat(d.o.File + ".down")
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// DiskSize is how much a Disk keeps, and how it does.
type DiskSize struct {
	Keys     int
	Contents int // what is said about them: equal answers are one
	Bytes    int64
	Damaged  int   // records that could not be read, since the start
	Err      error // of the last write; nil: it went well
}

// Size returns how much is kept.
func (d *Disk) Size() DiskSize {
	d.mu.Lock()
	defer d.mu.Unlock()
	return DiskSize{len(d.keys), len(d.contents), d.size, d.damaged, d.bad}
}

// Newest is when the last of the answers that are kept was given; zero: none is
// kept. Their signatures are not looked at.
func (d *Disk) Newest() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.keys) == 0 {
		return time.Time{}
	}
	var newest moment
	for _, k := range d.keys {
		newest = max(newest, k.at)
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
