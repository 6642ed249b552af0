package annuaire

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
)

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
	redis  *redis.Client
	shared *Shared
	asks   *oracle
}

func newInstance(t *testing.T, o redis.Options, a *oracle, change ...func(*Options)) *instance {
	t.Helper()
	o.Timeout, o.Probe = time.Second, 50*time.Millisecond
	client, err := redis.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	i := &instance{asks: a, redis: client, shared: NewShared(SharedOptions{Client: client, Tags: fakeTags("ours"), MaxAge: time.Hour})}
	options := Options{Asker: a, TTL: time.Hour, MaxAge: 24 * time.Hour, Shared: i.shared, VerifyStored: verifies, Chance: half}
	for _, f := range change {
		f(&options)
	}
	i.d = directoryOf(options)
	t.Cleanup(i.d.Close)
	return i
}

func (i *instance) lost() bool  { return !i.redis.Health().OK }
func (i *instance) there() bool { h := i.redis.Health(); return h.OK && h.Subscribed > 0 }

// host is where an instance sends the messages of a key.
func (i *instance) host(t *testing.T, n int) string {
	t.Helper()
	e, err := i.d.Find(t.Context(), hospital, keyNumber(n))
	if err != nil {
		t.Fatal(err)
	}
	return e.Nom
}

// A mover answers with a host that a test changes.
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
		return verifies(roc.NewContent([]byte(signed+m.host)), k, time.Now())
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
	await.Until(t, "both see Redis", func() bool { return a.there() && b.there() })
	// A command may meet a Redis that still settles, or be late on a busy
	// machine: the instance then asks the annuaire itself, as it should. So
	// there are three tries, each with a key of its own.
	var first string
	for try := 0; ; try++ {
		before := m.asked.Load()
		first = a.host(t, n)
		a.d.asks1(t) // until it is in Redis
		await.Until(t, "the other has heard of it", func() bool { return b.d.sequences.get(routeOf(keyAt(n))) != nil })
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
	a.d.known.change(keyAt(n), func(m *memory) { m.until = 1 })
	a.host(t, n) // stale: it is asked again in the background, and published to the others
	took := await.Until(t, "the other instance has what is new", func() bool { return b.host(t, n) == "moved-"+first })
	t.Logf("news took %v", took)
	a.d.asks1(t) // what the news brought about must not bring the answer of after
	b.d.asks1(t)
	m.move(first)
}

// asks1 waits until no question is in flight and what was learned is published.
func (d *Directory) asks1(t *testing.T) {
	t.Helper()
	await.Until(t, "the answer is published", func() bool {
		h := d.o.Shared.o.Client.Health()
		return h.OK && !h.LastSuccess.IsZero() && d.Stats().InFlight == 0 && d.published.Load() >= d.asked.Load()
	})
}

func TestOneInstancesAnswerServesAll(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	m := newMover("amc.example")
	o := redis.Options{URLs: []string{r.URL()}}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	shares(t, a, b, m, 1)
	if s := b.d.Stats(); s.FromShared < 1 || s.Disbelieved != 0 {
		t.Errorf("stats %+v", s)
	}
}

func sharedKeyAt(n int) string {
	var p packed
	p.pack(keyAt(n))
	name := p.hidden()
	return sharedKey(&name)
}

