package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// The file of a Local: a line that names its format, then for each signer the
// length of its id (one byte), its id, a count (four bytes) and its messages,
// oldest first: sixteen bytes of the key, eight of the end of life (Unix
// nanoseconds). Numbers are big-endian. It holds hashes and no message.
const fileForm = "rpn-rejeu 1\n"

const entrySize = 16 + 8

// Save writes the messages that are still alive, so that a restart forgets
// nothing. The file is replaced whole.
func (l *Local) Save(file string, at time.Time) error {
	var b bytes.Buffer
	b.WriteString(fileForm)
	l.mu.Lock()
	ids := make([]roc.StructureID, 0, len(l.signers))
	for id := range l.signers {
		ids = append(ids, id)
	}
	l.mu.Unlock()
	now := at.UnixNano()
	for _, id := range ids {
		l.mu.Lock()
		s := l.signers[id]
		l.mu.Unlock()
		if s == nil || len(id) > 255 {
			continue
		}
		s.mu.Lock()
		start := b.Len()
		b.WriteByte(byte(len(id)))
		b.WriteString(string(id))
		count := b.Len()
		b.Write(make([]byte, 4))
		n := uint32(0)
		for _, key := range s.ring[s.head:] {
			if until := s.until[key]; until >= now {
				b.Write(key[:])
				b.Write(binary.BigEndian.AppendUint64(nil, uint64(until)))
				n++
			}
		}
		s.mu.Unlock()
		if n == 0 {
			b.Truncate(start)
			continue
		}
		binary.BigEndian.PutUint32(b.Bytes()[count:], n)
	}
	return durable.WriteFile(file, b.Bytes(), 0o600)
}

var errFile = errors.New("the file is incomplete or not in the expected format")

// Load adds what a file holds. A missing file counts as empty. Of an incomplete
// file, what could be read is kept and an error is returned: the window fails
// open, as it does without any file.
func (l *Local) Load(file string, at time.Time) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := l.load(bufio.NewReader(f), at); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func (l *Local) load(r *bufio.Reader, at time.Time) error {
	form := make([]byte, len(fileForm))
	if _, err := io.ReadFull(r, form); err != nil || string(form) != fileForm {
		return errFile
	}
	for {
		n, err := r.ReadByte()
		if err == io.EOF {
			return nil
		}
		head := make([]byte, int(n)+4)
		if _, err := io.ReadFull(r, head); err != nil {
			return errFile
		}
		id := roc.StructureID(head[:n])
		for range binary.BigEndian.Uint32(head[n:]) {
			var e [entrySize]byte
			if _, err := io.ReadFull(r, e[:]); err != nil {
				return errFile
			}
			m := roc.Signed{Signer: id, Until: time.Unix(0, int64(binary.BigEndian.Uint64(e[16:])))}
			copy(m.Signature[:], e[:16])
			if !m.Until.Before(at) {
				l.Reserve(context.Background(), m, at)
			}
		}
	}
}
