package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/secret"
)

// rights are those that docs/operating/annuaire.md and certificates.md give, and
// no other.
var rights = strings.Fields("ACL SETUSER rpn on >fictif resetkeys ~rpn:* resetchannels &rpn:annuaire:1 -@all +get +set +del +publish +subscribe +unsubscribe +ping +hello +auth +client +select +cluster +hget +hset +hdel +hkeys +hgetall +pexpire +eval +evalsha")

func startRedis(t *testing.T) *redis.Client {
	t.Helper()
	s := redistest.Start(t)
	s.Cli(rights...)
	return open(t, redis.Options{URLs: []string{s.URL()}, User: "rpn", Password: "fictif"})
}

func open(t *testing.T, o redis.Options) *redis.Client {
	t.Helper()
	o.Timeout = 5 * time.Second
	c, err := redis.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ring(t *testing.T, digit string) *secret.Ring {
	t.Helper()
	r, err := secret.Parse([]byte(strings.Repeat(digit, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever certmagic's own storage answers, this one answers.
func TestItAnswersAsTheFolderDoes(t *testing.T) {
	t.Parallel()
	asTheFolder(t, startRedis(t))
}

// Nothing asks for two keys at once, which a Cluster refuses.
func TestItAnswersAsTheFolderDoesOnACluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	for _, n := range nodes {
		n.Cli(rights...)
	}
	c := open(t, redis.Options{URLs: redistest.URLs(nodes), Cluster: true, User: "rpn", Password: "fictif"})
	asTheFolder(t, c)
	ctx := t.Context()
	for _, name := range []string{"server/ecdsa", "server/rsa", "client/ecdsa", "client/rsa"} { // on several nodes
		one, two := New(Options{Client: c, Keys: ring(t, "a"), Name: name, Lease: time.Second}), New(Options{Client: c, Keys: ring(t, "a"), Name: name})
		if err := one.Lock(ctx, "issue"); err != nil {
			t.Fatal(err)
		}
		if ok, err := two.TryLock(ctx, "issue"); ok || err != nil {
			t.Errorf("%s: a lock that is held: %t, %v", name, ok, err)
		}
		if err := one.Unlock(ctx, "issue"); err != nil {
			t.Error(err)
		}
		if ok, err := two.TryLock(ctx, "issue"); !ok || err != nil {
			t.Errorf("%s: a lock that was released: %t, %v", name, ok, err)
		}
		if err := two.Unlock(ctx, "issue"); err != nil {
			t.Error(err)
		}
	}
}

func asTheFolder(t *testing.T, client *redis.Client) {
	t.Helper()
	ctx := t.Context()
	folder := &certmagic.FileStorage{Path: t.TempDir()}
	ours := New(Options{Client: client, Keys: ring(t, "a"), Name: "server/ecdsa"})
	both := []certmagic.Storage{folder, ours}
	for _, key := range []string{"certificates/ca/rpn.test/rpn.test.crt", "certificates/ca/rpn.test/rpn.test.key", "certificates/ca/other.test/other.test.crt", "acme/ca/users/default", "certificates2/x", "top"} {
		for _, s := range both {
			if err := s.Store(ctx, key, []byte("first")); err != nil {
				t.Fatal(err)
			}
			if err := s.Store(ctx, key, []byte("value of "+key)); err != nil {
				t.Fatal(err)
			}
		}
	}
	look := func(s certmagic.Storage) string {
		var b strings.Builder
		for _, key := range []string{"", "certificates", "certificates/ca", "certificates/ca/rpn.test", "certificates/ca/rpn.test/rpn.test.crt", "certificates/c", "acme", "absent", "top", "certificates2"} {
			fmt.Fprintf(&b, "%q exists %t\n", key, s.Exists(ctx, key))
			info, err := s.Stat(ctx, key)
			if info.IsTerminal { // the size of a folder is the file system's own
				fmt.Fprintf(&b, "  stat %s %d, %t\n", info.Key, info.Size, !info.Modified.IsZero())
			}
			fmt.Fprintf(&b, "  stat terminal %t, absent %t\n", info.IsTerminal, errors.Is(err, fs.ErrNotExist))
			value, err := s.Load(ctx, key)
			fmt.Fprintf(&b, "  load %q, fails %t\n", value, err != nil)
			for _, recursive := range []bool{false, true} {
				list, err := s.List(ctx, key, recursive)
				slices.Sort(list)
				fmt.Fprintf(&b, "  list %t: %q, absent %t\n", recursive, list, errors.Is(err, fs.ErrNotExist))
			}
		}
		return b.String()
	}
	same := func(when string) {
		t.Helper()
		if want, got := look(folder), look(ours); got != want {
			t.Errorf("%s: the folder says\n%s\nand Redis\n%s", when, want, got)
		}
	}
	same("filled")
	for _, key := range []string{"certificates/ca/rpn.test", "top", "absent"} {
		for _, s := range both {
			if err := s.Delete(ctx, key); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
		same("without " + key)
	}
	if _, err := ours.Load(ctx, "absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load of nothing: %v", err)
	}
}

// Redis learns nothing, and what it changes is not taken.
func TestRedisIsNotTrusted(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), startRedis(t)
	s := New(Options{Client: c, Keys: ring(t, "a"), Name: "server/ecdsa"})
	key := []byte("-----BEGIN EC PRIVATE KEY-----")
	for _, k := range []string{"a.key", "b.key"} {
		if err := s.Store(ctx, k, key); err != nil {
			t.Fatal(err)
		}
	}
	all, err := c.HGetAll(ctx, s.hash())
	if err != nil || len(all) != 2 {
		t.Fatalf("%d, %v", len(all), err)
	}
	for k, v := range all {
		if bytes.Contains([]byte(v), []byte("PRIVATE")) {
			t.Errorf("%s is in clear", k)
		}
	}
	for _, other := range []*Storage{
		New(Options{Client: c, Keys: ring(t, "b"), Name: "server/ecdsa"}),
	} {
		if got, err := other.Load(ctx, "a.key"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("with another secret: %q, %v", got, err)
		}
	}
	for what, put := range map[string]string{"of another key": all["b.key"], "cut": all["a.key"][:20], "empty": "", "in clear": string(key)} {
		if err := c.HSet(ctx, s.hash(), "a.key", []byte(put)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Load(ctx, "a.key"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a value %s: %q, %v", what, got, err)
		}
	}
	// nor a value of the other kind of certificate
	rsa := New(Options{Client: c, Keys: ring(t, "a"), Name: "server/rsa"})
	if err := c.HSet(ctx, rsa.hash(), "b.key", []byte(all["b.key"])); err != nil {
		t.Fatal(err)
	}
	if got, err := rsa.Load(ctx, "b.key"); err == nil {
		t.Errorf("a value of another name: %q", got)
	}
}

// A key of the ring is changed as its file says: what the old one sealed is
// readable without it, once an instance has started with the new one on top.
func TestTheSecretCanBeChanged(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), startRedis(t)
	of := func(digits ...string) *Storage {
		var lines []string
		for _, d := range digits {
			lines = append(lines, strings.Repeat(d, 64))
		}
		keys, err := secret.Parse([]byte(strings.Join(lines, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		return New(Options{Client: c, Keys: keys, Name: "server/ecdsa"})
	}
	for _, k := range []string{"account", "certificate"} {
		if err := of("a").Store(ctx, k, []byte("value of "+k)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.HSet(ctx, of("a").hash(), "rubbish", []byte("rubbish")); err != nil {
		t.Fatal(err)
	}
	if _, err := of("b", "a").Load(ctx, "certificate"); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"account", "certificate"} {
		if v, err := of("b").Load(ctx, k); err != nil || string(v) != "value of "+k {
			t.Errorf("%s: %q, %v", k, v, err)
		}
	}
	if v, _ := c.HGet(ctx, of("a").hash(), "rubbish"); string(v) != "rubbish" {
		t.Errorf("what is not ours was changed: %q", v)
	}
}

func TestALockIsOneInstances(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), startRedis(t)
	const lease = time.Second
	instance := func() *Storage {
		return New(Options{Client: c, Keys: ring(t, "a"), Name: "server/ecdsa", Lease: lease})
	}
	one, two := instance(), instance()
	if err := one.Lock(ctx, "issue"); err != nil {
		t.Fatal(err)
	}
	// it is renewed: past its lease, still nobody else gets it
	time.Sleep(2 * lease)
	if ok, err := two.TryLock(ctx, "issue"); ok || err != nil {
		t.Errorf("a lock that is held: %t, %v", ok, err)
	}
	if ok, err := two.TryLock(ctx, "another"); !ok || err != nil {
		t.Errorf("another lock: %t, %v", ok, err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := two.Lock(over, "issue"); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was ended: %v", err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := two.Lock(ctx, "issue"); err != nil {
			t.Error(err)
		}
	})
	if err := one.Unlock(ctx, "issue"); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	if err := one.Unlock(ctx, "issue"); err == nil {
		t.Error("a lock of another was released")
	}
	// its holder dies: it is free once the lease is over
	two.held["issue"].stop()
	if err := one.Lock(ctx, "issue"); err != nil {
		t.Fatal(err)
	}
	if err := two.Unlock(ctx, "issue"); err != nil { // it wakes up again
		t.Error(err)
	}
	if ok, _ := instance().TryLock(ctx, "issue"); ok {
		t.Error("who lost the lock released that of the next")
	}
	for _, s := range []*Storage{one, two} {
		for name := range s.held {
			s.Unlock(ctx, name)
		}
	}
}
