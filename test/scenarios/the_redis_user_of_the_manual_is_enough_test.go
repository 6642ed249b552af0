package scenarios

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/acme"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/test/nation"
)

// The manual says which rights the RPN's user needs in Redis. With exactly
// those, everything that asks Redis is allowed: the limits, the annuaire's
// answers and what the instances tell one another, the replays, ACME; Redis logs
// each command that it denies.
func TestTheRedisUserOfTheManualIsEnough(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	manual, err := os.ReadFile("../../docs/operating/annuaire.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ +(ACL SETUSER rpn .*)$`).FindSubmatch(manual)
	if line == nil {
		t.Fatal("the manual names no user")
	}
	if out := server.Cli(strings.Fields(strings.Replace(string(line[1]), ">PASSWORD", ">fictif", 1))...); strings.TrimSpace(out) != "OK" {
		t.Fatalf("Redis says: %s", out)
	}
	password := filepath.Join(t.TempDir(), "redis.password")
	if err := os.WriteFile(password, []byte("fictif\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := nation.New(t, nation.Binary, nation.Section("redis", "urls: ["+server.URL()+"]\nuser: rpn\npassword_file: "+password),
		nation.Section("policies", "replay: enforce"))
	chu := n.Etablissement()
	await.Until(t, "the limits are shared", func() bool { return !strings.Contains(strings.Join(n.Ready().Degraded, " "), "limits") })
	first := chu.Send(roc.IDB, "bleue").WantAnswer()
	chu.Send(roc.IDB, "bleue", again(first)).WantRefused(roc.Replayed)
	for _, kind := range []string{"rpn:annuaire:3:k:*", "rpn:rejeu:*", "rpn:{limites}:depot"} {
		await.Until(t, "Redis has "+kind, func() bool { return strings.Contains(server.Cli("keys", kind), "rpn:") })
	}
	n.Restart()
	chu.Send(roc.IDB, "bleue").WantAnswer()

	client, err := redis.Open(redis.Options{URLs: []string{server.URL()}, User: "rpn", Password: "fictif"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	keys, err := secret.Parse([]byte(strings.Repeat("ab", 32)))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	storage := acme.New(acme.Options{Client: client, Keys: keys, Name: "essai"})
	storage.Lock(ctx, "a")
	storage.Store(ctx, "a/b", []byte("x"))
	storage.Load(ctx, "a/b")
	storage.List(ctx, "a", true)
	storage.Stat(ctx, "a/b")
	storage.Delete(ctx, "a/b")
	storage.Unlock(ctx, "a")

	// Every command that the client knows: one that is new is missing here.
	heard := make(chan string, 1)
	go client.Subscribe(ctx, "annuaire:3", func() { client.Publish(ctx, "annuaire:3", "x") }, func(text string) {
		select {
		case heard <- text:
		default:
		}
	})
	await.Next(t, "what is published is heard", heard)
	script := redis.NewScript("return 1")
	asked := map[string]error{"Subscribe": nil, "Publish": nil}
	_, asked["Get"] = client.Get(ctx, "essai:a")
	_, asked["GetAtMost"] = client.GetAtMost(ctx, "essai:a", 3)
	asked["Set"] = client.Set(ctx, "essai:a", []byte("x"), time.Second)
	_, asked["SetNew"] = client.SetNew(ctx, "essai:b", []byte("x"), time.Second)
	asked["Del"] = client.Del(ctx, "essai:a")
	asked["HSet"] = client.HSet(ctx, "essai:h", "f", []byte("x"))
	_, asked["HGet"] = client.HGet(ctx, "essai:h", "f")
	_, asked["HKeys"] = client.HKeys(ctx, "essai:h")
	_, asked["HGetAll"] = client.HGetAll(ctx, "essai:h")
	asked["HDel"] = client.HDel(ctx, "essai:h", "f")
	_, asked["Run"] = client.Run(ctx, script, "essai:a")
	_, asked["RunOnSlot"] = client.RunOnSlot(ctx, redis.NewScript("return {}"), []string{"{essai}:a"})
	asked["ZAdd"] = client.ZAdd(ctx, "essai:z", "m", 1)
	_, asked["ZCard"] = client.ZCard(ctx, "essai:z")
	_, asked["ZPopMin"] = client.ZPopMin(ctx, "essai:z", 1)
	_, _, asked["Memory"] = client.Memory(ctx)
	for m := range reflect.TypeFor[*redis.Client]().Methods() {
		if _, is := asked[m.Name]; !is && !slices.Contains([]string{"Close", "Health", "Within"}, m.Name) {
			t.Errorf("%s is not asked with the rights of the manual", m.Name)
		}
	}
	for name, err := range asked {
		if err != nil && err != redis.ErrNone {
			t.Errorf("%s: %v", name, err)
		}
	}
	if log := strings.TrimSpace(server.Cli("ACL", "LOG")); log != "" {
		t.Errorf("with the rights of the manual Redis denied:\n%s", log)
	}
}
