package annuaire

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// The format of a Disk's file: diskMagic, then records. A record is recordMark,
// the length of its payload (4), the payload's SHA-256, the payload. A payload
// begins with its kind.
//
//	key      kind, hidden key (32), at (8), sequence (8), digest (16), tag
//	content  kind, digest (16), at (8), length of the tag (2), tag, answer
const (
	diskMagic     = "RPN annuaire 3\n"
	recordMark    = "\xa7RPN"
	diskHead      = len(recordMark) + 4 + sha256.Size
	kindKey       = 'k'
	kindContent   = 'c'
	keyPayload    = 1 + len(packed{}) + 8 + 8 + digestSize
	contentHead   = 1 + digestSize + 8 + 2
	maxRecord     = 4 << 20
	compactAt     = 1 << 20
	maxAside      = 16 << 20 // bytes that are kept of what is damaged
	keyPurpose    = "annuaire key"
	answerPurpose = "annuaire answer"
)

var (
	errNoRecord = errors.New("it is no record")
	errDamaged  = errors.New("a record was altered")
	errTag      = errors.New("the record's tag is not of our secrets")
)

// scan reads every record and returns where the last whole one ends; ours is
// false when the file is none of ours. What is damaged is kept aside.
func (d *Disk) scan(f *os.File) (end int64, ours bool, err error) {
	magic := make([]byte, len(diskMagic))
	if _, err := f.ReadAt(magic, 0); err != nil || string(magic) != diskMagic {
		return 0, false, nil
	}
	info, err := f.Stat()
	if err != nil {
		return 0, true, err
	}
	at := int64(len(diskMagic))
	r := bufio.NewReaderSize(io.NewSectionReader(f, at, info.Size()-at), 1<<20)
	for {
		payload, err := readRecord(r)
		if err == nil && d.enter(payload, at) {
			at += int64(diskHead + len(payload))
			continue
		}
		next := nextMark(f, at+1, info.Size())
		if next < 0 && (err == io.EOF || err == io.ErrUnexpectedEOF) {
			return at, true, nil // the end, or what a crash cut short
		}
		if next < 0 {
			next = info.Size()
		}
		d.damaged++
		d.keepAside(f, at, next-at)
		d.o.Log.Error("a record of the annuaire's answers is damaged: it is kept aside, the rest is read",
			"event", "annuaire_disk_damaged", "file", d.o.File, "offset", at, "bytes", next-at, "aside", d.o.File+".bad")
		if at = next; at >= info.Size() {
			return at, true, nil
		}
		r.Reset(io.NewSectionReader(f, at, info.Size()-at))
	}
}

// nextMark finds the next record from an offset on, or returns -1.
func nextMark(f io.ReaderAt, from, size int64) int64 {
	b := make([]byte, 64<<10)
	for from < size {
		n, _ := f.ReadAt(b, from)
		if i := bytes.Index(b[:n], []byte(recordMark)); i >= 0 {
			return from + int64(i)
		}
		if n < len(b) {
			return -1
		}
		from += int64(n - len(recordMark) + 1)
	}
	return -1
}

// keepAside copies what is damaged, for whoever wants to know why.
func (d *Disk) keepAside(f io.ReaderAt, at, n int64) {
	aside, err := os.OpenFile(d.o.File+".bad", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer aside.Close()
	if info, err := aside.Stat(); err == nil && info.Size() < maxAside {
		io.Copy(aside, io.NewSectionReader(f, at, min(n, maxAside-info.Size())))
	}
}

// readRecord reads one record. io.EOF: there is none; io.ErrUnexpectedEOF: it
// is not whole.
func readRecord(r io.Reader) ([]byte, error) {
	var head [diskHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	rest := head[len(recordMark):]
	n := binary.BigEndian.Uint32(rest)
	if string(head[:len(recordMark)]) != recordMark || n == 0 || n > maxRecord {
		return nil, errNoRecord
	}
	// A length that lies costs what is there, not what it says.
	payload, err := io.ReadAll(io.LimitReader(r, int64(n)))
	switch {
	case err != nil:
		return nil, err
	case len(payload) < int(n):
		return nil, io.ErrUnexpectedEOF
	case sha256.Sum256(payload) != [sha256.Size]byte(rest[4:]):
		return nil, errDamaged
	}
	return payload, nil
}

// enter puts a payload into the index; false: it is none.
func (d *Disk) enter(payload []byte, at int64) bool {
	x := extent{at, int32(diskHead + len(payload))}
	switch {
	case payload[0] == kindKey && len(payload) >= keyPayload:
		b := payload[1+len(packed{}):]
		d.enterKey(packed(payload[1:]), keptKey{x, momentOf(timeOf(b)), binary.BigEndian.Uint64(b[8:]), digest(b[16:])})
	case payload[0] == kindContent && len(payload) >= contentHead:
		d.enterContent(digest(payload[1:]), keptContent{x, momentOf(timeOf(payload[1+digestSize:]))})
	default:
		return false
	}
	return true
}

func timeOf(b []byte) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(b))) }

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixNano()))
}

