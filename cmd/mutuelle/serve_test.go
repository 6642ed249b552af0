package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/mutuelle"
	"github.com/piano-roc/rpn/test/binary"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := binary.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// A place holds the files of one insurer and the keys of those who call it.
type place struct {
	dir      string
	pki      *igc.PKI
	rpn      igc.Pair // TLS client
	hospital igc.Pair // signature
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{dir: t.TempDir(), pki: igc.New(igc.Options{ECDSA: true})}
	p.rpn = p.pki.Auth(igc.RPN, "RPN FICTIF")
	p.hospital = p.pki.Sign("1010003812", "CH FICTIF")
	p.write(t, "tls", p.pki.Server(igc.AMCTLS, "127.0.0.1"))
	p.write(t, "sign", p.pki.AMCSigner(igc.AMC, "MUTUELLE FICTIVE"))
	if err := p.pki.Write(p.dir); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p place) write(t *testing.T, name string, pair igc.Pair) {
	t.Helper()
	if _, _, err := pair.Write(p.dir, name); err != nil {
		t.Fatal(err)
	}
}

func (p place) file(name string) string { return filepath.Join(p.dir, name) }

// args is a good command line, then others that come after and win.
func (p place) args(more ...string) []string {
	return append([]string{"serve", "--listen", "127.0.0.1:0", "--amc", "77565712",
		"--cert", p.file("tls.pem"), "--key", p.file("tls.key"), "--client-ca", igc.StoreFile(p.dir, igc.EtablissementTLS),
		"--sign-cert", p.file("sign.pem"), "--sign-key", p.file("sign.key"), "--es-ca", igc.StoreFile(p.dir, igc.EtablissementSignature)}, more...)
}

func (p place) client(pair igc.Pair) *http.Client {
	c := &tls.Config{RootCAs: p.pki.Pool(igc.AMCTLS)}
	if pair.Cert != nil {
		c.Certificates = []tls.Certificate{pair.TLS()}
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c}}
}

