package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/redis/redistest"
)

func open(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *Client) there() bool { h := c.Health(); return h.OK && !h.LastSuccess.IsZero() }
func (c *Client) gone() bool  { return !c.Health().OK }

// A log that several goroutines write.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) events(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), "event="+name)
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// works is what every Redis does. On a busy machine a question may take longer
// than the client waits: all of it is asked again. A wrong answer is not.
func works(t *testing.T, c *Client) {
	t.Helper()
	ctx := t.Context()
	await.Until(t, "Redis serves", func() bool { return answersRightly(t, c) == nil })
	hearing, over := context.WithCancel(ctx)
	joined, heard := make(chan struct{}, 16), make(chan string, 16)
	var listening sync.WaitGroup
	listening.Go(func() {
		c.Subscribe(hearing, "channel", func() { joined <- struct{}{} }, func(s string) { heard <- s })
	})
	<-joined
	if err := c.Publish(ctx, "channel", "news"); err != nil {
		t.Error(err)
	}
	if s := <-heard; s != "news" {
		t.Errorf("heard %q", s)
	}
	over()
	listening.Wait()
}

// answersRightly returns the first failure to answer.
func answersRightly(t *testing.T, c *Client) error {
	t.Helper()
	ctx := t.Context()
	if err := c.Set(ctx, "w", []byte("v"), time.Minute); err != nil {
		return err
	}
	v, err := c.Get(ctx, "w")
	if err != nil {
		return err
	}
	if string(v) != "v" {
		t.Errorf("get: %q", v)
	}
	if _, err := c.Get(ctx, "absent"); err != ErrNone {
		if err == nil {
			t.Error("got what was never set")
		}
		return err
	}
	if err := c.Del(ctx, "new"); err != nil {
		return err
	}
	for i, want := range []bool{true, false} {
		ok, err := c.SetNew(ctx, "new", []byte("1"), time.Minute)
		if err != nil {
			return err
		}
		if ok != want {
			t.Errorf("set new, time %d: %t", i, ok)
		}
	}
	n, err := c.Run(ctx, NewScript(`return redis.call("exists",KEYS[1])`), "new")
	if err == nil && n != 1 {
		t.Errorf("script: %d", n)
	}
	return err
}

func TestEachKeyHasThePrefix(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, Options{URLs: []string{s.URL()}})
	works(t, c)
	for _, k := range []string{"h"} {
		if err := c.HSet(t.Context(), k, "f", []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	for key := range strings.FieldsSeq(s.Cli("keys", "*")) {
		if !strings.HasPrefix(key, Prefix) {
			t.Errorf("a key without the prefix: %s", key)
		}
	}
}

// A counter counts the connections to a Redis, and the bytes that come to it.
type counter struct {
	net.Listener
	to           string
	conns, bytes atomic.Int64
}

func count(t *testing.T, to string) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{Listener: l, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			c.conns.Add(1)
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go func() { io.Copy(out, countReader{in, &c.bytes}); out.Close(); in.Close() }()
			go func() { io.Copy(in, out); out.Close(); in.Close() }()
		}
	}()
	return c
}

type countReader struct {
	io.Reader
	n *atomic.Int64
}

func (r countReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// Once it is lost, Redis is not asked by each message: of a thousand commands
// nothing reaches it, and one line is logged.
func TestALostRedisIsNotAskedByEachMessage(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"it refuses", "it hangs"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			road := count(t, s.Addr())
			var l log
			// no probe but the first, and those after a loss
			c := open(t, Options{URLs: []string{"redis://" + road.Addr().String()}, Timeout: 100 * time.Millisecond, Probe: time.Hour, Log: l.logger()})
			await.Until(t, "Redis is there", c.there)
			if how == "it hangs" {
				s.Hang()
				defer s.Resume()
			} else {
				s.Stop()
			}
			if err := c.Set(t.Context(), "k", nil, time.Minute); err == nil || err == ErrLost {
				t.Fatalf("the first command after the loss: %v", err)
			}
			await.Until(t, "the probe after the loss is over", func() bool { return l.events("redis_lost") == 1 && len(c.lost) == 0 })
			time.Sleep(1500 * time.Millisecond) // a probe takes a second at most
			conns, sent := road.conns.Load(), road.bytes.Load()
			for range 1000 {
				if err := c.Set(t.Context(), "k", nil, time.Minute); err != ErrLost {
					t.Fatalf("a command while it is lost: %v", err)
				}
			}
			if road.conns.Load() != conns || road.bytes.Load() != sent {
				t.Errorf("%d connections and %d bytes for commands while it is lost", road.conns.Load()-conns, road.bytes.Load()-sent)
			}
			if n := l.events("redis_lost"); n != 1 {
				t.Errorf("%d lines say that it is lost, want 1", n)
			}
			if h := c.Health(); h.OK || h.Losses != 1 || h.LastError == nil || h.FailedAt.IsZero() {
				t.Errorf("health %+v", h)
			}
		})
	}
}

func TestARedisThatComesBackIsUsedAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var l log
	c := open(t, Options{URLs: []string{s.URL()}, Probe: 50 * time.Millisecond, Log: l.logger()})
	works(t, c)
	joined := make(chan struct{}, 16)
	hearing, over := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	listening.Go(func() { c.Subscribe(hearing, "channel", func() { joined <- struct{}{} }, func(string) {}) })
	<-joined
	s.Stop()
	await.Until(t, "the loss is known", c.gone)
	s.Restart()
	await.Until(t, "it is there", c.there)
	<-joined // what was published meanwhile was missed: the hearer is told
	works(t, c)
	over()
	listening.Wait()
	if l.events("redis_lost") != 1 || l.events("redis_found") != 2 {
		t.Errorf("%d losses, %d returns", l.events("redis_lost"), l.events("redis_found"))
	}
}

func TestARedisThatIsNotThereYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Stop()
	c := open(t, Options{URLs: []string{s.URL()}, Probe: 50 * time.Millisecond})
	if err := c.Set(t.Context(), "k", nil, time.Minute); err != ErrLost {
		t.Errorf("a command to a Redis that was never there: %v", err)
	}
	s.Restart()
	await.Until(t, "it is there", c.there)
	works(t, c)
}

// Whatever the words, an answer that says that this is no master, or that it
// is not ready, is a loss; a command that is refused is none.
func TestTheAnswersThatSayThatRedisIsLost(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for text, want := range map[string]verdict{
		"READONLY You can't write against a read only replica.":                                                          lost,
		"ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a read only replica.": lost,
		"ERR You can't write against a read-only replica":                                                                lost,
		"LOADING Redis is loading the dataset in memory":                                                                 lost,
		"ERR proxy: upstream said LOADING":                                                                               lost,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.":                               lost,
		"CLUSTERDOWN The cluster is down":                                                                                lost,
		"NOREPLICAS Not enough good replicas to write.":                                                                  lost,
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.":               lost,
		"OOM command not allowed when used memory > 'maxmemory'.":                                                        lost,
		"ERR max number of clients reached":                                                                              lost,
		"NOAUTH Authentication required.":                                                                                lost,
		"WRONGPASS invalid username-password pair or user is disabled.":                                                  lost,
		"NOPERM this user has no permissions to run the 'hset' command":                                                  refuses,
		"WRONGTYPE Operation against a key holding the wrong kind of value":                                              refuses,
		"ERR unknown command 'FOO'":                                                                                      refuses,
	} {
		if got := verdictOf(ctx, said(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
		if got := verdictOf(ctx, fmt.Errorf("wrapped: %w", said(text))); got != want {
			t.Errorf("%q, wrapped: %d, want %d", text, got, want)
		}
	}
	if got := verdictOf(ctx, redis.Nil); got != serves {
		t.Errorf("nothing there: %d", got)
	}
	left, leave := context.WithCancel(ctx)
	leave()
	if got := verdictOf(left, context.Canceled); got != silent {
		t.Errorf("a caller that left: %d", got)
	}
	if got := verdictOf(ctx, context.DeadlineExceeded); got != lost {
		t.Errorf("no answer in time: %d", got)
	}
}

// said is an answer of Redis that is an error.
type said string

func (s said) Error() string { return string(s) }
func (s said) RedisError()   {}

// A command that the rights of our user refuse is no loss of Redis, and is
// logged once a minute, not by each message.
func TestARefusedCommandIsNoLossAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Cli(strings.Fields("ACL SETUSER rpn on >fictif resetkeys ~rpn:* resetchannels -@all +ping +hello +auth +client +get +set")...)
	var l log
	c := open(t, Options{URLs: []string{s.URL()}, User: "rpn", Password: "fictif", Log: l.logger()})
	await.Until(t, "it is there", c.there)
	for range 100 {
		if err := c.HSet(t.Context(), "h", "f", nil); err == nil || err == ErrLost {
			t.Fatalf("what is not allowed: %v", err)
		}
	}
	if h := c.Health(); !h.OK || h.Losses != 0 || l.events("redis_refused") != 1 {
		t.Errorf("health %+v, %d lines", h, l.events("redis_refused"))
	}
}

// A user who may not write makes Redis of no use: that is a loss.
func TestAUserWhoMayNotWriteIsToldAsALoss(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Cli(strings.Fields("ACL SETUSER rpn on >fictif resetkeys ~other:* resetchannels -@all +ping +hello +auth +client +get +set")...)
	c := open(t, Options{URLs: []string{s.URL()}, User: "rpn", Password: "fictif"})
	await.Until(t, "the loss is known", c.gone)
	if h := c.Health(); h.LastError == nil || !strings.Contains(h.LastError.Error(), "NOPERM") {
		t.Errorf("health %+v", h)
	}
}

// The case of an operator: Sentinels and servers with one password, and a
// master that dies. (How soon the new one is found, at most, is held by
// TestTheNewMasterIsFoundWithinFiveSeconds, on a clock that no load moves.)
func TestSentinelsWithAPasswordAndAFailover(t *testing.T) {
	t.Parallel()
	password := []string{"--requirepass", "fictif", "--masterauth", "fictif"}
	master := redistest.Start(t, password...).WithPassword("fictif")
	replica := master.Replica(password...)
	sentinels := redistest.Sentinels(t, 2, "maitre", master, replica, "fictif")
	for name, o := range map[string]Options{
		"one password for all":          {Password: "fictif"},
		"a user whom no Sentinel knows": {User: "default", Password: "fictif", SentinelPassword: "fictif"},
	} {
		o.URLs, o.SentinelMaster = redistest.URLs(sentinels), "maitre"
		c := open(t, o)
		await.Until(t, name+": Redis is found", c.there)
	}
	c := open(t, Options{URLs: redistest.URLs(sentinels), SentinelMaster: "maitre", Password: "fictif"})
	works(t, c)
	master.Stop()
	await.Until(t, "the loss is known", c.gone)
	await.Until(t, "the replica is master", func() bool { return replica.Is("master") })
	took := await.Until(t, "the new master is found", c.there)
	t.Logf("the new master was found %v after its promotion", took)
	works(t, c)
}

// Sentinels without a password refuse one: they are spoken to without.
func TestSentinelsWithoutAPasswordBeforeServersWithOne(t *testing.T) {
	t.Parallel()
	password := []string{"--requirepass", "fictif", "--masterauth", "fictif"}
	master := redistest.Start(t, password...).WithPassword("fictif")
	replica := master.Replica(password...)
	sentinels := redistest.Sentinels(t, 1, "maitre", master, replica, "")
	works(t, open(t, Options{URLs: redistest.URLs(sentinels), SentinelMaster: "maitre", Password: "fictif"}))
	wrong := open(t, Options{URLs: redistest.URLs(sentinels), SentinelMaster: "another", Password: "fictif"})
	await.Until(t, "a name that no Sentinel knows is a loss", wrong.gone)
	if h := wrong.Health(); !strings.Contains(h.LastError.Error(), `"another"`) {
		t.Errorf("it says %v", h.LastError)
	}
}

// A master that becomes a replica answers reads, and refuses writes: its
// connections are left, and the one that is master now is found.
func TestAMasterThatIsDemotedIsLeft(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := master.Replica()
	sentinels := redistest.Sentinels(t, 2, "maitre", master, replica, "")
	c := open(t, Options{URLs: redistest.URLs(sentinels), SentinelMaster: "maitre"})
	works(t, c)
	if out := sentinels[0].Cli("sentinel", "failover", "maitre"); !strings.Contains(out, "OK") {
		t.Fatalf("sentinel failover: %s", out)
	}
	await.Until(t, "the roles are changed", func() bool {
		return replica.Is("master") && master.Is("slave")
	})
	took := await.Until(t, "it writes to the new master", func() bool {
		return c.Set(t.Context(), "after", nil, time.Minute) == nil && strings.Contains(replica.Cli("exists", Prefix+"after"), "1")
	})
	t.Logf("written to the new master %v after the change", took)
	works(t, c)
}

// A single Redis that is made a replica under our connections: a loss, and no
// loss any more once it is a master again.
func TestReadOnlyIsALoss(t *testing.T) {
	t.Parallel()
	other, s := redistest.Start(t), redistest.Start(t)
	c := open(t, Options{URLs: []string{s.URL()}, Probe: 50 * time.Millisecond})
	works(t, c)
	s.Cli("replicaof", "127.0.0.1", other.Addr()[strings.LastIndex(other.Addr(), ":")+1:])
	await.Until(t, "the loss is known", c.gone)
	if err := c.Set(t.Context(), "k", nil, time.Minute); !errors.Is(err, ErrLost) {
		t.Errorf("a write: %v", err)
	}
	s.Cli("replicaof", "no", "one")
	await.Until(t, "it is master again", c.there)
	works(t, c)
}

// A Cluster that has lost a third of its slots is lost, though two nodes serve.
func TestAClusterIsThereWhenAllItsMastersAre(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	c := open(t, Options{URLs: redistest.URLs(nodes), Cluster: true, Probe: 50 * time.Millisecond})
	works(t, c)
	for i := range 64 { // over the three nodes
		if err := c.Set(t.Context(), fmt.Sprint("k", i), nil, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	nodes[2].Stop()
	await.Until(t, "the loss is known", c.gone)
	nodes[2].Restart()
	await.Until(t, "the Cluster is whole", func() bool { return redistest.Whole(nodes) })
	await.Until(t, "it is there", c.there)
	works(t, c)
}

func TestWhatIsNoURLIsAnError(t *testing.T) {
	t.Parallel()
	for _, urls := range [][]string{nil, {""}, {"redis://"}, {"redis://h:6379/zero"}, {"://"}} {
		if c, err := Open(Options{URLs: urls}); err == nil {
			c.Close()
			t.Errorf("%q is taken", urls)
		}
	}
}

// mute is a server that takes connections and answers nothing, as a machine does
// that hangs. It counts those that are open.
func mute(t *testing.T, connected *atomic.Int32) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	t.Cleanup(served.Wait)
	t.Cleanup(func() { l.Close() })
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				connected.Add(1)
				io.Copy(io.Discard, c)
				connected.Add(-1)
				c.Close()
			})
		}
	})
	return "redis://" + l.Addr().String()
}

