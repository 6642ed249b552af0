// Package clients plays SOAP clients that are not ours against the running
// RPN, over mTLS and with their own signing: zeep, node-soap, xmlsec1 with
// curl. docs/interop.md says what each puts in its messages.
package clients

import (
	"os"
	"os/exec"
	"strings"
	"testing"
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
	{"a good IDB is answered", []string{"--amc", bleue, "--expect", "00"}, "answer 00"},
	{"a body altered after it was signed is refused", []string{"--amc", bleue, "--expect", "RPN212", "--alter"}, "fault RPN212"},
	{"an AMC that the annuaire does not know is refused", []string{"--amc", unknown, "--expect", "RPN301"}, "fault RPN301"},
}

// The nation of `rpn demo` (internal/nation/country.go).
const (
	chu     = "990000011"  // in the circle
	bleue   = "0099000003" // an AMC of the circle, in V1 and V2
	unknown = "0099000099"
)

func TestRealClientsAreAnsweredAndRefusedAsTheyShould(t *testing.T) {
	w, err := theWorld()
	if err != nil {
		t.Fatal(err)
	}
	files := w.flags(t)
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

// flags are what every client is told: where the RPN is, and the files of the
// establishment.
func (w *world) flags(t *testing.T) []string {
	of := func(name string) string { return w.of("etablissements", "chu", name) }
	return []string{
		"--url", w.url, "--finess", chu, "--ca", w.of("confiance", "etablissements-tls.pem"),
		"--cert", of("auth.pem"), "--key", of("auth.key"),
		"--sign-cert", w.leaf(t, of("sign.pem")), "--sign-key", of("sign.key"),
	}
}

// leaf is a copy of a certificate file without its intermediates: node-soap
// would write the whole file into the token (docs/interop.md).
func (w *world) leaf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const end = "-----END CERTIFICATE-----\n"
	first, _, _ := strings.Cut(string(text), end)
	name := w.file("sign-leaf.pem")
	if err := os.WriteFile(name, []byte(first+end), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
