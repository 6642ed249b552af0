//go:build interop

package interop

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/test/nation"
)

var record = flag.String("record", "", "folder where the message of each story is kept (internal/xmlsig/testdata/clients)")

// A client is a program that takes the flags of Etablissement.Flags, prints "answer
// CODE" or "fault CODE reason" and exits with 0 when CODE is the one expected.
type client struct {
	name string
	// build makes the program in dir, once; it returns how to run it.
	build func(dir string, n *nation.Nation, e *nation.Etablissement) (command []string, err error)
	// accepted are the modes that the profile takes, in SOAP 1.1 and 1.2.
	accepted []string
	refused  []refusal
}

// A refusal is a habit that the profile does not take: the vendor is told
// which code, and the words by which it is mended.
type refusal struct{ mode, code, says string }

var clients = []client{
	{"wss4j", buildWSS4J, []string{"direct", "pkipath", "keyidentifier", "sha512"}, []refusal{
		{"issuerserial", "RPN215", "Le certificat de signature n'est pas dans le message"},
		{"ski", "RPN215", "Le certificat de signature n'est pas dans le message"},
		{"thumbprint", "RPN215", "Le certificat de signature n'est pas dans le message"},
		{"sha1", "RPN214", "« rsa-sha1 »"},
		{"strtransform", "RPN214", "La canonicalisation doit être exc-c14n (reçu : « STR-Transform »)"},
		{"body-only", "RPN213", "Le Timestamp n'est pas couvert"},
	}},
	{"php-soap", asItIs("php", "php/client.php"), []string{"default"}, []refusal{
		{"inclusive", "RPN214", "La canonicalisation doit être exc-c14n (reçu : « REC-xml-c14n-20010315 »)"},
		{"sha1", "RPN214", "« rsa-sha1 »"},
		{"pretty", "RPN212", "la partie a été modifiée après la signature"},
	}},
	{"gsoap", buildGSOAP, []string{"default", "sha512"}, []refusal{
		{"not-canonical", "RPN214", "La canonicalisation doit être exc-c14n"}, // CanonicalizationMethod has no Algorithm,
		{"sha1", "RPN214", "« rsa-sha1 »"},
		{"body-only", "RPN213", "Le Timestamp n'est pas couvert"},
	}},
	{"mono", buildMono, []string{"default"}, []refusal{
		{"inclusive", "RPN214", "La canonicalisation doit être exc-c14n (reçu : « REC-xml-c14n-20010315 »)"},
		{"sha1", "RPN214", "« rsa-sha1 »"},
		{"key-value", "RPN215", "Le certificat de signature n'est pas dans le message"},
		{"whole", "RPN212", "n'est pas de la forme #Id"},
	}},
}

// The clients of test/clients are played there; here their messages are kept.
var recordedToo = []client{
	{"zeep", asItIs("/usr/bin/python3", "../clients/zeep_client.py"), []string{"binary", "plain"}, []refusal{
		{"sha1", "RPN214", "« rsa-sha1 »"},
		{"no-timestamp", "RPN213", "Le message n'a pas de wsu:Timestamp"},
	}},
	{"node-soap", asItIs("node", "--no-deprecation", "../clients/node/client.js"), []string{"default", "wssecurity", "addressing"}, []refusal{
		{"with-token", "RPN212", "La référence #_0 n'existe pas dans le message"},
		{"repeated-id", "RPN212", "« _1 » figure deux fois"},
		{"chain", "RPN215", "Le certificat joint n'est pas en base64 strict"},
	}},
	{"xmlsec1", asItIs("bash", "../clients/xmlsec1_curl.sh"), []string{""}, nil},
}

// bleue is an AMC of the circle, in V1 and V2.
const bleue = "0099000003"

func TestMain(m *testing.M) { os.Exit(nation.Main(m)) }

