// Package clients plays SOAP clients that are not ours against the running
// RPN, over mTLS and with their own signing: zeep, node-soap, xmlsec1 with
// curl. docs/interop.md says what each puts in its messages.
package clients

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/test/nation"
)

const (
	bleue   = "0099000003" // an AMC of the circle, in V1 and V2
	unknown = "0099000099" // one that the annuaire does not know
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
	{"node-soap", []string{"node", "--no-deprecation", "node/client.js"}, []string{"default", "wssecurity", "addressing"}},
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

// What a client does on its own that the profile does not take, and the words
// by which its vendor mends it.
var habits = []struct {
	client, mode, code, says string
}{
	{"zeep", "sha1", "RPN214", "« rsa-sha1 »"},
	{"zeep", "no-timestamp", "RPN213", "Le message n'a pas de wsu:Timestamp"},
	{"node-soap", "with-token", "RPN212", "La référence #_0 n'existe pas dans le message"},
	{"node-soap", "repeated-id", "RPN212", "« _1 » figure deux fois"},
	{"node-soap", "chain", "RPN215", "Le certificat joint n'est pas en base64 strict"},
}

func TestMain(m *testing.M) { os.Exit(nation.Main(m)) }

func TestRealClientsAreAnsweredAndRefusedAsTheyShould(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	files := n.Etablissement(nation.Signing(igc.RSA(2048))).Flags(n.URL())
	for _, c := range theClients {
		for _, mode := range c.modes {
			for _, version := range []string{"11", "12"} {
				for _, s := range stories {
					t.Run(strings.Join([]string{c.name, mode, "SOAP " + version, s.name}, "/"), func(t *testing.T) {
						t.Parallel()
						flags := append(files[:len(files):len(files)], "--soap", version)
						if mode != "" {
							flags = append(flags, "--mode", mode)
						}
						play(t, c.command, append(flags, s.flags...), s.want)
					})
				}
			}
		}
		for _, h := range habits {
			if h.client == c.name {
				t.Run(strings.Join([]string{c.name, h.mode, "is refused"}, "/"), func(t *testing.T) {
					t.Parallel()
					flags := append(files[:len(files):len(files)], "--mode", h.mode, "--amc", bleue, "--expect", h.code)
					play(t, c.command, flags, h.says)
				})
			}
		}
	}
}

// play runs a client, which must end well and say want.
func play(t *testing.T, command, flags []string, want string) {
	t.Helper()
	out, err := exec.Command(command[0], append(command[1:len(command):len(command)], flags...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), want) {
		t.Fatalf("want %q: %v\n%s", want, err, out)
	}
}
