package journal

import (
	"errors"
	"io"
)

// ErrDamaged is why something of the journal cannot be read, now or later: its
// bytes are not those that were written, or are gone. Any other error of a
// reading (of the disk, of rights, of too many open files) says nothing of the
// bytes: it may pass, and whoever meets it tells it, and counts nothing as
// altered.
var ErrDamaged = errors.New("the bytes are not those that were written")

// A fileDamage is an ErrDamaged with a text of its own.
type fileDamage string

func (d fileDamage) Error() string      { return string(d) }
func (fileDamage) Is(target error) bool { return target == ErrDamaged }

// readAt fills p from a file; cut is the error of a file that ends before.
func readAt(f io.ReaderAt, p []byte, at int64, cut error) error {
	n, err := f.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return cut
	}
	return err
}
