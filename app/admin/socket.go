package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// longest is how long the name of a unix socket may be (108 bytes with its
// end); a longer one is reached by way of its folder.
const longest = 100

// Listen opens a unix socket that the user and the group of this process may
// use. One that was left by a process that is gone is replaced.
func Listen(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("%s is there and is no socket", path)
		}
		if c, err := dial(context.Background(), path); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s is in use by another process", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var l *net.UnixListener
	err := near(path, func(name string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		// Before anybody can connect: the folder is ours, and bind made it by the umask.
		if err = os.Chmod(path, 0o660); err != nil {
			l.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &socket{l, path}, nil
}

// A socket removes its file when it is closed.
type socket struct {
	*net.UnixListener
	path string
}

func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	if gone := os.Remove(s.path); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// Client asks by the unix socket; the host of its URLs is not looked at.
func Client(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
	}}
}

func dial(ctx context.Context, path string) (c net.Conn, err error) {
	err = near(path, func(name string) (err error) {
		c, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", name)
		return err
	})
	return c, err
}

// near calls do with a name of the socket that is short enough.
func near(path string, do func(name string) error) error {
	if len(path) <= longest {
		return do(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}
