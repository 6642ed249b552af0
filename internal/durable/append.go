package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Lines is a file of lines that is appended to and never changed: a log of
// acts. Once it is Bytes large it takes the name file.1, the one that had it
// file.2, and so on up to file.Keep; the oldest is then removed. So at least
// Keep * Bytes of the latest lines are kept.
type Lines struct {
	File  string
	Bytes int64
	Keep  int
	Mode  fs.FileMode // of a new file
}

// Append adds a line, without its line break, and returns once it is on disk.
// A file that ends in the middle of a line, which a crash has cut, keeps it:
// the new line begins on its own. One process at a time may append: see Lock.
func (l Lines) Append(line []byte) error {
	f, err := os.OpenFile(l.File, os.O_RDWR|os.O_CREATE|os.O_APPEND, l.Mode)
	if err != nil {
		return err
	}
	err = AppendTo(f, line)
	size, errSize := f.Seek(0, io.SeekEnd)
	if err = errors.Join(err, errSize, f.Close()); err != nil {
		return err
	}
	if size >= l.Bytes {
		return l.rotate()
	}
	return SyncDir(filepath.Dir(l.File))
}

// AppendTo adds a line, or several, without the last line break, to a file that
// is open to be read and appended to, as Append does.
func AppendTo(f *os.File, line []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, 0, len(line)+2)
	if n := info.Size(); n > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, n-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			b = append(b, '\n')
		}
	}
	if _, err := f.Write(append(append(b, line...), '\n')); err != nil {
		return err
	}
	return f.Sync()
}

// rotate makes room for a new file. A step that fails loses nothing: the file
// grows on, and the next line tries again.
func (l Lines) rotate() error {
	for i := l.Keep; i > 0; i-- {
		if err := os.Rename(l.name(i-1), l.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return SyncDir(filepath.Dir(l.File))
}

func (l Lines) name(i int) string {
	if i == 0 {
		return l.File
	}
	return fmt.Sprintf("%s.%d", l.File, i)
}

// Files lists the names that the lines may be under, the oldest first.
func (l Lines) Files() []string {
	var names []string
	for i := l.Keep; i >= 0; i-- {
		names = append(names, l.name(i))
	}
	return names
}
