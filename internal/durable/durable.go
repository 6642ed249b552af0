// Package durable writes files so that a crash leaves the old one or the new
// one, whole, and so that what was written is still there after a power cut:
//
//	open  folder/.name.new-*   a temporary file next to the file it replaces
//	write, fchmod, fchown      the rights and the owner of the old one are kept
//	fsync                      the content is on disk before it has its name
//	rename                     whoever reads sees the old one or the new one
//	fsync folder               the name is on disk
//
// It is the only way by which this module replaces a file (a test in test/
// checks it). Lock keeps two processes from writing in one folder.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// WriteFile replaces file by data. A new file has that mode, whatever the
// umask; one that is there keeps its own, and its owner. When it returns nil
// the new content is on disk; otherwise the old one is untouched, unless only
// the last step failed, the synchronization of the folder.
func WriteFile(file string, data []byte, mode fs.FileMode) error {
	r, err := Create(file, mode)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := r.Write(data); err != nil {
		return err
	}
	return r.Commit()
}

// A Replacement is a file under a temporary name: its caller writes it, and
// Commit gives it the name of the file it replaces. Close must be called; if
// Commit was not called before, nothing is left.
type Replacement struct {
	*os.File
	file    string
	inPlace bool
	system  system
}

// Create begins a replacement of file; the mode is as for WriteFile.
func Create(file string, mode fs.FileMode) (*Replacement, error) { return create(file, mode, kernel{}) }

func create(file string, mode fs.FileMode, s system) (*Replacement, error) {
	dir, name := filepath.Split(file)
	f, err := os.CreateTemp(filepath.Clean(dir), "."+name+leftover+"*")
	if err != nil {
		return nil, err
	}
	r := &Replacement{File: f, file: file, system: s}
	if old, err := os.Stat(file); err == nil {
		mode = old.Mode().Perm()
		if owner, ok := old.Sys().(*syscall.Stat_t); ok {
			// Only root may give a file away: anybody else's is its own.
			if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
				return nil, errors.Join(err, r.Close())
			}
		}
	}
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Commit replaces the file, on disk. It stays open under its new name.
func (r *Replacement) Commit() error {
	if err := r.system.Sync(r.File); err != nil {
		return err
	}
	if err := r.system.Rename(r.Name(), r.file); err != nil {
		return err
	}
	r.inPlace = true
	return r.system.SyncDir(filepath.Dir(r.file))
}

// InPlace reports whether the replacement has taken the place of the file: it
// has, too, when only the last step of Commit failed.
func (r *Replacement) InPlace() bool { return r.inPlace }

// Close closes the file, and removes it when it was not committed.
func (r *Replacement) Close() error {
	err := r.File.Close()
	if !r.inPlace {
		err = errors.Join(err, os.Remove(r.Name()))
	}
	return err
}

// Rename renames a file of a folder, on disk when it returns.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// Remove removes a file, on disk when it returns.
func Remove(file string) error {
	if err := os.Remove(file); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(file))
}

// SyncDir makes the names in a folder durable: those of files just made,
// renamed or removed.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

const leftover = ".new-"

// RemoveLeftovers removes the temporary files that a crash left in a folder.
// Nobody else may be writing there: see Lock.
func RemoveLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var problems []error
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), leftover) {
			problems = append(problems, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(problems...)
}

// A system is the operating system calls of Commit, each of which may fail.
type system interface {
	Sync(*os.File) error
	Rename(from, to string) error
	SyncDir(dir string) error
}

type kernel struct{}

func (kernel) Sync(f *os.File) error        { return f.Sync() }
func (kernel) Rename(from, to string) error { return os.Rename(from, to) }
func (kernel) SyncDir(dir string) error     { return SyncDir(dir) }
