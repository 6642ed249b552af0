package redis

import (
	"context"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
)

// The rights that docs/operating/annuaire.md gives the RPN in Redis.
const redisACL = "user rpn on >secret-fictif resetkeys ~rpn:* resetchannels &rpn:annuaire:1 -@all +get +set +del +publish +subscribe +unsubscribe +ping +hello +auth +client +select +cluster\nuser default off\n"

// A real Redis over TLS, with the user and the rights of the documentation.
func TestRedisOverTLSWithTheRightsOfTheDocumentation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pki := igc.New(igc.Options{ECDSA: true})
	if _, _, err := pki.Server(igc.AMCTLS, "localhost").Write(dir, "redis"); err != nil {
		t.Fatal(err)
	}
	if err := pki.Write(dir); err != nil {
		t.Fatal(err)
	}
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	server := exec.Command("redis-server", "--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "",
		"--tls-cert-file", filepath.Join(dir, "redis.pem"), "--tls-key-file", filepath.Join(dir, "redis.key"), "--tls-auth-clients", "no",
		"--aclfile", file("users.acl", redisACL), "--logfile", filepath.Join(dir, "redis.log"))
	if err := server.Start(); err != nil {
		t.Fatalf("redis-server: %v (make deps installs it)", err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })

	o := Options{URLs: []string{"rediss://localhost:" + port}, User: "rpn", Password: "secret-fictif", Roots: roots(t, dir, igc.AMCTLS), Timeout: 5 * time.Second}
	client := open(t, o)
	ctx := t.Context()
	await.Until(t, "Redis is there", client.there)
	hearing, over := context.WithCancel(ctx)
	defer over()
	joined, heard := make(chan struct{}, 16), make(chan string, 16)
	go client.Subscribe(hearing, "annuaire:1", func() { joined <- struct{}{} }, func(s string) { heard <- s })
	<-joined
	_, got := client.Get(ctx, "ping")
	for what, err := range map[string]error{
		"set":     client.Set(ctx, "annuaire:1:x", []byte("1"), time.Minute),
		"get":     got,
		"del":     client.Del(ctx, "annuaire:1:x"),
		"publish": client.Publish(ctx, "annuaire:1", "x"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if m := <-heard; m != "x" {
		t.Errorf("heard %q", m)
	}
	o.Roots = roots(t, dir, igc.EtablissementTLS)
	stranger := open(t, o)
	await.Until(t, "a Redis of another authority is a loss", stranger.gone)
	if h := stranger.Health(); !strings.Contains(h.LastError.Error(), "certificate") {
		t.Errorf("it says %v", h.LastError)
	}
}

func roots(t *testing.T, dir string, side igc.Side) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(igc.StoreFile(dir, side))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}