// One that is mute is not waited for before the next is asked.
func TestAllSentinelsAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	var connected atomic.Int32
	open(t, Options{URLs: []string{mute(t, &connected), mute(t, &connected), mute(t, &connected)}, SentinelMaster: "maitre"})
	await.Until(t, "three mute Sentinels are asked at once", func() bool { return connected.Load() == 3 })
}

// A machine that hangs takes its Sentinel along with the master.
func TestMuteSentinelsKeepNobodyFromTheMaster(t *testing.T) {
	t.Parallel()
	var c atomic.Int32
	master := redistest.Start(t)
	sentinels := redistest.Sentinels(t, 1, "maitre", master, master.Replica(), "")
	works(t, open(t, Options{URLs: append([]string{mute(t, &c), mute(t, &c), mute(t, &c)}, redistest.URLs(sentinels)...), SentinelMaster: "maitre"}))
}

// A slowRedis is the worst case that the bounds allow: the former master, mute,
// or the promoted one, nearly as slow as a ping may be.
type slowRedis struct {
	redis.UniversalClient
	promoted bool
	takes    time.Duration
}

func (r *slowRedis) Set(ctx context.Context, _ string, _ any, _ time.Duration) *redis.StatusCmd {
	cmd := redis.NewStatusCmd(ctx)
	if r.promoted {
		time.Sleep(r.takes)
		return cmd
	}
	<-ctx.Done()
	cmd.SetErr(ctx.Err())
	return cmd
}

