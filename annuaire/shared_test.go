package annuaire

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/piano-roc/rpn/internal/roc"
)

func init() { redis.SetLogger(mute{}) }

type mute struct{}

func (mute) Printf(context.Context, string, ...any) {}

// A redisServer is a real redis-server on a free port.
type redisServer struct {
	t    *testing.T
	dir  string
	port string
	args []string
	cmd  *exec.Cmd
}

func startRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	r := &redisServer{t: t, dir: t.TempDir(), port: freePort(t), args: args}
	r.start()
	t.Cleanup(r.kill)
	return r
}

func freePort(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		if len(port) == 5 && port < "55000" { // a Cluster's bus is 10 000 above
			return port
		}
	}
}

func (r *redisServer) addr() string { return "127.0.0.1:" + r.port }

func (r *redisServer) start() {
	r.t.Helper()
	args := append([]string{"--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "redis.log"}, r.args...)
	r.run(exec.Command("redis-server", args...))
}

func (r *redisServer) run(cmd *exec.Cmd) {
	r.t.Helper()
	r.cmd = cmd
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("redis-server: %v (make deps installs it)", err)
	}
	eventually(r.t, "redis-server answers on "+r.port, func() bool {
		c, err := net.Dial("tcp", r.addr())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (r *redisServer) kill() {
	if r.cmd != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.cmd = nil
	}
}

func (r *redisServer) cli(args ...string) string {
	r.t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", r.port}, args...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("redis-cli %v: %v: %s", args, err, out)
	}
	return string(out)
}

func eventually(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > time.Minute {
			t.Fatalf("it never came that %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

// A road is a TCP proxy that a test closes: what passes stays stuck, and what
// is new does too.
type road struct {
	net.Listener
	to     string
	mu     sync.Mutex
	open   *sync.Cond
	closed bool
	conns  []net.Conn
	end    chan struct{}
}

func newRoad(t *testing.T, to string) *road {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{Listener: l, to: to, end: make(chan struct{})}
	r.open = sync.NewCond(&r.mu)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", r.to)
			if err != nil {
				c.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, c, far)
			r.mu.Unlock()
			wg.Go(func() { r.carry(far, c) })
			wg.Go(func() { r.carry(c, far) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.cut(false)
		r.mu.Lock()
		for _, c := range r.conns {
			c.Close()
		}
		r.mu.Unlock()
		wg.Wait()
	})
	return r
}

func (r *road) carry(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		r.mu.Lock()
		for r.closed {
			r.open.Wait()
		}
		r.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				from.Close()
			}
			return
		}
	}
}

// cut parts the two sides, or joins them again.
func (r *road) cut(yes bool) {
	r.mu.Lock()
	r.closed = yes
	r.mu.Unlock()
	r.open.Broadcast()
}

// An instance is one RPN's directory on a Redis.
type instance struct {
	d      *Directory
	shared *Shared
	asks   *oracle
}

func newInstance(t *testing.T, o redis.UniversalOptions, a *oracle, change ...func(*Options)) *instance {
	t.Helper()
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.MaxRetries, o.DialerRetries = time.Second, time.Second, time.Second, 1, 1
	o.ContextTimeoutEnabled = true
	client := redis.NewUniversalClient(&o)
	t.Cleanup(func() { client.Close() })
	i := &instance{asks: a, shared: NewShared(SharedOptions{Client: client, Tags: fakeTags("ours"), MaxAge: time.Hour, Timeout: time.Second, Probe: 50 * time.Millisecond})}
	options := Options{Asker: a, TTL: time.Hour, MaxAge: 24 * time.Hour, Shared: i.shared, Believe: believes, Chance: half}
	for _, f := range change {
		f(&options)
	}
	i.d = New(options)
	t.Cleanup(i.d.Close)
	return i
}

func (i *instance) lost() bool  { return !i.shared.Health().OK }
func (i *instance) there() bool { h := i.shared.Health(); return h.OK && !h.LastSuccess.IsZero() }

// host is where an instance sends the messages of a key.
func (i *instance) host(t *testing.T, n int) string {
	t.Helper()
	e, err := i.d.Find(t.Context(), keyNumber(n))
	if err != nil {
		t.Fatal(err)
	}
	return e.Nom
}

// village answers with a host that a test changes.
type mover struct {
	oracle
	mu   sync.Mutex
	host string
}

func newMover(host string) *mover {
	m := &mover{host: host}
	m.answer = func(_ context.Context, k roc.Key) (Entry, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return believes(roc.NewContent([]byte(signed+m.host)), k, time.Now())
	}
	return m
}

func (m *mover) move(host string) {
	m.mu.Lock()
	m.host = host
	m.mu.Unlock()
}

// shares is what every Redis does for two instances that see it.
func shares(t *testing.T, a, b *instance, m *mover, n int) {
	t.Helper()
	eventually(t, "both see Redis", func() bool { return a.there() && b.there() })
	// A command may meet a Redis that still settles, or be late on a busy
	// machine: the instance then asks the annuaire itself, as it should. So
	// there are three tries, each with a key of its own.
	var first string
	for try := 0; ; try++ {
		before := m.asked.Load()
		first = a.host(t, n)
		a.d.asks1(t) // until it is in Redis
		h := b.host(t, n)
		if h == first && m.asked.Load() == before+1 {
			break
		}
		if try == 2 {
			t.Errorf("the second has %s after %d questions; want the answer of the first", h, m.asked.Load()-before)
			break
		}
		n += 1000
	}
	m.move("moved-" + first)
	a.d.known.change(keyAt(n), func(m *memory) { m.until = 0 })
	a.host(t, n) // stale: it is asked again beside, and told to the others
	took := eventually(t, "the other instance has what is new", func() bool { return b.host(t, n) == "moved-"+first })
	t.Logf("news took %v", took)
	m.move(first)
}

// asks1 waits until no question is in flight and what was learnt is published.
func (d *Directory) asks1(t *testing.T) {
	t.Helper()
	eventually(t, "the answer is published", func() bool {
		h := d.o.Shared.Health()
		return h.OK && !h.LastSuccess.IsZero() && d.Stats().InFlight == 0 && d.published.Load() >= d.asked.Load()
	})
}

func TestOneInstancesAnswerServesAll(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	m := newMover("amc.example")
	o := redis.UniversalOptions{Addrs: []string{r.addr()}}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	shares(t, a, b, m, 1)
	if s := b.d.Stats(); s.FromShared < 1 || s.Disbelieved != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Whoever can write in Redis can make the instances ask again, and no more.
func TestRedisIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	m := newMover("amc.example")
	o := redis.UniversalOptions{Addrs: []string{r.addr()}}
	client := redis.NewClient(&redis.Options{Addr: r.addr(), MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	defer client.Close()
	record := func(tags fakeTags, of, at int, raw string, age time.Duration) []byte {
		s := NewShared(SharedOptions{Tags: tags})
		var p packed
		p.pack(keyAt(of))
		d := Disk{o: DiskOptions{Tags: tags}}
		b := d.record(&p, time.Now().Add(-age), []byte(raw))[diskHead+len(p):]
		value := append(append([]byte(nil), b[:8]...), append([]byte{b[9]}, b[10:]...)...)
		if _, _, err := s.opened(&p, value); err != nil {
			t.Fatalf("the test writes what is no record: %v", err)
		}
		return value
	}
	for i, c := range []struct {
		name  string
		value []byte
	}{
		{"no record", []byte("x")},
		{"empty", nil},
		{"unsigned, tagged by an instance", record("ours", 1, 1, "evil.example", 0)},
		{"signed, tagged by nobody", record("theirs", 2, 2, signed+"other.example", 0)},
		{"the signed answer to another key", record("ours", 99, 3, signed+"other.example", 0)},
		{"older than its age limit", record("ours", 4, 4, signed+"old.example", 25*time.Hour)},
	} {
		n := i - 1
		var p packed
		p.pack(keyAt(n + 100))
		if i >= 2 {
			p.pack(keyAt(n))
		}
		if err := client.Set(t.Context(), sharedKey(&p), c.value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		k, _ := p.unpack()
		b := newInstance(t, o, &m.oracle)
		eventually(t, "Redis is seen", b.there)
		before := m.asked.Load()
		if e, err := b.d.Find(t.Context(), k); err != nil || e.Nom != "amc.example" || m.asked.Load() != before+1 {
			t.Errorf("%s: found %q, %v after %d questions; want the annuaire's own answer", c.name, e.Nom, err, m.asked.Load()-before)
		}
	}
	// What is published is no more believed: what is not sealed by us is not
	// even heard, and who could seal would have it asked again, no more.
	b := newInstance(t, o, &m.oracle)
	eventually(t, "Redis is seen", b.there)
	heard := client.Subscribe(t.Context(), sharedChannel)
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil { // subscribed
		t.Fatal(err)
	}
	b.host(t, 50)
	var p packed
	p.pack(keyAt(50))
	news, err := heard.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text, err := base64.RawStdEncoding.DecodeString(news.Payload); err != nil || bytes.Contains(text, p[:12]) {
		t.Errorf("the key is published in clear, or not as base64: %v", err)
	}
	if k, _, ok := b.shared.readNews(news.Payload); !ok || k != *keyAt(50) {
		t.Error("what is published is not heard by an instance")
	}
	for _, text := range []string{"", "x", strings.Repeat("A", 1000), base64.RawStdEncoding.EncodeToString(make([]byte, 48)), base64.RawStdEncoding.EncodeToString(append(p[:], make([]byte, 16)...)),
		base64.RawStdEncoding.EncodeToString(fakeTags("theirs").Seal(newsPurpose, append(p[:], make([]byte, digestSize)...)))} {
		if _, _, ok := b.shared.readNews(text); ok {
			t.Errorf("%.60q is heard", text)
		}
		if err := client.Publish(t.Context(), sharedChannel, text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{base64.RawStdEncoding.EncodeToString(fakeTags("ours").Seal(newsPurpose, append(p[:], make([]byte, digestSize)...)))} {
		if err := client.Publish(t.Context(), sharedChannel, text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the published doubt has it asked again", func() bool { return b.d.Stats().Renewals > 0 })
	if h := b.host(t, 50); h != "amc.example" {
		t.Errorf("a published lie leads to %s", h)
	}
}

func TestARedisThatIsKilledLeavesEachAlone(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	m := newMover("amc.example")
	o := redis.UniversalOptions{Addrs: []string{r.addr()}}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	shares(t, a, b, m, 1)
	r.kill()
	eventually(t, "both know that it is lost", func() bool { return a.lost() && b.lost() })
	before := m.asked.Load()
	for _, i := range []*instance{a, b} {
		i.host(t, 1)
		i.host(t, 2)
		if h := i.shared.Health(); h.LastError == nil || h.Losses == 0 {
			t.Errorf("health %+v: the loss is told", h)
		}
	}
	if n := m.asked.Load() - before; n != 2 {
		t.Errorf("%d questions, want each instance to ask its own", n)
	}
	r.start()
	shares(t, a, b, m, 3)
}

// A Redis that neither answers nor refuses: the wait is bounded, then there is
// none.
func TestAPartition(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	road := newRoad(t, r.addr())
	m := newMover("amc.example")
	a := newInstance(t, redis.UniversalOptions{Addrs: []string{road.Addr().String()}}, &m.oracle)
	b := newInstance(t, redis.UniversalOptions{Addrs: []string{r.addr()}}, &m.oracle)
	shares(t, a, b, m, 1)
	road.cut(true)
	before := m.asked.Load()
	if h := a.host(t, 2); h != "amc.example" || m.asked.Load() != before+1 {
		t.Errorf("behind the partition: %s", h)
	}
	eventually(t, "the partition is known on one side", func() bool { return a.lost() && b.there() })
	before = m.asked.Load()
	a.host(t, 3)
	if m.asked.Load() != before+1 {
		t.Error("behind the partition the annuaire was not asked")
	}
	// What is new meanwhile is missed, and made up for once the road is open.
	m.move("new.example")
	b.d.Doubt(0)
	b.host(t, 1)
	eventually(t, "the other side has the news", func() bool { return b.host(t, 1) == "new.example" })
	if h := a.host(t, 1); h != "moved-amc.example" {
		t.Errorf("behind the partition: %s", h)
	}
	m.move("amc.example")
	road.cut(false)
	shares(t, a, b, m, 4)
}

func TestASentinelPairFailsOver(t *testing.T) {
	t.Parallel()
	master := startRedis(t)
	replica := startRedis(t, "--replicaof", "127.0.0.1", master.port)
	eventually(t, "the replica follows", func() bool { return strings.Contains(replica.cli("info", "replication"), "master_link_status:up") })
	var sentinels []string
	for range 2 {
		s := &redisServer{t: t, dir: t.TempDir(), port: freePort(t)}
		file := filepath.Join(s.dir, "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nlogfile sentinel.log\nsentinel monitor rpn 127.0.0.1 %s 1\nsentinel down-after-milliseconds rpn 500\nsentinel failover-timeout rpn 3000\n", s.port, s.dir, master.port)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.run(exec.Command("redis-server", file, "--sentinel"))
		t.Cleanup(s.kill)
		sentinels = append(sentinels, s.addr())
		eventually(t, "the sentinel knows the replica", func() bool { return strings.Contains(s.cli("sentinel", "replicas", "rpn"), replica.port) })
	}
	eventually(t, "the sentinels know one another", func() bool {
		out, _ := exec.Command("redis-cli", "-p", strings.TrimPrefix(sentinels[0], "127.0.0.1:"), "sentinel", "sentinels", "rpn").Output()
		return strings.Contains(string(out), strings.TrimPrefix(sentinels[1], "127.0.0.1:"))
	})
	m := newMover("amc.example")
	o := redis.UniversalOptions{Addrs: sentinels, MasterName: "rpn"}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	shares(t, a, b, m, 1)
	master.kill()
	eventually(t, "the loss is known", a.lost)
	if h := a.host(t, 2); h != "amc.example" {
		t.Errorf("while nobody is master: %s", h)
	}
	eventually(t, "the replica is master", func() bool { return strings.Contains(replica.cli("role"), "master") })
	eventually(t, "the instances follow", func() bool { return a.there() && b.there() })
	shares(t, a, b, m, 3)
}

func TestAClusterOfThree(t *testing.T) {
	t.Parallel()
	var nodes []*redisServer
	var addrs []string
	for range 3 {
		n := startRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf")
		nodes, addrs = append(nodes, n), append(addrs, n.addr())
	}
	out, err := exec.Command("redis-cli", append([]string{"--cluster-yes", "--cluster", "create"}, addrs...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole := func() bool {
		for _, n := range nodes {
			if !strings.Contains(n.cli("cluster", "info"), "cluster_state:ok") {
				return false
			}
		}
		return true
	}
	eventually(t, "the Cluster is whole", whole)
	m := newMover("amc.example")
	o := redis.UniversalOptions{Addrs: addrs, IsClusterMode: true}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	for n := range 8 { // over the three nodes
		shares(t, a, b, m, n)
	}
	nodes[1].kill()
	eventually(t, "the loss is known", func() bool { return a.lost() && b.lost() })
	before := m.asked.Load()
	for n := range 4 {
		a.host(t, 20+n)
	}
	if m.asked.Load() != before+4 {
		t.Error("without a whole Cluster the annuaire was not asked")
	}
	nodes[1].start()
	eventually(t, "the Cluster is whole again", whole)
	eventually(t, "the instances are back", func() bool { return a.there() && b.there() })
	shares(t, a, b, m, 40)
}
