// Package world is a small nation around the real binary, for the tests that
// play SOAP clients against it: `demo --without-rpn` plays the annuaire and
// the insurers, `rpn serve` is the RPN.
package world

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/test/binary"
)

// The nation of `demo` (nation/country.go).
const (
	CHU     = "990000011"  // in the circle
	Bleue   = "0099000003" // an AMC of the circle, in V1 and V2
	Unknown = "0099000099" // an AMC that the annuaire does not know
)

// A World runs until Close. URL is where the RPN listens.
type World struct {
	URL string

	dir       string
	processes []*exec.Cmd
}

// New starts the nation and the RPN.
func New() (*World, error) {
	dir, err := os.MkdirTemp("", "rpn-clients-")
	if err != nil {
		return nil, err
	}
	w := &World{dir: dir}
	if err := w.open(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Close ends the processes, the RPN first, and removes their files.
func (w *World) Close() {
	for i := len(w.processes) - 1; i >= 0; i-- {
		w.processes[i].Process.Signal(syscall.SIGTERM)
		w.processes[i].Wait()
	}
	os.RemoveAll(w.dir)
	binary.Remove()
}

func (w *World) open() error {
	rpn, err := binary.Path("rpn")
	if err != nil {
		return err
	}
	demo, err := binary.Path("demo")
	if err != nil {
		return err
	}
	nation := w.file("nation")
	if err := w.start(demo, "demo", "--dir", nation, "--without-rpn"); err != nil {
		return err
	}
	config := filepath.Join(nation, "rpn.yaml")
	text, err := wait("rpn.yaml", func() ([]byte, error) { return os.ReadFile(config) })
	if err != nil {
		return err
	}
	if err := w.leaf(); err != nil {
		return err
	}
	if err := w.start(rpn, "serve", "serve", "--config", config); err != nil {
		return err
	}
	admin := regexp.MustCompile(`(?m)^admin: (\S+)`).FindSubmatch(text)
	listen := regexp.MustCompile(`(?m)^listen: \S+:(\d+)`).FindSubmatch(text)
	if admin == nil || listen == nil {
		return fmt.Errorf("%s names no admin or listen", config)
	}
	w.URL = fmt.Sprintf("https://localhost:%s/roc", listen[1])
	_, err = wait("the RPN", func() ([]byte, error) { return ready(fmt.Sprintf("http://%s/readyz", admin[1])) })
	if err != nil {
		log, _ := os.ReadFile(w.file("serve.log"))
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

// Flags are what every client is told: where to call, and the files of the
// establishment.
func (w *World) Flags(url string) []string {
	of := func(name string) string { return w.Of("etablissements", "chu", name) }
	return []string{
		"--url", url, "--finess", CHU, "--ca", w.Of("confiance", "etablissements-tls.pem"),
		"--cert", of("auth.pem"), "--key", of("auth.key"),
		"--sign-cert", w.file("sign-leaf.pem"), "--sign-key", of("sign.key"),
	}
}

// leaf writes the signer's certificate without its intermediates: node-soap
// would write the whole file into the token (docs/interop.md).
func (w *World) leaf() error {
	text, err := os.ReadFile(w.Of("etablissements", "chu", "sign.pem"))
	if err != nil {
		return err
	}
	const end = "-----END CERTIFICATE-----\n"
	first, _, _ := strings.Cut(string(text), end)
	return os.WriteFile(w.file("sign-leaf.pem"), []byte(first+end), 0o644)
}

// Client calls the RPN as the establishment, by its certificate.
func (w *World) Client() (*http.Client, error) {
	own, err := tls.LoadX509KeyPair(w.Of("etablissements", "chu", "auth.pem"), w.Of("etablissements", "chu", "auth.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(w.Of("confiance", "etablissements-tls.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots},
	}}, nil
}

// WSDL is what the RPN serves.
func (w *World) WSDL() ([]byte, error) {
	c, err := w.Client()
	if err != nil {
		return nil, err
	}
	defer c.CloseIdleConnections()
	return read(c, w.URL+"?wsdl")
}

// start runs a program in the background; it ends with the tests, even
// when they are killed.
func (w *World) start(program, name string, args ...string) error {
	log, err := os.Create(w.file(name + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.processes = append(w.processes, cmd)
	return nil
}

func (w *World) file(name string) string { return filepath.Join(w.dir, name) }

// Of is a file of the nation.
func (w *World) Of(path ...string) string {
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

func ready(url string) ([]byte, error) { return read(http.DefaultClient, url) }

func read(c *http.Client, url string) ([]byte, error) {
	resp, err := c.Get(url)
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
