// Package clients plays SOAP clients that are not ours against the running
// RPN, over mTLS and with their own signing: zeep, node-soap, xmlsec1 with
// curl. docs/interop.md says what each puts in its messages.
package clients

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/test/world"
)

// The clients: each is a program that takes the same flags, prints "answer
// CODE" or "fault CODE ..." and exits with 0 when CODE is the one expected.
// Debian's python3-zeep belongs to /usr/bin/python3.
var theClients = []struct {
	name    string
	command []string
	modes   []string
}{
	{"zeep", []string{"/usr/bin/python3", "zeep_client.py"}, []string{"binary", "plain"}},
	{"node-soap", []string{"node", "--no-deprecation", "node/client.js"}, []string{"default", "wssecurity"}},
	{"xmlsec1", []string{"bash", "xmlsec1_curl.sh"}, []string{""}},
}

// What each client does, and what must come of it.
var stories = []struct {
	name  string
	flags []string
	want  string
}{
	{"a good IDB is answered", []string{"--amc", world.Bleue, "--expect", "00"}, "answer 00"},
	{"a body altered after it was signed is refused", []string{"--amc", world.Bleue, "--expect", "RPN212", "--alter"}, "fault RPN212"},
	{"an AMC that the annuaire does not know is refused", []string{"--amc", world.Unknown, "--expect", "RPN301"}, "fault RPN301"},
}

var theWorld = sync.OnceValues(world.New)

func TestMain(m *testing.M) {
	code := m.Run()
	if w, err := theWorld(); err == nil {
		w.Close()
	}
	os.Exit(code)
}

func TestRealClientsAreAnsweredAndRefusedAsTheyShould(t *testing.T) {
	w, err := theWorld()
	if err != nil {
		t.Fatal(err)
	}
	files, err := w.Flags(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range theClients {
		for _, mode := range c.modes {
			for _, version := range []string{"11", "12"} {
				for _, s := range stories {
					t.Run(strings.Join([]string{c.name, mode, "SOAP " + version, s.name}, "/"), func(t *testing.T) {
						t.Parallel()
						args := append(append(c.command[1:len(c.command):len(c.command)], files...), "--soap", version)
						if mode != "" {
							args = append(args, "--mode", mode)
						}
						out, err := exec.Command(c.command[0], append(args, s.flags...)...).CombinedOutput()
						if err != nil || !strings.Contains(string(out), s.want) {
							t.Fatalf("want %q: %v\n%s", s.want, err, out)
						}
					})
				}
			}
		}
	}
}
