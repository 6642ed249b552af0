//go:build interop

package interop

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/test/nation"
)

// A recorder stands between a client and the RPN, as an https server of its
// name that asks for no certificate, and keeps what the client posts under
// /NAME in NAME.xml.
type recorder struct {
	url    string
	rpn    string
	dir    string
	client *http.Client
}

func newRecorder(t *testing.T, n *nation.Nation, e *nation.Etablissement, dir string) *recorder {
	t.Helper()
	own, err := tls.LoadX509KeyPair(n.File("rpn/serveur.pem"), n.File("rpn/serveur.key"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{rpn: n.URL(), dir: dir, client: e.Client()}
	s := httptest.NewUnstartedServer(r)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"http/1.1"}}
	s.StartTLS()
	t.Cleanup(s.Close)
	r.url = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil && req.Method == http.MethodPost {
		err = os.WriteFile(filepath.Join(r.dir, path.Base(req.URL.Path)+".xml"), body, 0o644)
	}
	if err == nil {
		err = r.forward(w, req, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (r *recorder) forward(w http.ResponseWriter, req *http.Request, body []byte) error {
	on, err := http.NewRequestWithContext(req.Context(), req.Method, r.rpn+"?"+req.URL.RawQuery, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for _, name := range []string{"Content-Type", "SOAPAction"} {
		if v := req.Header.Get(name); v != "" {
			on.Header.Set(name, v)
		}
	}
	resp, err := r.client.Do(on)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, err = io.Copy(w, resp.Body)
	return err
}

// recordVerdicts keeps, beside the messages, what must come of each, when, and
// the CAs of their signers. What a former recording left is removed first.
func recordVerdicts(t *testing.T, n *nation.Nation, dir string, clients []client) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		os.Remove(file)
	}
	ca, err := os.ReadFile(igc.StoreFile(n.Dir, igc.EtablissementSignature))
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("file\tat\tcode\tsays\n")
	at := time.Now().UTC().Format(time.RFC3339)
	for _, c := range clients {
		for _, s := range c.stories() {
			if !s.alter {
				fmt.Fprintf(&table, "%s.xml\t%s\t%s\t%s\n", s.file(c.name), at, s.code, s.says)
			}
		}
	}
	for name, text := range map[string][]byte{"ca.pem": ca, "verdicts.tsv": []byte(table.String())} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
