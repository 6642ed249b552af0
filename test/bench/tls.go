package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/test/binary"
)

// A handshakeCase is one kind of connection that is measured on each proxy,
// and the share of HAProxy's time that the RPN may take.
type handshakeCase struct {
	name    string
	server  string // rsa or ecdsa
	resumed bool
	goal    float64
}

var handshakeCases = []handshakeCase{
	{"full, RSA-2048 server", "rsa", false, 1.0},
	{"full, ECDSA P-256 server", "ecdsa", false, 0.45},
	{"resumed", "ecdsa", true, 0.45},
}

// runTLS measures what a connection costs when it is used for one request: the
// TLS 1.3 handshake with both certificates, or a resumed session, one small
// answer of the proxy itself, and the close.
func runTLS(w *setting, o options) error {
	if err := w.writeHandshakeFiles(); err != nil {
		return err
	}
	proxies := map[string]*process{}
	for _, kind := range []string{"rsa", "ecdsa"} {
		for name, start := range map[string]func(string) (*process, error){"RPN": w.startHandshakeRPN, "HAProxy": w.startHandshakeHAProxy} {
			p, err := start(kind)
			if err != nil {
				return err
			}
			w.processes = append(w.processes, p)
			proxies[name+kind] = p
		}
	}
	results := map[string][]result{}
	for round := range o.rounds {
		for _, c := range handshakeCases {
			for _, name := range []string{"HAProxy", "RPN"} {
				p := proxies[name+c.server]
				r, err := measureHandshakes(w, p, c, o)
				if err != nil {
					return fmt.Errorf("%s, %s: %w\n%s", name, c.name, err, p.lastWords())
				}
				results[name+c.name] = append(results[name+c.name], r)
				fmt.Printf("round %d  %-26s %-8s %7.0f us/connection\n", round+1, c.name, name, r.perExchange())
			}
		}
	}
	return reportTLS(w, results, o)
}

func measureHandshakes(w *setting, p *process, c handshakeCase, o options) (result, error) {
	sessions := &oneSession{}
	config := w.clientTLS()
	// What establishments have today (OpenSSL 3.0, Java, .NET) offers no
	// post-quantum group, and HAProxy's OpenSSL knows none: the same for both.
	config.CurvePreferences = []tls.CurveID{tls.X25519}
	if c.resumed {
		config.ClientSessionCache = sessions
	}
	for range 20 { // warm, and with a session in hand
		if _, err := handshake(p.url, config); err != nil {
			return result{}, err
		}
	}
	sessions.keep.Store(true)
	before, err := p.cpu()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	var left atomic.Int64
	left.Store(int64(o.handshakes))
	errs := make([]error, 4)
	var clients sync.WaitGroup
	for i := range errs {
		clients.Go(func() {
			for errs[i] == nil && left.Add(-1) >= 0 {
				var resumed bool
				if resumed, errs[i] = handshake(p.url, config); errs[i] == nil && resumed != c.resumed {
					errs[i] = fmt.Errorf("resumed: %t, want %t", resumed, c.resumed)
				}
			}
		})
	}
	clients.Wait()
	wall := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return result{}, err
	}
	after, err := p.cpu()
	if err != nil {
		return result{}, err
	}
	return result{exchanges: o.handshakes, cpu: after - before, wall: wall}, nil
}

// handshake makes one connection, and waits for an answer: in TLS 1.3 a server
// looks at our certificate after we believe the handshake to be over.
func handshake(address string, config *tls.Config) (resumed bool, err error) {
	raw, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return false, err
	}
	c := tls.Client(raw, config)
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "GET /absent HTTP/1.1\r\nHost: "+rpnName+"\r\nConnection: close\r\n\r\n"); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return false, err
	}
	if !strings.HasPrefix(line, "HTTP/1.1 404 ") {
		return false, fmt.Errorf("the proxy answers %q", strings.TrimSpace(line))
	}
	return c.ConnectionState().DidResume, nil
}

// oneSession is a session cache that, once told to keep, gives the same session
// each time.
type oneSession struct {
	keep    atomic.Bool
	session atomic.Pointer[tls.ClientSessionState]
}

func (s *oneSession) Get(string) (*tls.ClientSessionState, bool) {
	state := s.session.Load()
	return state, state != nil
}

func (s *oneSession) Put(_ string, state *tls.ClientSessionState) {
	if state != nil && !s.keep.Load() {
		s.session.Store(state)
	}
}

