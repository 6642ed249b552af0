package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
)

// The characters of the bench: one establishment, one insurer.
const (
	annuaireName = "annuaire.test"
	amcName      = "amc.test"
	amcNumber    = roc.NumeroAMC("0077565712")
	rpnName      = "rpn.test"
	finess       = roc.FINESS("010003812")
)

// A setting is what the proxies have in common: certificates, the insurer behind
// them, and the message to carry.
type setting struct {
	dir       string
	load      string // of the machine, before the start
	pki       *igc.PKI
	es, sign  igc.Pair
	insurer   net.Listener
	annuaire  net.Listener
	request   []byte // HTTP and all
	message   int    // bytes of the signed message
	answer    int    // bytes of the answer
	processes []*process
	configs   int // files of configuration written
}

func newSetting(dir string, o options) (*setting, error) {
	w := &setting{dir: dir, load: loadAverage(), pki: igc.New(igc.Options{})}
	if err := os.Mkdir(w.file("state"), 0o700); err != nil {
		return nil, err
	}
	w.es, w.sign = w.pki.Establishment(roc.StructureOf(finess), "CH DU BANC FICTIF")
	if err := w.writeFiles(); err != nil {
		return nil, err
	}
	if err := w.makeMessages(o.bytes); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *setting) close() {
	for _, p := range w.processes {
		p.stop()
	}
	w.insurer.Close()
	w.annuaire.Close()
}

func (w *setting) file(name string) string { return filepath.Join(w.dir, name) }

// writeFiles writes what the proxies need: their certificates as server and
// as client, and whom they trust. HAProxy wants the key beside the chain.
func (w *setting) writeFiles() error {
	if err := w.pki.Write(w.dir); err != nil {
		return err
	}
	for name, pair := range map[string]igc.Pair{
		"server": w.pki.Server(igc.EtablissementTLS, rpnName),
		"client": w.pki.Auth(igc.RPN, "RPN FICTIF"),
	} {
		cert, key, err := pair.Write(w.dir, name)
		if err != nil {
			return err
		}
		if err := concat(w.file(name+"-haproxy.pem"), cert, key); err != nil {
			return err
		}
	}
	return nil
}

func concat(to string, from ...string) error {
	var all []byte
	for _, f := range from {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all = append(all, b...)
	}
	return os.WriteFile(to, all, 0o600)
}

// startInsurer listens where the messages end, by mutual TLS.
func (w *setting) startInsurer(answer []byte) error {
	l, err := listenTLS(&tls.Config{
		Certificates: []tls.Certificate{w.pki.Server(igc.AMCTLS, amcName).TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    w.pki.Pool(igc.EtablissementTLS),
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"http/1.1"},
	})
	if err != nil {
		return err
	}
	w.insurer = l
	go serve(l, answer)
	return nil
}

// dial opens the establishment's connections to a proxy.
func (w *setting) dial(address string, n int) (*load, error) {
	return newLoad(address, w.request, w.clientTLS(), n)
}

func (w *setting) clientTLS() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{w.es.TLS()},
		RootCAs:      w.pki.Pool(igc.EtablissementTLS),
		ServerName:   rpnName,
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"http/1.1"},
	}
}

func httpMessage(first, contentType string, body []byte) []byte {
	return append(fmt.Appendf(nil, "%s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", first, contentType, len(body)), body...)
}
