package tlsconf_test

import (
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/acme"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
)

// Two instances that share Redis have one certificate: the second one loads
// what the first obtained, with the CA gone. Redis that comes late is waited
// for.
func TestInstancesShareWhatACMEGaveByRedis(t *testing.T) {
	t.Parallel()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is missing: run `make deps` (Debian package redis-server)")
	}
	redisPort := freePort(t)
	startRedis := func() {
		cmd := exec.Command(bin, "--port", fmt.Sprint(redisPort), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() }))
	}
	keys, err := secret.Parse([]byte(strings.Repeat("a", 64)))
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	ca := startPebble(t, port, 90*24*time.Hour)
	var log tlstest.Buffer
	instance := func() (*identity.ACME, *identity.Source) {
		client, err := redis.Open(redis.Options{URLs: []string{fmt.Sprint("redis://127.0.0.1:", redisPort)}, Timeout: 5 * time.Second, Probe: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return acmeSource(t, identity.ACMEOptions{
			Directory: ca.directory, Roots: ca.https, Names: []string{"shared.example.test"}, AgreedTerms: true,
			Shared: func(kind string) identity.ACMEStorage {
				return acme.New(acme.Options{Client: client, Keys: keys, Name: "server/" + kind})
			},
			TLSALPN: fmt.Sprintf("127.0.0.1:%d", port), Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
	}
	one, source := instance()
	defer one.Stop()
	if err := one.Start(func() { source.Reload() }); err != nil {
		t.Fatalf("without Redis it must wait: %v", err)
	}
	await.Until(t, "it is told that Redis is away", func() bool { return strings.Contains(log.String(), "the storage cannot be read") })
	startRedis()
	await.Until(t, "a certificate", func() bool { return source.Certificate() != nil })

	ca.stop()
	two, loaded := instance()
	defer two.Stop()
	if loaded.Certificate() == nil || !loaded.Certificate().Leaf.Equal(source.Certificate().Leaf) {
		t.Fatal("the second instance has not the certificate of the first")
	}
	if err := two.Start(func() { loaded.Reload() }); err != nil {
		t.Error(err)
	}
}
