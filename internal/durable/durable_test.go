package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func want(t *testing.T, file, text string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil || string(b) != text {
		t.Errorf("%q, %v; want %q", b, err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
		t.Errorf("mode %v, %v; want %v", info.Mode(), err, mode)
	}
}

func TestANewFileHasItsModeAndAnOldOneKeepsIts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "list")
	if err := WriteFile(file, []byte("one"), 0o664); err != nil { // more than a umask leaves
		t.Fatal(err)
	}
	want(t, file, "one", 0o664)
	if err := os.Chmod(file, 0o604); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(file, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, file, "two", 0o604)
	if got := names(t, dir); !slices.Equal(got, []string{"list"}) {
		t.Errorf("left behind: %v", got)
	}
}

// failing is an operating system whose n-th step fails.
type failing struct {
	step  string
	calls []string
}

func (f *failing) do(step string, real func() error) error {
	f.calls = append(f.calls, step)
	if step == f.step {
		return errors.New("no room")
	}
	return real()
}
func (f *failing) Sync(x *os.File) error { return f.do("sync", x.Sync) }
func (f *failing) Rename(from, to string) error {
	return f.do("rename", func() error { return os.Rename(from, to) })
}
func (f *failing) SyncDir(d string) error {
	return f.do("sync folder", func() error { return SyncDir(d) })
}

func TestAStepThatFailsLeavesAWholeFileAndNothingBeside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fails, holds string }{
		{"none", "new"}, {"sync", "old"}, {"rename", "old"}, {"sync folder", "new"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "list")
		if err := WriteFile(file, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		f := &failing{step: c.fails}
		r, err := create(file, 0o600, f)
		if err != nil {
			t.Fatal(err)
		}
		r.WriteString("new")
		err = r.Commit()
		r.Close()
		if (err == nil) != (c.fails == "none") {
			t.Errorf("%s fails: %v", c.fails, err)
		}
		want(t, file, c.holds, 0o600)
		if got := names(t, dir); len(got) != 1 {
			t.Errorf("%s fails: left behind %v", c.fails, got)
		}
		if c.fails == "none" && !slices.Equal(f.calls, []string{"sync", "rename", "sync folder"}) {
			t.Errorf("steps: %v", f.calls)
		}
	}
}

func TestAReplacementThatIsGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := Create(filepath.Join(dir, "list"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	r.WriteString("half")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
	if err := WriteFile(filepath.Join(dir, "absent", "list"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is missing: %v", err)
	}
}

func TestAReaderNeverSeesHalf(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "list")
	text := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, 1<<16) }
	if err := WriteFile(file, text(0), 0o600); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if b, err := os.ReadFile(file); err != nil || len(b) != 1<<16 || bytes.Count(b, b[:1]) != len(b) {
					t.Errorf("%d bytes, %v", len(b), err)
					return
				}
			}
		})
	}
	for i := range 50 {
		if err := WriteFile(file, text(i), 0o600); err != nil {
			t.Error(err)
		}
	}
	close(over)
	readers.Wait()
}

func TestLeftoversOfACrashAreRemovedAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{".list.new-123", "list", ".hidden", "a.new-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveLeftovers(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{".hidden", "a.new-1", "list"}) {
		t.Errorf("there are %v", got)
	}
}

// TestMain also plays the other process, which takes the folder that it is
// given and holds it until its input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCK_FOLDER"); dir != "" {
		if _, err := Lock(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		os.Stdin.Read(make([]byte, 1))
		return
	}
	os.Exit(m.Run())
}

func TestAFolderIsOneProcesss(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "LOCK_FOLDER="+dir)
	stdin, _ := other.StdinPipe()
	stdout, _ := other.StdoutPipe()
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	said := make([]byte, 64)
	n, _ := stdout.Read(said)
	if string(said[:n]) != "locked\n" {
		t.Fatalf("the other process says %q", said[:n])
	}
	_, err := Lock(dir)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint("pid ", other.Process.Pid)) {
		t.Errorf("a folder of another: %v", err)
	}
	other.Process.Kill() // a crash lets go of it
	other.Wait()
	l, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("twice in one process: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
	again, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}
