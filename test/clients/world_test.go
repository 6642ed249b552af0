package clients

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A world is a small nation around the real binary: `rpn demo --without-rpn`
// plays the annuaire and the insurers, `rpn serve` is the RPN.
type world struct {
	dir string
	url string
}

var theWorld = sync.OnceValues(newWorld)

// startedProcesses are ended by TestMain, the RPN first.
var startedProcesses []*exec.Cmd

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(startedProcesses) - 1; i >= 0; i-- {
		startedProcesses[i].Process.Signal(syscall.SIGTERM)
		startedProcesses[i].Wait()
	}
	if w, err := theWorld(); err == nil {
		os.RemoveAll(w.dir)
	}
	os.Exit(code)
}

func newWorld() (*world, error) {
	dir, err := os.MkdirTemp("", "rpn-clients-")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir}
	rpn := w.file("rpn")
	if out, err := exec.Command("go", "build", "-o", rpn, "../../cmd/rpn").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	nation := w.file("nation")
	if err := w.start(rpn, "demo", "--dir", nation, "--without-rpn"); err != nil {
		return nil, err
	}
	config := filepath.Join(nation, "rpn.yaml")
	text, err := wait("rpn.yaml", func() ([]byte, error) { return os.ReadFile(config) })
	if err != nil {
		return nil, err
	}
	if err := w.start(rpn, "serve", "--config", config); err != nil {
		return nil, err
	}
	admin := regexp.MustCompile(`(?m)^admin: (\S+)`).FindSubmatch(text)
	listen := regexp.MustCompile(`(?m)^listen: \S+:(\d+)`).FindSubmatch(text)
	if admin == nil || listen == nil {
		return nil, fmt.Errorf("%s names no admin or listen", config)
	}
	w.url = fmt.Sprintf("https://localhost:%s/roc", listen[1])
	_, err = wait("the RPN", func() ([]byte, error) { return ready(fmt.Sprintf("http://%s/readyz", admin[1])) })
	if err != nil {
		log, _ := os.ReadFile(w.file("serve.log"))
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return w, nil
}

// start runs a command of rpn in the background; it ends with the tests, even
// when they are killed.
func (w *world) start(rpn, verb string, args ...string) error {
	log, err := os.Create(w.file(verb + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(rpn, append([]string{verb}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	startedProcesses = append(startedProcesses, cmd)
	return nil
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// of is a file of the nation.
func (w *world) of(path ...string) string {
	return filepath.Join(append([]string{w.dir, "nation"}, path...)...)
}

// wait asks until there is an answer, for half a minute.
func wait(what string, ask func() ([]byte, error)) ([]byte, error) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		b, err := ask()
		if err == nil {
			return b, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s is not there after 30 s: %w", what, err)
		}
	}
}

func ready(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, err
}
