// Package binary builds the programs of cmd that tests run: the one place that
// does, once a test program.
package binary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

var (
	mu    sync.Mutex
	dir   string
	built = map[string]func() (string, error){}
)

// Path is the file of a program of cmd, which it builds at first. Under the
// race detector the program has it too: a race makes it exit with 66.
func Path(name string) (string, error) {
	mu.Lock()
	once, ok := built[name]
	if !ok {
		once = sync.OnceValues(func() (string, error) { return build(name) })
		built[name] = once
	}
	mu.Unlock()
	return once()
}

func build(name string) (string, error) {
	into, err := folder()
	if err != nil {
		return "", err
	}
	file := filepath.Join(into, name)
	args := []string{"build", "-o", file}
	if underRace {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "github.com/piano-roc/rpn/cmd/"+name)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return file, nil
}

func folder() (string, error) {
	mu.Lock()
	defer mu.Unlock()
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "rpn-test-")
	}
	return dir, err
}

// Remove removes what was built, at the end of a test program (TestMain).
func Remove() error {
	mu.Lock()
	defer mu.Unlock()
	if dir == "" {
		return nil
	}
	err := os.RemoveAll(dir)
	dir, built = "", map[string]func() (string, error){}
	return err
}