// writeHandshakeFiles writes an RSA and an ECDSA server certificate, and the
// revocation lists that the RPN checks each client against.
func (w *setting) writeHandshakeFiles() error {
	for kind, option := range map[string]igc.Option{"rsa": igc.RSA(2048), "ecdsa": igc.ECDSA()} {
		cert, key, err := w.pki.Server(igc.EtablissementTLS, rpnName, option, igc.Key("bench "+kind)).Write(w.dir, "server-"+kind)
		if err != nil {
			return err
		}
		if err := concat(w.file("haproxy-"+kind+".pem"), cert, key); err != nil {
			return err
		}
	}
	for name, list := range map[string]igc.List{"intermediate.crl": {}, "root.crl": {ByRoot: true}} {
		if err := os.WriteFile(w.file(name), w.pki.CRL(igc.EtablissementTLS, list), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startHandshakeRPN runs the real binary with every check of a client on: the
// rules of its store, and a revocation list of each authority above it, without
// which nobody comes in.
func (w *setting) startHandshakeRPN(kind string) (*process, error) {
	rpn, err := binary.Path("rpn")
	if err != nil {
		return nil, err
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := w.writeRegister(); err != nil {
		return nil, err
	}
	config := w.file("rpn-tls-" + kind + ".yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(`environment: test
listen: %s
admin: 127.0.0.1:0
server: {certificate: server-%s.pem, key: server-%s.key}
client: {certificate: client.pem, key: client.key}
trust:
  etablissements_tls: confiance/etablissements-tls.pem
  etablissements_signature: confiance/etablissements-signature.pem
  amc_tls: confiance/amc-tls.pem
  amc_signature: confiance/amc-signature.pem
  rules: {etablissements_tls: {policies: ["1.2.250.1.213.1.7.2.1.1.1.1"], rsa_bits: 2048, depth: 3}}
revocation: {lists: [intermediate.crl, root.crl], then: closed, unannounced: closed}
annuaire: {url: "https://%s:%s/annuaire", probe: 0s}
etablissements: etablissements.yaml
amc: amc.yaml
network:
  allow: [127.0.0.0/8]
  hosts: {%s: 127.0.0.1, %s: 127.0.0.1}
`, address, kind, kind, annuaireName, port(w.annuaire.Addr().String()), annuaireName, amcName)), 0o600); err != nil {
		return nil, err
	}
	return start("RPN "+kind, address, nil, rpn, "serve", "--config", config)
}

// startHandshakeHAProxy checks the client's chain, and no revocation list.
func (w *setting) startHandshakeHAProxy(kind string) (*process, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	config := w.file("haproxy-tls-" + kind + ".cfg")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(`global
	nbthread 1
	ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend es
	bind %s ssl crt %s ca-file %s verify required alpn http/1.1
	http-request return status 404
`, address, w.file("haproxy-"+kind+".pem"), igc.StoreFile(w.dir, igc.EtablissementTLS))), 0o600); err != nil {
		return nil, err
	}
	return start("HAProxy "+kind, address, nil, "haproxy", "-db", "-f", config)
}

func reportTLS(w *setting, results map[string][]result, o options) error {
	var b strings.Builder
	b.WriteString("| TLS 1.3, client certificate RSA-2048 | HAProxy, CPU us a connection | RPN | min to max of the RPN | RPN beside HAProxy | goal |\n|---|---|---|---|---|---|\n")
	for _, c := range handshakeCases {
		ours := costs(results["RPN"+c.name])
		ratio := beside(results["RPN"+c.name], results["HAProxy"+c.name])
		said := "met"
		if ratio > c.goal {
			said = "**not met**"
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f to %.0f | %.2f | <= %.2f: %s |\n",
			c.name, median(costs(results["HAProxy"+c.name])), median(ours), slices.Min(ours), slices.Max(ours), ratio, c.goal, said)
	}
	fmt.Print("\n", b.String())
	if o.write == "" {
		return nil
	}
	ssl, _ := exec.Command("sh", "-c", "haproxy -vv | sed -n 's/^Running on OpenSSL version : //p'").Output()
	return os.WriteFile(o.write, []byte(fmt.Sprintf(tlsPage, time.Now().Format(time.DateOnly), machine(), versions(), strings.TrimSpace(string(ssl)),
		o.handshakes, o.rounds, w.load, b.String())), 0o644)
}

const tlsPage = `# TLS handshakes beside HAProxy

What a new connection costs in CPU time, both certificates checked, used for one request that the proxy answers itself
(404), then closed. HAProxy checks the client's chain. The RPN checks the chain, usages, policy, key sizes, depth and a
revocation list of each authority, without which nobody comes in; it counts the handshake and remembers the certificate.

    make bench-tls

%s, %s.
%s, HAProxy with %s.
The client certificate is RSA-2048 and the group X25519, for both. Each proxy runs on one core, the load on another;
%d connections, %d interleaved rounds, medians; the ratio is the median of those of the rounds. CPU time is utime + stime
of the process, from /proc. Ratios are to be trusted, absolute figures are those of this machine on that day; its load
average was %s when the bench started.

%s
The file is written by the command; it says what was measured, whatever that is.
`
