package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockFile, in a folder, is held by the process that writes there.
const lockFile = ".lock"

// ErrLocked is what Lock returns when another process holds the folder.
var ErrLocked = errors.New("in use by another process")

// A FolderLock is the right to write in a folder. The kernel releases it when
// the process ends, however it ends.
type FolderLock struct{ f *os.File }

// Lock takes the folder for this process, or says which process holds it: the
// error is then ErrLocked. It does not wait. A missing folder is made, for this
// user alone.
//
// It is a flock of a file in the folder, which is never removed. It works
// between processes of one machine, and between machines that mount one folder
// if its file system supports locks (NFS 4 does).
func Lock(dir string) (*FolderLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := holderOf(name)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w%s", dir, ErrLocked, holder)
		}
		return nil, &os.PathError{Op: "flock", Path: name, Err: err}
	}
	// For the error message of the next process; it decides nothing.
	if err := f.Truncate(0); err == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &FolderLock{f}, nil
}

func holderOf(name string) string {
	b, _ := os.ReadFile(name)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
		return fmt.Sprintf(" (pid %d)", pid)
	}
	return ""
}

// Release lets another process have the folder.
func (l *FolderLock) Release() error { return l.f.Close() }
