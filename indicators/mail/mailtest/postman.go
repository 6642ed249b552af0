// Package mailtest starts Debian's aiosmtpd for a test.
package mailtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// script refuses the addresses nobody@ for good and later@ for now; relay@ is one
// that it does not relay for. A message for spam@ is refused as a message, and
// one for slow@ gets no reply; a sender banned@ may not write. It knows the user
// rpn with the password "the password", and writes its port, then each message as
// a line of JSON.
const script = `
import asyncio, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("banned@"):
            return "550 5.7.1 not you"
        envelope.mail_from = address
        return "250 OK"
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 <" + address + ">: nobody here"
        if address.startswith("relay@"):
            return "554 5.7.1 <" + address + ">: relay access denied"
        if address.startswith("later@"):
            return "451 come back"
        envelope.rcpt_tos.append(address)
        return "250 OK"
    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos[0].startswith("spam@"):
            return "554 5.7.1 spam"
        print(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None, "user": session.auth_data or "", "text": envelope.content.decode("utf-8")}), flush=True)
        if envelope.rcpt_tos[0].startswith("slow@"):
            await asyncio.sleep(3600)
        return "250 taken"
def knows(server, session, envelope, mechanism, data):
    good = data.login == b"rpn" and data.password == b"the password"
    return AuthResult(success=good, handled=False, auth_data=data.login.decode() if good else None)
async def main():
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Handler(), tls_context=tls, require_starttls=tls is not None, authenticator=knows), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
`

// A Message is one that the server took.
type Message struct {
	From string
	To   []string
	TLS  bool
	User string // who authenticated; "": nobody
	Text string // headers and body, as they came
}

// A Postman is a mail server of one test.
type Postman struct {
	Port int
	CA   string // PEM file of its authority; "": it has no TLS

	root  *x509.Certificate
	cmd   *exec.Cmd
	lines *bufio.Reader
	end   func() []byte
}

// Start starts a server on the loopback, with a certificate for localhost that
// its STARTTLS needs, or without TLS. It ends with the test.
func Start(t testing.TB, withTLS bool) *Postman {
	t.Helper()
	p, args := &Postman{}, []string{"-c", script}
	if withTLS {
		dir := t.TempDir()
		p.CA = filepath.Join(dir, "cert.pem")
		key := filepath.Join(dir, "key.pem")
		if err := p.certificate(key); err != nil {
			t.Fatal(err)
		}
		args = append(args, p.CA, key)
	}
	p.cmd = exec.Command("/usr/bin/python3", args...) // Debian's, which has Debian's packages
	var faults strings.Builder
	p.cmd.Stderr = &faults
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewReader(out)
	p.end = sync.OnceValue(func() []byte {
		p.cmd.Process.Kill()
		rest, _ := io.ReadAll(p.lines)
		p.cmd.Wait()
		return rest
	})
	t.Cleanup(func() { p.end() })
	first, err := p.lines.ReadString('\n')
	if err != nil {
		p.end()
		t.Fatalf("aiosmtpd does not start: test/deps.sh installs it\n%s", &faults)
	}
	if p.Port, err = strconv.Atoi(strings.TrimSpace(first)); err != nil {
		t.Fatal(err)
	}
	return p
}

// Roots is the pool of its authority; nil without TLS.
func (p *Postman) Roots() *x509.CertPool {
	if p.root == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(p.root)
	return pool
}

// Next waits for the next message that the server takes.
func (p *Postman) Next(t testing.TB) Message {
	t.Helper()
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	return read(t, line)
}

// Taken ends the server and returns what it took that Next did not return.
func (p *Postman) Taken(t testing.TB) (list []Message) {
	t.Helper()
	for line := range strings.Lines(string(p.end())) {
		list = append(list, read(t, []byte(line)))
	}
	return list
}

func read(t testing.TB, line []byte) (m Message) {
	t.Helper()
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (p *Postman) certificate(keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if p.root, err = roc.ParseCertificate(der); err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(durable.WriteFile(p.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		durable.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}
