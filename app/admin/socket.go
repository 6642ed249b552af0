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
	l, err := listenClosed(path)
	if err != nil {
		return nil, err
	}
	return &socket{l, path}, nil
}

// listenClosed binds the socket in a folder that nobody else may enter, since
// bind gives it the rights that the umask leaves, and links it to its place once
// its rights are right. A link replaces nothing that came there meanwhile.
func listenClosed(path string) (*net.UnixListener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".admin-") // mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bound := filepath.Join(dir, "s")
	var l *net.UnixListener
	err = near(bound, func(name string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(bound, 0o660)
	if err == nil {
		err = os.Link(bound, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
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