// Whoever can write in Redis can make the instances ask again, and no more.
func TestRedisIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	m := newMover("amc.example")
	o := redis.Options{URLs: []string{r.URL()}}
	client, err := redis.Open(redis.Options{URLs: []string{r.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	record := func(tags fakeTags, of, at int, raw string, age time.Duration) map[string][]byte {
		kept := &inMemory{values: map[string][]byte{}}
		s := NewShared(SharedOptions{Tags: tags, remote: kept})
		e, _ := verifies(roc.NewContent([]byte(signed+"x")), keyNumber(of), time.Now())
		says := factsOf(&e).digest()
		says[0], says[1] = byte(of), byte(at)
		s.put(t.Context(), keyNumber(of), time.Now().Add(-age), 1<<60, says, roc.NewContent([]byte(raw)))
		moved := kept.values[sharedKeyAt(of)]
		delete(kept.values, sharedKeyAt(of))
		kept.values[sharedKeyAt(at)] = moved
		if of == at {
			if _, err := s.get(t.Context(), keyNumber(of)); err != nil {
				t.Fatalf("the test writes what is no record: %v", err)
			}
		}
		return kept.values
	}
	named := func(n int, value []byte) map[string][]byte {
		return map[string][]byte{sharedKeyAt(n): value}
	}
	// Another instance is there, which tells what it knows: else nothing of
	// Redis is believed, nor even read. It says often that it is there: who missed
	// its list asks for it again.
	live := newInstance(t, o, &m.oracle, func(o *Options) { o.Shared.o.Beat = 50 * time.Millisecond })
	await.Until(t, "Redis is seen", live.there)
	for n := range 6 {
		live.host(t, n)
	}
	live.d.asks1(t)
	for n, c := range []struct {
		name   string
		values map[string][]byte
	}{
		{"no record", named(0, []byte("x"))},
		{"larger than any", named(1, bytes.Repeat([]byte("x"), 10<<20))},
		{"unsigned, tagged by an instance", record("ours", 2, 2, "evil.example", 0)},
		{"signed, tagged by nobody", record("theirs", 3, 3, signed+"other.example", 0)},
		{"the signed answer to another key", record("ours", 99, 4, signed+"other.example", 0)},
		{"older than its age limit", record("ours", 5, 5, signed+"old.example", 25*time.Hour)},
	} {
		for name, value := range c.values {
			if err := client.Within(time.Minute).Set(t.Context(), name, value, 0); err != nil {
				t.Fatal(err)
			}
		}
		b := newInstance(t, o, &m.oracle)
		await.Until(t, "Redis is seen", b.there)
		await.Until(t, "the list of the other is heard", func() bool { return b.d.sequences.get(routeOf(keyAt(n))) != nil })
		before := m.asked.Load()
		if e, err := b.d.Find(t.Context(), hospital, keyNumber(n)); err != nil || e.Nom != "amc.example" || m.asked.Load() != before+1 {
			t.Errorf("%s: found %q, %v after %d questions; want the annuaire's own answer", c.name, e.Nom, err, m.asked.Load()-before)
		}
		b.d.Close()
	}
	// What is published is sealed: no key stands there, and what is not sealed by
	// an instance is not heard.
	b := newInstance(t, o, &m.oracle)
	await.Until(t, "Redis is seen", b.there)
	var heard tap
	joined := make(chan struct{}, 16)
	listening, over := context.WithCancel(t.Context())
	defer over()
	go client.Subscribe(listening, sharedChannel, func() { joined <- struct{}{} }, heard.hear)
	<-joined
	b.host(t, 50)
	var p packed
	p.pack(keyAt(50))
	await.Until(t, "its news is heard", func() bool { return len(heard.since(t, 0, kindNews)) > 0 })
	if text, err := base64.RawStdEncoding.DecodeString(heard.since(t, 0, kindNews)[0]); err != nil || bytes.Contains(text, p[:12]) {
		t.Errorf("the key is published in clear, or not as base64: %v", err)
	}
	was := b.d.sequences.get(routeOf(keyAt(50))).seq.Load()
	lie := append(binary.BigEndian.AppendUint64(append([]byte{kindNews}, "stranger"...), 1), p[:]...)
	lie = binary.BigEndian.AppendUint64(append(lie, make([]byte, digestSize)...), 1<<60)
	for _, text := range []string{"", "x", strings.Repeat("A", 1000), strings.Repeat("A", 200<<10), base64.RawStdEncoding.EncodeToString(make([]byte, 48)), base64.RawStdEncoding.EncodeToString(lie),
		base64.RawStdEncoding.EncodeToString(fakeTags("theirs").Seal(newsPurpose, lie))} {
		b.shared.hear(b.d, text)
		if err := client.Publish(t.Context(), sharedChannel, text); err != nil {
			t.Fatal(err)
		}
	}
	if seq := b.d.sequences.get(routeOf(keyAt(50))).seq.Load(); seq != was {
		t.Errorf("a stranger moved the sequence from %d to %d", was, seq)
	}
	if h := b.host(t, 50); h != "amc.example" {
		t.Errorf("a published lie leads to %s", h)
	}
}

func TestARedisThatIsKilledLeavesEachAlone(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	m := newMover("amc.example")
	o := redis.Options{URLs: []string{r.URL()}}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	shares(t, a, b, m, 1)
	r.Stop()
	await.Until(t, "both know that it is lost", func() bool { return a.lost() && b.lost() })
	before := m.asked.Load()
	for _, i := range []*instance{a, b} {
		i.host(t, 1)
		i.host(t, 2)
		if h := i.redis.Health(); h.LastError == nil || h.Losses == 0 {
			t.Errorf("health %+v: the loss is told", h)
		}
	}
	if n := m.asked.Load() - before; n != 2 {
		t.Errorf("%d questions, want each instance to ask its own", n)
	}
	r.Restart()
	shares(t, a, b, m, 3)
}

// A Redis that neither answers nor refuses: the wait is bounded, then there is
// none.
func TestAPartition(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	road := newRoad(t, r.Addr())
	m := newMover("amc.example")
	a := newInstance(t, redis.Options{URLs: []string{"redis://" + road.Addr().String()}}, &m.oracle)
	b := newInstance(t, redis.Options{URLs: []string{r.URL()}}, &m.oracle)
	shares(t, a, b, m, 1)
	road.cut(true)
	before := m.asked.Load()
	if h := a.host(t, 2); h != "amc.example" || m.asked.Load() != before+1 {
		t.Errorf("behind the partition: %s", h)
	}
	await.Until(t, "the partition is known on one side", func() bool { return a.lost() && b.there() })
	before = m.asked.Load()
	a.host(t, 3)
	if m.asked.Load() != before+1 {
		t.Error("behind the partition the annuaire was not asked")
	}
	// What is new meanwhile is missed, and made up for once the road is open.
	m.move("new.example")
	b.d.RevalidateAll(0)
	b.host(t, 1)
	await.Until(t, "the other side has the news", func() bool { return b.host(t, 1) == "new.example" })
	if h := a.host(t, 1); h != "moved-amc.example" {
		t.Errorf("behind the partition: %s", h)
	}
	m.move("amc.example")
	road.cut(false)
	shares(t, a, b, m, 4)
}

func TestASentinelPairFailsOver(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := master.Replica()
	sentinels := redistest.Sentinels(t, 2, "rpn", master, replica, "")
	m := newMover("amc.example")
	o := redis.Options{URLs: redistest.URLs(sentinels), SentinelMaster: "rpn"}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	shares(t, a, b, m, 1)
	master.Stop()
	await.Until(t, "the loss is known", a.lost)
	if h := a.host(t, 2); h != "amc.example" {
		t.Errorf("while nobody is master: %s", h)
	}
	await.Until(t, "the replica is master", func() bool { return replica.Is("master") })
	await.Until(t, "the instances follow", func() bool { return a.there() && b.there() })
	shares(t, a, b, m, 3)
}

func TestAClusterOfThree(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	m := newMover("amc.example")
	o := redis.Options{URLs: redistest.URLs(nodes), Cluster: true}
	a, b := newInstance(t, o, &m.oracle), newInstance(t, o, &m.oracle)
	for n := range 8 { // over the three nodes
		shares(t, a, b, m, n)
	}
	nodes[1].Stop()
	await.Until(t, "the loss is known", func() bool { return a.lost() && b.lost() })
	before := m.asked.Load()
	for n := range 4 {
		a.host(t, 20+n)
	}
	if m.asked.Load() != before+4 {
		t.Error("without a whole Cluster the annuaire was not asked")
	}
	nodes[1].Restart()
	await.Until(t, "the Cluster is whole again", func() bool { return redistest.Whole(nodes) })
	await.Until(t, "the instances are back", func() bool { return a.there() && b.there() })
	shares(t, a, b, m, 40)
}

// What is kept in Redis is bounded over all instances: the oldest keys and
// answers go, and nothing that is not ours.
func TestWhatIsKeptInRedisIsBounded(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	client, err := redis.Open(redis.Options{URLs: []string{r.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := t.Context()
	s := NewShared(SharedOptions{Client: client, Tags: fakeTags("ours"), MaxAge: time.Hour})
	for n := range 40 {
		says := digest{byte(n), 1}
		s.put(ctx, keyNumber(n), time.Now(), 1, says, roc.NewContent([]byte("x")))
		client.ZAdd(ctx, keyIndex, sharedKeyAt(n), float64(n)) // the higher, the newer
	}
	client.Set(ctx, "acme:a", []byte("x"), 0)
	client.ZAdd(ctx, keyIndex, "acme:a", -1)
	if err := s.o.remote.Trim(ctx, keyIndex, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.o.remote.Trim(ctx, answerIndex, 5); err != nil {
		t.Fatal(err)
	}
	count := func(pattern string) int { return strings.Count(r.Cli("keys", pattern), "rpn:") }
	if keys, answers := count("rpn:annuaire:3:k:*"), count("rpn:annuaire:3:a:*"); keys != 10 || answers != 5 {
		t.Errorf("%d keys and %d answers are left, want 10 and 5", keys, answers)
	}
	if _, err := client.Get(ctx, sharedKeyAt(39)); err != nil {
		t.Errorf("the newest is gone: %v", err)
	}
	if _, err := client.Get(ctx, "acme:a"); err != nil {
		t.Errorf("what is not ours is gone: %v", err)
	}
}

// At the start the log says when Redis has no bound, or one that evicts.
func TestAnUnfitMemoryOfRedisIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		said bool
	}{
		"no bound":            {nil, true},
		"a bound that evicts": {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"}, true},
		"as the manual says":  {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := redistest.Start(t, c.args...)
			client, err := redis.Open(redis.Options{URLs: []string{r.URL()}})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var b bytes.Buffer
			s := NewShared(SharedOptions{Client: client, Tags: fakeTags("ours"), Log: slog.New(slog.NewTextHandler(&b, nil))})
			await.Until(t, "Redis answers", func() bool { return s.advise(t.Context()) })
			if strings.Contains(b.String(), "event=redis_maxmemory") != c.said {
				t.Errorf("the log says %q", b.String())
			}
		})
	}
}
