package app

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/piano-roc/rpn/app/config"
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

	r := config.Redis{URLs: []string{"rediss://localhost:" + port}, User: "rpn", CA: igc.StoreFile(dir, igc.AMCTLS)}
	client, err := openRedis(&r, "secret-fictif")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := t.Context()
	for start := time.Now(); client.Ping(ctx).Err() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			log, _ := os.ReadFile(filepath.Join(dir, "redis.log"))
			t.Fatalf("%v\n%s", client.Ping(ctx).Err(), log)
		}
	}
	sub := client.Subscribe(ctx, "rpn:annuaire:1")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	for what, err := range map[string]error{
		"set":     client.Set(ctx, "rpn:annuaire:1:x", 1, time.Minute).Err(),
		"get":     client.Get(ctx, "rpn:annuaire:1:x").Err(),
		"del":     client.Del(ctx, "rpn:annuaire:1:x").Err(),
		"publish": client.Publish(ctx, "rpn:annuaire:1", "x").Err(),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != "x" {
		t.Errorf("heard %v, %v", m, err)
	}
	if client.Set(ctx, "other", 1, 0).Err() == nil {
		t.Error("the rights reach keys of others")
	}
	wrong := r
	wrong.CA = igc.StoreFile(dir, igc.EtablissementTLS)
	stranger, err := openRedis(&wrong, "secret-fictif")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if stranger.Ping(ctx).Err() == nil {
		t.Error("a Redis of another authority is spoken to")
	}
}