func (*slowRedis) Close() error { return nil }

// Whatever the instant of the promotion within a probe or between two, and
// however mute Sentinels and Redis were, the new master is in use 5 s later. The
// clock is that of the bubble: nothing here depends on the machine.
func TestTheNewMasterIsFoundWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	var o Options
	o.setDefaults()
	if most := o.foundWithin(); most > 5*time.Second {
		t.Fatalf("the bounds of the probes come to %v", most)
	}
	for phase := time.Duration(0); phase < 5*time.Second; phase += 99 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			promoted := time.Now().Add(10*time.Second + phase)
			s := newShared(o)
			s.open = func(ctx context.Context) (redis.UniversalClient, error) {
				if at, bounded := ctx.Deadline(); !bounded || time.Until(at) > sentinelsWithin {
					t.Error("the Sentinels are asked without their bound")
				}
				promotedNow := !time.Now().Before(promoted)    // else they name the former master
				time.Sleep(sentinelsWithin - time.Millisecond) // one of them answers, at last
				return &slowRedis{promoted: promotedNow, takes: o.pingWithin() - time.Millisecond}, nil
			}
			s.current = newGeneration(&slowRedis{})
			ctx, end := context.WithCancel(t.Context())
			s.done.Go(func() { s.watch(ctx) })
			time.Sleep(time.Until(promoted) + 5*time.Second)
			synctest.Wait()
			if c := (&Client{shared: s}); !c.there() {
				t.Errorf("promoted %v after the loss began: not found 5 s later", phase)
			}
			end()
			s.done.Wait()
			s.current.close()
		})
	}
}
