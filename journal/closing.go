package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/piano-roc/rpn/internal/durable"
)

// A closed segment is a series of zstd frames, then a footer in a skippable
// frame, which zstd ignores. Each frame holds the part that belongs to this
// segment of an entry bundle of 256 records (C2SP tlog-tiles: each record is
// preceded by its length in two bytes). `zstd -dc` gives the bundles.
const (
	skippableMagic = 0x184D2A50
	footerMagic    = "RPNJEND1"
)

// A footer describes a closed segment.
type footer struct {
	Sequence, First uint64
	Count           int
	From, To        time.Time // the earliest and the latest instant of its records
	Offsets         []uint64  // of each frame, and of the footer
	Checkpoint      []byte    // the signed checkpoint of the tree that ends with this segment
}

func (f *footer) end() uint64 { return f.First + uint64(f.Count) }

// frames is how many bundles the records of a segment touch.
func frames(first uint64, count int) int {
	if count == 0 {
		return 0
	}
	return int((first+uint64(count)-1)/tileWidth-first/tileWidth) + 1
}

func (f *footer) append(b []byte) []byte {
	be := binary.BigEndian
	payload := []byte(footerMagic)
	payload = be.AppendUint64(payload, f.Sequence)
	payload = be.AppendUint64(payload, f.First)
	payload = be.AppendUint64(payload, uint64(f.Count))
	payload = be.AppendUint64(payload, uint64(f.From.UnixMicro()))
	payload = be.AppendUint64(payload, uint64(f.To.UnixMicro()))
	payload = be.AppendUint32(payload, uint32(len(f.Checkpoint)))
	payload = append(payload, f.Checkpoint...)
	for _, o := range f.Offsets {
		payload = be.AppendUint64(payload, o)
	}
	sum := LeafHash(payload)
	payload = append(payload, sum[:]...)
	payload = be.AppendUint32(payload, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, skippableMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

// readFooter reads the footer at the end of a closed segment, and the size of
// the file.
func readFooter(f *os.File) (*footer, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	t, err := footerOf(f, f.Name(), info.Size())
	return t, info.Size(), err
}

func footerOf(f io.ReaderAt, name string, fileSize int64) (*footer, error) {
	cut := fileDamage(name + ": its end is missing or damaged: the file was cut or changed")
	var last [4]byte
	if fileSize < 4 {
		return nil, cut
	}
	if err := readAt(f, last[:], fileSize-4, cut); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(last[:]))
	if n < 48 || n > 64<<20 || n+4 > fileSize {
		return nil, cut
	}
	p := make([]byte, n)
	if err := readAt(f, p, fileSize-4-n, cut); err != nil {
		return nil, err
	}
	p, sum := p[:n-32], Hash(p[n-32:])
	if !bytes.HasPrefix(p, []byte(footerMagic)) || LeafHash(p) != sum || len(p) < 52 {
		return nil, cut
	}
	be := binary.BigEndian
	t := &footer{
		Sequence: be.Uint64(p[8:]), First: be.Uint64(p[16:]), Count: int(be.Uint64(p[24:])),
		From: time.UnixMicro(int64(be.Uint64(p[32:]))).UTC(), To: time.UnixMicro(int64(be.Uint64(p[40:]))).UTC(),
	}
	size := int(be.Uint32(p[48:]))
	p = p[52:]
	if t.Count < 0 || t.Count > 1<<30 || size > len(p) || len(p)-size != 8*(frames(t.First, t.Count)+1) {
		return nil, cut
	}
	t.Checkpoint, p = p[:size:size], p[size:]
	for ; len(p) > 0; p = p[8:] {
		t.Offsets = append(t.Offsets, be.Uint64(p))
	}
	return t, nil
}

// closeOldest closes the oldest segment that is full or retired, once it is
// sealed to its end. It reports whether a segment was closed; a failure is
// retried at the next turn.
func (j *Journal) closeOldest(ctx context.Context) bool {
	j.mu.Lock()
	var s *segment
	if len(j.closing) > 0 {
		s = j.closing[0]
	}
	j.mu.Unlock()
	if s == nil || ctx.Err() != nil {
		return false
	}
	if s.count.Load() > 0 && !j.bounded(s) {
		if j.sealNow() != nil || j.seal.size.Load() < s.end() {
			return false
		}
		if !j.bounded(s) {
			j.rebuildBoundary(s)
		}
	}
	if err := j.closeSegment(s); err != nil {
		j.stats.closeErrors.Add(1)
		if j.closeFailed != err.Error() { // said once: it is tried again at each seal
			j.closeFailed = err.Error()
			j.o.Log.Error("a segment of the journal could not be closed: it is left as it is and will be retried", "event", "journal_close_failed", "file", s.path, "error", err.Error())
		}
		return false
	}
	if j.closeFailed != "" {
		j.closeFailed = ""
		j.o.Log.Info("the segments of the journal are closed again", "event", "journal_close_recovered", "file", s.path)
	}
	j.mu.Lock()
	j.closing = j.closing[1:]
	j.mu.Unlock()
	j.sync.busy.Lock() // a sync may be using it
	defer j.sync.busy.Unlock()
	if err := s.close(); err != nil {
		j.o.Log.Warn("a segment of the journal could not be unmapped", "event", "journal_close_failed", "file", s.path, "error", err.Error())
	}
	return true
}

// bounded reports whether the checkpoint of the end of a segment is there: then
// it does not change any more.
func (j *Journal) bounded(s *segment) bool {
	j.seal.mu.Lock()
	defer j.seal.mu.Unlock()
	return s.boundary != nil
}

// rebuildBoundary signs the tree that ends with a segment when the process that
// sealed it died before closing it, and with each sealed segment after it. It
// starts from the tiles, which go up to the first record of the segment, and adds
// the leaves. They must lead to the tree that was sealed; if they do not,
// something was changed on disk and nothing is signed: verify reports it.
func (j *Journal) rebuildBoundary(s *segment) {
	j.seal.mu.Lock()
	defer j.seal.mu.Unlock()
	f, err := edgeOf(j.path("tiles"), s.first)
	roots := map[*segment]Hash{}
	if err == nil {
		j.mu.Lock()
		list := append([]*segment{}, j.closing...)
		closing := len(list)
		if j.current != nil {
			list = append(list, j.current)
		}
		j.mu.Unlock()
		for n, t := range list {
			for i := int64(0); i < t.count.Load() && f.size < j.seal.tree.size; i++ {
				f.push(j.leafOf(t, int(i)))
			}
			if n < closing && f.size == t.end() {
				roots[t] = f.root()
			}
		}
		if f.root() != j.seal.tree.root() {
			err = errors.New("the records do not lead to the tree that was sealed")
		}
	}
	for t, root := range roots {
		if err == nil && t.boundary == nil {
			t.boundary, err = j.o.Key.signCheckpoint(j.o.Origin, t.end(), root)
		}
	}
	if err != nil {
		j.stats.void.Add(1)
		s.boundary = []byte{}
		j.o.Log.Error("a segment of the journal does not match its seal: it is kept without a checkpoint of its own; `rpn journal verify` reports what is wrong", "event", "journal_damaged", "file", s.path, "error", err.Error())
	}
}

// closeSegment writes the closed form next to the open one, then removes the
// open one. A crash at any step leaves a state from which it can be done again.
func (j *Journal) closeSegment(s *segment) error {
	if n := int(s.count.Load()); n > 0 {
		base := strings.TrimSuffix(s.path, ".open")
		c, err := newCloser(base+".zst", s.sequence, s.first, n)
		if err != nil {
			return err
		}
		defer c.abort()
		for i := range n {
			if !s.get(i, &c.slot) {
				return fmt.Errorf("record %d cannot be read", s.first+uint64(i))
			}
			if err := c.add(); err != nil {
				return err
			}
		}
		outgrown, err := writeTiles(j.path("tiles"), s.first, c.leaves)
		if err != nil {
			return err
		}
		if err := writeFile(base+".idx", c.index.bytes()); err != nil {
			return err
		}
		if err := c.end(s.boundary); err != nil {
			return err
		}
		if err := syncFS(j.o.Dir); err != nil { // the tiles
			return err
		}
		if err := c.file.Commit(); err != nil {
			return err
		}
		for _, tiles := range outgrown {
			if err := os.RemoveAll(tiles); err != nil {
				return err
			}
		}
		if len(s.boundary) > 0 {
			if err := writeFile(j.path("tiles/checkpoint"), s.boundary); err != nil {
				return err
			}
		}
		j.stats.closedBytes.Add(int64(c.size))
		j.stats.closedSegments.Add(1)
	}
	return durable.Remove(s.path)
}

// A closer writes the closed form of one segment.
type closer struct {
	slot   slot // the next record, filled by add
	footer footer
	zstd   *zstd.Encoder
	file   *durable.Replacement
	size   uint64 // bytes written
	bundle []byte
	packed []byte
	leaves []Hash
	index  *indexer
}

func newCloser(path string, sequence, first uint64, count int) (*closer, error) {
	f, err := durable.Create(path, 0o640)
	if err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true), zstd.WithWindowSize(64<<10))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &closer{
		footer: footer{Sequence: sequence, First: first, Count: count},
		zstd:   enc, file: f, leaves: make([]Hash, 0, count), index: newIndexer(first, count),
	}, nil
}

