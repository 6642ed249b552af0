package store

import (
	"os"
	"syscall"
)

// freeBytes is what an unprivileged process may still write on the file system
// of a folder.
func freeBytes(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}