func (p place) request(t *testing.T, adherent string) roc.Content {
	t.Helper()
	m := message.IDBRequest{Version: roc.V1, Demande: message.Demande{
		Requete:       message.Requete{Date: time.Now(), Editeur: "EDITEUR DEMO", Logiciel: "GAP-DEMO-0001", VersionLogiciel: "12.4"},
		Etablissement: message.Etablissement{EJ: "010003812"},
		Adressage:     message.Adressage{AMC: "77565712", Domaine: roc.HOSP},
		Beneficiaire:  message.Beneficiaire{NumeroAdherent: adherent, Nom: "FICTIF", Prenom: "Zoé", DateNaissance: "1980-02-29"},
	}}
	k := xmlsig.Key{Certificate: p.hospital.Cert, Chain: p.hospital.Chain, Signer: p.hospital.Key}
	signed, err := xmlsig.Sign(m.Envelope(soap.SOAP12), k, xmlsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// run starts the command in process; stopped gives its end.
func run(t *testing.T, args []string) (url string, cancel func(), stopped <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(w)
	cmd.SetErr(io.Discard)
	end := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		w.CloseWithError(errors.Join(err, io.EOF))
		end <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return urlIn(t, line), cancel, end
}

func urlIn(t *testing.T, line string) string {
	t.Helper()
	url := regexp.MustCompile(`https://\S+`).FindString(line)
	if url == "" {
		t.Fatalf("no address in %q", line)
	}
	return url
}

func post(c *http.Client, url string, m roc.Content) (int, []byte, error) {
	r, err := c.Post(url, soap.SOAP12.ContentType(), bytes.NewReader(m.Bytes()))
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, b, err
}

func TestServeAnswersOverMutualTLS(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	url, cancel, stopped := run(t, p.args())
	status, body, err := post(p.client(p.rpn), url, p.request(t, mutuelle.DroitsOuverts))
	if err != nil || status != 200 || !bytes.Contains(body, []byte("<CodeCR>00</CodeCR>")) {
		t.Errorf("HTTP %d, %v", status, err)
	}
	if _, _, err := post(p.client(igc.Pair{}), url, p.request(t, mutuelle.DroitsOuverts)); err == nil {
		t.Error("answered without a client certificate")
	}
	if _, _, err := post(p.client(p.pki.Auth(igc.RPN, "RPN FICTIF", igc.OtherCA())), url, p.request(t, mutuelle.DroitsOuverts)); err == nil {
		t.Error("answered a client of another CA")
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestStopLetsAnswersFinish(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	url, cancel, stopped := run(t, p.args("--slow", "300ms"))
	body := bytes.NewReader(p.request(t, mutuelle.Lente).Bytes())
	reading := make(chan struct{})
	first := whenRead(sync.OnceFunc(func() { close(reading) }))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.MultiReader(first, body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", soap.SOAP12.ContentType())
	r.Header.Set("Expect", "100-continue") // so the body is sent once the server reads it
	c := p.client(p.rpn)
	c.Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
	answered := make(chan error, 1)
	go func() {
		answer, err := c.Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		answered <- err
	}()
	<-reading
	cancel()
	if err := <-answered; err != nil {
		t.Errorf("the answer in flight was lost: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// whenRead is an empty reader that tells when it is reached.
type whenRead func()

func (f whenRead) Read([]byte) (int, error) { f(); return 0, io.EOF }

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, "other", p.pki.Server(igc.AMCTLS, "127.0.0.1", igc.Key("other")))
	for name, content := range map[string]string{"empty.pem": "", "text.pem": "hello", "broken.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if err := os.WriteFile(p.file(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"nothing given":        {[]string{"serve"}, []string{"--cert", "--key", "--client-ca", "--sign-cert", "--sign-key", "--es-ca"}},
		"a file that is not":   {p.args("--cert", p.file("none.pem")), []string{"--cert", "none.pem"}},
		"an empty file":        {p.args("--es-ca", p.file("empty.pem")), []string{"--es-ca", "empty.pem", "BEGIN CERTIFICATE"}},
		"a file of text":       {p.args("--sign-cert", p.file("text.pem")), []string{"--sign-cert", "BEGIN CERTIFICATE"}},
		"a broken certificate": {p.args("--client-ca", p.file("broken.pem")), []string{"--client-ca", "certificate 1 cannot be read"}},
		"another key":          {p.args("--key", p.file("other.key")), []string{"--key", "tls.pem", "is not the private key of"}},
		"a leaf as CA":         {p.args("--es-ca", p.file("sign.pem")), []string{"--es-ca", "is not a CA"}},
		"a bad AMC number":     {p.args("--amc", "12"), []string{`--amc "12"`, "8 to 10 digits"}},
		"a bad address":        {p.args("--listen", "127.0.0.1:99999"), []string{"--listen", "choose a free address"}},
		"no delay":             {p.args("--slow", "0s"), []string{"--slow"}},
		"an unknown flag":      {p.args("--slwo", "1s"), []string{"--slwo"}},
		"an argument":          {p.args("extra"), []string{"extra"}},
	} {
		cmd := command()
		cmd.SetArgs(c.args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		err := cmd.ExecuteContext(t.Context())
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", name, err, s)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %q", name, err)
		}
	}
}

// TestTheBinary plays what no test in process can: the exit code and SIGTERM.
func TestTheBinary(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	bin, err := binary.Path("mutuelle")
	if err != nil {
		t.Fatal(err)
	}

	out, err := exec.Command(bin, "serve").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || bytes.Count(out, []byte("\n")) != 1 || !bytes.HasPrefix(out, []byte("mutuelle: missing --cert")) {
		t.Errorf("serve without flags: %v, %q", err, out)
	}
	if out, err := exec.Command(bin, "cases").Output(); err != nil || bytes.Count(out, []byte("\n")) != len(mutuelle.Cases()) {
		t.Errorf("cases: %v\n%s", err, out)
	}

	cmd := exec.Command(bin, p.args()...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := post(p.client(p.rpn), urlIn(t, line), p.request(t, mutuelle.DroitsOuverts))
	if err != nil || status != 200 {
		t.Errorf("HTTP %d, %v", status, err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}