// abort releases what end did not.
func (c *closer) abort() {
	c.zstd.Close()
	c.file.Close()
}

// add takes the next record as it is in its slot, damaged or not: what is left
// of a damaged record is evidence too.
func (c *closer) add() error {
	b := &c.slot
	i := c.footer.First + uint64(len(c.leaves))
	n := min(int(binary.BigEndian.Uint16(b[slotLength:])), exchangeSize)
	raw := b[slotRecord : slotRecord+n]
	c.leaves = append(c.leaves, Hash(b[:slotRecord]))
	c.index.add(raw)
	c.bundle = binary.BigEndian.AppendUint16(c.bundle, uint16(n))
	c.bundle = append(c.bundle, raw...)
	if (i+1)%tileWidth != 0 && len(c.leaves) != c.footer.Count {
		return nil
	}
	c.footer.Offsets = append(c.footer.Offsets, c.size)
	c.packed = c.zstd.EncodeAll(c.bundle, c.packed[:0])
	c.bundle = c.bundle[:0]
	return c.write(c.packed)
}

func (c *closer) write(b []byte) error {
	n, err := c.file.Write(b)
	c.size += uint64(n)
	return err
}

// end writes the footer; the file gets its name when it is committed.
func (c *closer) end(checkpoint []byte) error {
	c.footer.Offsets = append(c.footer.Offsets, c.size)
	c.footer.Checkpoint = checkpoint
	c.footer.From, c.footer.To = c.index.times()
	return c.write(c.footer.append(nil))
}
