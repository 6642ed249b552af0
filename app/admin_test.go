package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"net/http/httptest"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/nation"
)

// asked sends one request to the operator's listener.
func asked(t *testing.T, client *http.Client, method, url string, with map[string]string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range with {
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// Who may act: by the socket alone, through no proxy and no browser that was
// led here. Who may read: by a name that is the listener's own.
func TestWhoMayReadAndWhoMayAct(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{})
	tcp, socket := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, admin.Client(n.AdminSocket())
	const get, post = http.MethodGet, http.MethodPost
	for _, c := range []struct {
		name   string
		client *http.Client
		method string
		path   string
		with   map[string]string
		want   int
	}{
		{"the socket acts", socket, post, "/-/reload", nil, 200},
		{"the socket reads", socket, get, "/livez", nil, 200},
		{"any local user by TCP", tcp, post, "/-/reload", nil, 403},
		{"any local user, another act", tcp, post, "/-/annuaire/revalidate", nil, 403},
		{"a browser led to the socket's proxy", socket, post, "/-/reload", map[string]string{"Origin": "https://elsewhere.example"}, 403},
		{"a browser, another sign", socket, post, "/-/reload", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a proxy before the socket", socket, post, "/-/reload", map[string]string{"X-Forwarded-For": "192.0.2.7"}, 403},
		{"a proxy before the socket, RFC 7239", socket, post, "/-/reload", map[string]string{"Forwarded": "for=192.0.2.7"}, 403},
		{"a proxy before the socket, Via", socket, post, "/-/reload", map[string]string{"Via": "1.1 front"}, 403},
		{"explained nearby", tcp, get, "/-/explain?structure=x", nil, 400},
		{"explained through a proxy", tcp, get, "/-/explain?structure=x", map[string]string{"X-Forwarded-Host": "rpn.example"}, 403},
		{"read through a proxy", tcp, get, "/livez", map[string]string{"Via": "1.1 front"}, 200},
		{"rebound: a name of somebody else", tcp, get, "/certificats", map[string]string{"Host": "attacker.example"}, 421},
		{"rebound, with a port", tcp, get, "/metrics", map[string]string{"Host": "attacker.example:9464"}, 421},
		{"rebound, like localhost", tcp, get, "/metrics", map[string]string{"Host": "localhost.attacker.example"}, 421},
		{"localhost", tcp, get, "/metrics", map[string]string{"Host": "LOCALHOST:9464"}, 200},
		{"an address", tcp, get, "/metrics", map[string]string{"Host": "[::1]:9464"}, 200},
		{"an address of a network", tcp, get, "/metrics", map[string]string{"Host": "10.20.0.7"}, 200},
		{"a reload is no page", socket, get, "/-/reload", nil, 405},
	} {
		if got := asked(t, c.client, c.method, n.AdminURL()+c.path, c.with); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
	if !strings.Contains(lines.String(), `"event":"operator_act","act":"/-/reload"`) || !strings.Contains(lines.String(), `"event":"operator_act_refused"`) {
		t.Error("the log does not say who acted, or who was refused")
	}
	info, err := os.Stat(n.AdminSocket())
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v %v", info.Mode(), err)
	}
}

// admin_hosts adds a name; admin_tls lets act who shows a certificate of the
// operators' authority, and nobody else.
func TestANameAndACertificateOfTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	operators := igc.New(igc.Options{})
	if err := operators.Write(dir); err != nil {
		t.Fatal(err)
	}
	pair := operators.Server(igc.AMCTLS, "rpn-1.admin.example", igc.ECDSA(), igc.Names("127.0.0.1"))
	if _, _, err := pair.Write(dir, "admin"); err != nil {
		t.Fatal(err)
	}
	authority := igc.StoreFile(dir, igc.EtablissementTLS)
	n, _ := start(t, nation.Options{Sections: map[string]string{
		"admin_tls":   fmt.Sprintf("certificate: %s\nkey: %s\nclients: %s", filepath.Join(dir, "admin.pem"), filepath.Join(dir, "admin.key"), authority),
		"admin_hosts": "- rpn-1.admin.example",
	}})
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(igc.StoreFile(dir, igc.AMCTLS))
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	client := func(own ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: own}}}
	}
	operator := client(operators.Auth("1010003812", "OPERATEUR FICTIF", igc.ECDSA()).TLS())
	url := "https" + strings.TrimPrefix(n.AdminURL(), "http")
	if got := asked(t, client(), http.MethodGet, url+"/livez", map[string]string{"Host": "rpn-1.admin.example"}); got != 200 {
		t.Errorf("by the name of admin_hosts: %d", got)
	}
	if got := asked(t, client(), http.MethodPost, url+"/-/reload", nil); got != 403 {
		t.Errorf("without a certificate: %d", got)
	}
	if got := asked(t, operator, http.MethodPost, url+"/-/reload", nil); got != 200 {
		t.Errorf("with a certificate of the operators: %d", got)
	}
	stranger := client(n.PKI.Auth("1010003812", "ETABLISSEMENT FICTIF", igc.ECDSA()).TLS())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/-/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := stranger.Do(r); err == nil {
		answer.Body.Close()
		t.Errorf("with a certificate of another authority: %d", answer.StatusCode)
	}
}

// `rpn reload`, a signal and Reload are one door: each asks the servers of
// revocation lists at once.
func TestEveryDoorOfAReloadAsksTheListServers(t *testing.T) {
	t.Parallel()
	var questions atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		questions.Add(1)
		http.Error(w, "no list today", http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	n, _ := start(t, nation.Options{Sections: map[string]string{"revocation": "lists: [" + server.URL + "/fictive.crl]\nevery: 24h"}})
	await.Until(t, "the list is asked for at the start", func() bool { return questions.Load() > 0 })
	for name, ask := range map[string]func(){
		"Reload, as SIGHUP": func() { n.App.Reload() },
		"the socket, as rpn reload": func() {
			if status, _ := reload(t, n, ""); status != http.StatusOK {
				t.Errorf("reload: %d", status)
			}
		},
	} {
		before := questions.Load()
		ask()
		await.Until(t, name+" asks for it again", func() bool { return questions.Load() > before })
	}
}