func TestHeavyClientsAreAnsweredAndRefusedAsTheyShould(t *testing.T) {
	n := nation.New(t, nation.Binary)
	e := n.Etablissement(nation.Signing(igc.RSA(2048)))
	url, all := n.URL(), clients
	if *record != "" {
		url, all = newRecorder(t, n, e, *record).url, append(recordedToo, clients...)
		recordVerdicts(t, n, *record, all)
	}
	for _, c := range all {
		command := sync.OnceValues(func() ([]string, error) { return c.build(t.TempDir(), n, e) })
		for _, s := range c.stories() {
			t.Run(strings.Join([]string{c.name, s.mode, "SOAP " + s.soap, s.name}, "/"), func(t *testing.T) {
				t.Parallel()
				program, err := command()
				if err != nil {
					t.Fatal(err)
				}
				at := url
				if *record != "" && !s.alter {
					at += "/" + s.file(c.name)
				}
				play(t, slices.Concat(program, e.Flags(at), s.flags()), s)
			})
		}
	}
}

// A story is one call of a client.
type story struct {
	name, mode, soap string
	alter            bool
	code, says       string
}

func (c client) stories() []story {
	var all []story
	for _, mode := range c.accepted {
		for _, soap := range []string{"11", "12"} {
			all = append(all, story{"a good IDB is answered", mode, soap, false, "00", "answer 00"})
		}
	}
	all = append(all, story{"a body altered after it was signed is refused", c.accepted[0], "12", true, "RPN212", "la partie a été modifiée après la signature"})
	for _, r := range c.refused {
		all = append(all, story{"a habit of its own is refused", r.mode, "12", false, r.code, r.says})
	}
	return all
}

func (s story) flags() []string {
	f := []string{"--amc", bleue, "--soap", s.soap, "--expect", s.code}
	if s.mode != "" {
		f = append(f, "--mode", s.mode)
	}
	if s.alter {
		f = append(f, "--alter")
	}
	return f
}

// file is the name under which the message of a story is kept.
func (s story) file(client string) string {
	return strings.ReplaceAll(strings.Join([]string{client, s.mode, "soap" + s.soap}, "-"), "--", "-")
}

func play(t *testing.T, command []string, s story) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), s.says) {
		t.Fatalf("want %s and %q: %v\n%s", s.code, s.says, err, out)
	}
}

func asItIs(command ...string) func(string, *nation.Nation, *nation.Etablissement) ([]string, error) {
	return func(string, *nation.Nation, *nation.Etablissement) ([]string, error) { return command, nil }
}

func buildWSS4J(dir string, n *nation.Nation, e *nation.Etablissement) ([]string, error) {
	var jars []string
	for _, name := range []string{"wss4j", "xmlsec", "commons-logging", "slf4j-api", "slf4j-nop"} {
		jars = append(jars, "/usr/share/java/"+name+".jar")
	}
	classes := strings.Join(jars, ":")
	return []string{
		"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", dir + ":" + classes, "Client",
		"--sign-chain", n.Files(e.ID).SignCert, "--answer-ca", igc.StoreFile(n.Dir, igc.AMCSignature),
	}, run("javac", "-d", dir, "-cp", classes, "wss4j/Client.java")
}

// buildGSOAP gives wsdl2h the WSDL that the RPN serves.
func buildGSOAP(dir string, n *nation.Nation, e *nation.Etablissement) ([]string, error) {
	wsdl := filepath.Join(dir, "rpn.wsdl")
	answer, err := e.Client().Get(n.URL() + "?wsdl=v1")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the WSDL: %s", answer.Status)
	}
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(wsdl, text, 0o644); err != nil {
		return nil, err
	}
	return []string{filepath.Join(dir, "client")}, run("sh", "gsoap/build.sh", wsdl, dir)
}

// buildMono also writes the keys as .NET Framework reads them, in PKCS#12 with
// the old algorithms that Mono knows.
func buildMono(dir string, n *nation.Nation, e *nation.Etablissement) ([]string, error) {
	program := filepath.Join(dir, "Client.exe")
	command := []string{"mono", program}
	f := n.Files(e.ID)
	for flag, pair := range map[string][2]string{"--pfx": {f.Cert, f.Key}, "--sign-pfx": {f.SignCert, f.SignKey}} {
		pfx := filepath.Join(dir, strings.TrimPrefix(flag, "--")+".p12")
		err := run("openssl", "pkcs12", "-export", "-passout", "pass:", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1",
			"-inkey", pair[1], "-in", pair[0], "-out", pfx)
		if err != nil {
			return nil, err
		}
		command = append(command, flag, pfx)
	}
	return command, run("mcs", "-out:"+program, "-r:System.Security.dll", "mono/Client.cs")
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
