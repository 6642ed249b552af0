package admin

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
)

const umaskOfTest = "RPN_TEST_SOCKET_FOLDER"

// Whatever the umask, the socket's file has its rights at the first instant at
// which it is there. The umask is the process's, so another process looks.
func TestTheSocketIsNeverOpenToOthers(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(umaskOfTest); dir != "" {
		syscall.Umask(0)
		for range 200 {
			openAndLook(t, filepath.Join(dir, "admin.sock"))
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestTheSocketIsNeverOpenToOthers$")
	cmd.Env = append(os.Environ(), umaskOfTest+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// openAndLook opens the socket while another goroutine looks at its file.
func openAndLook(t *testing.T, path string) {
	t.Helper()
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			info, err := os.Lstat(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil || info.Mode() != fs.ModeSocket|0o660 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			return
		}
	})
	l, err := Listen(path)
	looking.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// A socket is reached under a name of any length, replaces one that nobody
// listens on any more, and leaves nothing behind.
func TestTheSocketIsReachedAndRemoved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{filepath.Join(root, "a"), filepath.Join(root, strings.Repeat("long-", 30))} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "admin.sock")
		dead, err := listenClosed(path)
		if err != nil {
			t.Fatal(err)
		}
		dead.Close()                                            // its file stays, as after a crash
		await.Until(t, "nobody listens any more", func() bool { // a process that another test begins holds it for a moment
			c, err := dial(t.Context(), path)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a second one: %v", err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "bonjour") })}
		var serving sync.WaitGroup
		serving.Go(func() { s.Serve(l) })
		answer, err := Client(path).Get("http://localhost/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(body) != "bonjour" {
			t.Errorf("%q, %v", body, err)
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		serving.Wait()
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	}
}