// keyRecord writes which key an answer was about.
func (d *Disk) keyRecord(p *packed, at time.Time, seq uint64, says digest) []byte {
	b := append(make([]byte, diskHead, diskHead+keyPayload+64), kindKey)
	b = appendTime(append(b, p[:]...), at)
	b = append(binary.BigEndian.AppendUint64(b, seq), says[:]...)
	if d.o.Tags != nil {
		b = append(b, d.o.Tags.Tag(keyPurpose, b[diskHead:])...)
	}
	return sealed(b)
}

// contentRecord writes an answer.
func (d *Disk) contentRecord(says digest, at time.Time, raw []byte) []byte {
	b := append(make([]byte, diskHead, diskHead+contentHead+64+len(raw)), kindContent)
	b = appendTime(append(b, says[:]...), at)
	var tag []byte
	if d.o.Tags != nil {
		tag = d.o.Tags.Tag(answerPurpose, b[diskHead:], raw)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(tag)))
	return sealed(append(append(b, tag...), raw...))
}

// sealed fills in the head of a record.
func sealed(b []byte) []byte {
	copy(b, recordMark)
	binary.BigEndian.PutUint32(b[len(recordMark):], uint32(len(b)-diskHead))
	sum := sha256.Sum256(b[diskHead:])
	copy(b[len(recordMark)+4:], sum[:])
	return b
}

// read reads a record again.
func (d *Disk) read(x extent) ([]byte, error) {
	return readRecord(io.NewSectionReader(d.file, x.offset, int64(x.length)))
}

// openKey checks the record of a key.
func (d *Disk) openKey(p *packed, k keptKey) error {
	b, err := d.read(k.extent)
	switch {
	case err != nil:
		return err
	case len(b) < keyPayload || packed(b[1:]) != *p || digest(b[keyPayload-digestSize:]) != k.says:
		return errors.New("the record is about another key")
	case d.o.Tags != nil && !d.o.Tags.Holds(b[keyPayload:], keyPurpose, b[:keyPayload]):
		return errTag
	}
	return nil
}

// openContent reads the record of an answer.
func (d *Disk) openContent(says digest, c keptContent) (roc.Content, error) {
	b, err := d.read(c.extent)
	if err != nil {
		return roc.Content{}, err
	}
	if len(b) < contentHead || digest(b[1:]) != says {
		return roc.Content{}, errors.New("the record is about another answer")
	}
	n := int(binary.BigEndian.Uint16(b[contentHead-2:]))
	if len(b) < contentHead+n {
		return roc.Content{}, errNoRecord
	}
	tag, raw := b[contentHead:contentHead+n], b[contentHead+n:]
	if d.o.Tags != nil && !d.o.Tags.Holds(tag, answerPurpose, b[:contentHead-2], raw) {
		return roc.Content{}, errTag
	}
	return roc.NewContent(raw), nil
}

// compactIfWorth writes the file again when it is mostly of no use, or full.
func (d *Disk) compactIfWorth() {
	full := d.size > d.o.MaxBytes
	if d.file == nil || !full && (d.size < compactAt || d.size < 2*d.live) {
		return
	}
	oldest := momentOf(d.o.Now().Add(-2 * d.o.MaxAge))
	keep := func(_ packed, k keptKey) bool { return k.at >= oldest }
	if full && d.live > d.o.MaxBytes/2 {
		newer := d.newerHalf()
		keep = func(p packed, k keptKey) bool { return k.at >= oldest && newer[p] }
	}
	d.bad = d.compact(keep)
}

// newerHalf are the keys that were answered last.
func (d *Disk) newerHalf() map[packed]bool {
	list := slices.Collect(maps.Keys(d.keys))
	slices.SortFunc(list, func(a, b packed) int { return cmp.Compare(d.keys[b].at, d.keys[a].at) })
	half := make(map[packed]bool, len(list)/2)
	for _, p := range list[:len(list)/2] {
		half[p] = true
	}
	return half
}

// compact writes the records that are kept to a new file, and puts it in the
// place of the old one. An answer that no key is about any more is left out.
func (d *Disk) compact(keep func(packed, keptKey) bool) error {
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
	size := int64(len(diskMagic))
	move := func(x extent) (extent, error) {
		_, err := io.Copy(w, io.NewSectionReader(d.file, x.offset, int64(x.length)))
		x.offset = size
		size += int64(x.length)
		return x, err
	}
	keys, contents := make(map[packed]keptKey, len(d.keys)), make(map[digest]keptContent, len(d.contents))
	for p, k := range d.keys {
		c, ok := d.contents[k.says]
		if !ok || !keep(p, k) {
			continue
		}
		if _, there := contents[k.says]; !there {
			if c.extent, err = move(c.extent); err != nil {
				return err
			}
			contents[k.says] = c
		}
		if k.extent, err = move(k.extent); err != nil {
			return err
		}
		keys[p] = k
	}
	if err := w.Flush(); err != nil {
		return err
	}
	err = next.Commit()
	if next.InPlace() {
		d.file.Close()
		d.file, d.size, d.keys, d.contents, d.live = next.File, size, keys, contents, size-int64(len(diskMagic))
	}
	return err
}
