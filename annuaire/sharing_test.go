package annuaire

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// in2026 is the clock of a bubble, whose time begins in 2000.
func in2026() time.Time { return time.Now().AddDate(26, 0, 0) }

// A team is some instances, one Redis in this process and one annuaire that says
// a host of each insurer; "": unknown.
type team struct {
	redis *inMemory
	all   []*Directory
	asked atomic.Int64
	host  map[roc.NumeroAMC]string
}

func (m *team) Ask(_ context.Context, k roc.Key) (Entry, error) {
	m.asked.Add(1)
	if m.host[k.AMC] == "" {
		return Entry{}, roc.Refuse(roc.UnknownAMC, "01")
	}
	return verifies(roc.NewContent([]byte(signed+m.host[k.AMC])), k, in2026())
}

func (m *team) join(change ...func(*Options)) *Directory {
	o := Options{Asker: m, TTL: 24 * time.Hour, MaxAge: 72 * time.Hour, NegativeTTL: 24 * time.Hour, VerifyStored: verifies, Chance: half, Now: in2026,
		Shared: NewShared(SharedOptions{Tags: fakeTags("ours"), MaxAge: time.Hour, remote: m.redis})}
	for _, f := range change {
		f(&o)
	}
	d := directoryOf(o)
	m.all = append(m.all, d)
	synctest.Wait()
	return d
}

func (m *team) close() {
	for _, d := range m.all {
		d.Close()
	}
}

func (m *team) hostOf(d *Directory, k roc.Key) string {
	e, err := d.Find(context.Background(), hospital, k)
	if err != nil {
		return roc.RefusalOf(err).Reason.Meaning().Code
	}
	synctest.Wait()
	return e.Nom
}

// Whatever moves, is withdrawn or published, whatever Redis loses or says twice:
// the annuaire gets no more questions than changes times instances, beside the
// first question of each and those that a test has it ask again.
func TestNoSequenceOfChangesIsAStorm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{}}
			lossy := r.IntN(3) == 0
			m.redis.lose = func() bool { return lossy && rand.IntN(4) == 0 }
			m.redis.double = func() bool { return rand.IntN(3) == 0 }
			n := 1 + r.IntN(4)
			const keys = 5
			for i := range keys {
				m.host[keyNumber(i).AMC] = "first.example"
			}
			for range n {
				m.join()
			}
			defer m.close()
			changes, expiries := 0, 0
			for step := range 80 {
				d, k := m.all[r.IntN(n)], keyNumber(r.IntN(keys))
				switch r.IntN(5) {
				case 0:
					m.host[k.AMC] = fmt.Sprintf("h%d.example", step)
					changes++
				case 1:
					if m.host[k.AMC] != "" {
						m.host[k.AMC] = ""
						changes++
					}
				case 2: // its time is over on this instance
					d.known.change(&k, func(m *memory) { m.until = min(m.until, 1) })
					d.unknown.change(&k, func(until *time.Time) { *until = time.Time{} })
					expiries++
				default:
					m.hostOf(d, k)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
			}
			if asked, most := int(m.asked.Load()), keys*n+expiries+changes*n; asked > most {
				t.Errorf("seed %d: %d questions for %d changes and %d expiries on %d instances, want %d at most", seed, asked, changes, expiries, n, most)
			}
		})
	}
}

// The case of the drill: two instances, one withdrawn insurer, one message. One
// question each, and "unknown" holds for its minute.
func TestAWithdrawnInsurerIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "amc.example"}}
		short := func(o *Options) { o.NegativeTTL = time.Minute }
		a, b := m.join(short), m.join(short)
		defer m.close()
		k := keyNumber(1)
		m.hostOf(a, k)
		m.hostOf(b, k)
		m.host[k.AMC] = ""
		a.RevalidateAll(0)
		time.Sleep(time.Second)
		before := m.asked.Load()
		m.hostOf(a, k)
		time.Sleep(50 * time.Second)
		for _, d := range m.all {
			if h := m.hostOf(d, k); h != "RPN301" {
				t.Errorf("found %s, want unknown-amc", h)
			}
		}
		if n := m.asked.Load() - before; n != 1 {
			t.Errorf("%d questions, want 1 for both instances", n)
		}
		// It is published again: who learns it clears what the other remembers.
		time.Sleep(20 * time.Second)
		m.hostOf(b, k) // unknown once more, and remembered for a minute
		m.host[k.AMC] = "back.example"
		a.unknown.change(&k, func(until *time.Time) { *until = time.Time{} })
		m.hostOf(a, k)
		if h := m.hostOf(b, k); h != "back.example" {
			t.Errorf("the other instance says %s", h)
		}
	})
}

// What publish/subscribe loses is caught up within a minute.
func TestWhatRedisLosesIsCaughtUpWithinAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "old.example"}}
		a, b := m.join(), m.join()
		defer m.close()
		k := keyNumber(1)
		m.hostOf(a, k)
		m.hostOf(b, k)
		m.host[k.AMC] = "new.example"
		m.redis.loses(true)
		a.RevalidateAll(0)
		time.Sleep(2 * time.Second)
		m.hostOf(a, k)
		time.Sleep(2 * time.Second)
		if h := m.hostOf(b, k); h != "old.example" {
			t.Fatalf("the other instance says %s: the message was to be lost", h)
		}
		m.redis.loses(false)
		time.Sleep(50 * time.Second)
		if h := m.hostOf(b, k); h != "new.example" {
			t.Errorf("a minute later the other instance says %s", h)
		}
	})
}

// Somebody puts an old state of Redis back, whole: nobody goes back to it, also
// an instance that starts with nothing.
func TestARollbackOfRedisIsRefused(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "old.example"}}
			a := m.join()
			k := keyNumber(1)
			m.hostOf(a, k)
			before := m.redis.snapshot()
			m.host[k.AMC] = "new.example"
			a.RevalidateAll(0)
			time.Sleep(2 * time.Second)
			m.hostOf(a, k)
			time.Sleep(2 * time.Second)
			if h := m.hostOf(a, k); h != "new.example" {
				t.Fatalf("the first says %s", h)
			}
			if alone {
				a.Close()
			}
			m.redis.restore(before)
			b := m.join()
			defer b.Close()
			if !alone {
				defer a.Close()
			}
			asked := m.asked.Load()
			if h := m.hostOf(b, k); h != "new.example" || m.asked.Load() != asked+1 {
				t.Errorf("alone %v: an instance that starts empty says %s after %d questions", alone, h, m.asked.Load()-asked)
			}
			if s := b.Stats(); !alone && s.RolledBack != 1 {
				t.Errorf("stats %+v: what was rolled back is counted", s)
			}
		})
	}
}

// An old message that somebody plays again changes nothing.
func TestAMessagePlayedAgainChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "first.example"}}
		var mu sync.Mutex // a says its news while b says its own
		var heard []string
		m.redis.ears = map[int]*ear{99: {func() {}, func(text string) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, text)
		}}}
		a, b := m.join(), m.join()
		defer m.close()
		k := keyNumber(1)
		m.hostOf(a, k)
		m.hostOf(b, k)
		synctest.Wait()
		asked := m.asked.Load()
		renewed := b.Stats().Renewals
		mu.Lock()
		played := slices.Clone(heard) // what is said from here on is no news of before
		mu.Unlock()
		for _, text := range played {
			b.o.Shared.hear(b, text)
			a.o.Shared.hear(a, text)
		}
		synctest.Wait()
		if m.asked.Load() != asked || b.Stats().Renewals != renewed {
			t.Errorf("%d questions and %d renewals because of what was said before", m.asked.Load()-asked, b.Stats().Renewals-renewed)
		}
	})
}

// A tap keeps what is published.
type tap struct {
	mu    sync.Mutex
	texts []string
}

func (p *tap) listen(r *inMemory) { r.ears = map[int]*ear{99: {func() {}, p.hear}} }

func (p *tap) hear(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts = append(p.texts, text)
}

// since returns the messages from the nth on, of one kind; 0: of every kind.
func (p *tap) since(t *testing.T, n int, kind byte) (of []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.texts[n:] {
		sealed, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := fakeTags("ours").Open(newsPurpose, sealed)
		if err != nil {
			t.Fatal(err)
		}
		if kind == 0 || b[0] == kind {
			of = append(of, text)
		}
	}
	return of
}

// What an instance that is gone said before the last changes of a route is heard
// as old, by one that never met it too: it asks nothing again, and does not make
// an insurer that was withdrawn unknown no more.
func TestAnOldWordOfAnInstanceThatIsGoneChangesNothing(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"third.example", ""} {
		synctest.Test(t, func(t *testing.T) {
			m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "first.example"}}
			var said tap
			said.listen(m.redis)
			a, b := m.join(), m.join()
			defer m.close()
			k := keyNumber(1)
			m.hostOf(a, k)
			m.hostOf(b, k)
			for _, host := range []string{"second.example", last} {
				m.host[k.AMC] = host
				b.RevalidateAll(0)
				time.Sleep(2 * time.Second)
				m.hostOf(b, k)
				time.Sleep(2 * time.Second)
			}
			a.Close()
			c := m.join()
			want := m.hostOf(c, k)
			asked := m.asked.Load()
			for _, text := range said.since(t, 0, kindNews) {
				c.o.Shared.hear(c, text)
				synctest.Wait()
				if h := m.hostOf(c, k); h != want {
					t.Errorf("it says %s, want %s", h, want)
				}
			}
			if n := m.asked.Load() - asked; n != 0 || c.Stats().Renewals != 0 {
				t.Errorf("last %q: %d questions and %d renewals because of what was said before", last, n, c.Stats().Renewals)
			}
		})
	}
}

// Who is alone answers nobody, and a message that is played again, or one's own,
// starts no greeting: what was heard stays heard.
func TestNobodyGreetsWithoutNeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "first.example"}}
		var said tap
		said.listen(m.redis)
		defer m.close()
		a, k := m.join(), keyNumber(1)
		for _, host := range []string{"first.example", "second.example", "third.example"} {
			m.host[k.AMC] = host
			a.RevalidateAll(0)
			time.Sleep(2 * time.Second)
			m.hostOf(a, k)
			time.Sleep(time.Minute)
		}
		if hellos, lists, news := len(said.since(t, 0, kindHello)), len(said.since(t, 0, kindList)), said.since(t, 0, kindNews); hellos != 1 || lists != 0 || len(news) != 3 {
			t.Errorf("alone it says hello %d times, answers %d times and has %d news; want 1, 0 and 3", hellos, lists, len(news))
		}
		b := m.join()
		time.Sleep(time.Minute)
		said.mu.Lock()
		before := len(said.texts)
		said.mu.Unlock()
		for _, text := range slices.Backward(said.since(t, 0, kindNews)) { // the oldest last
			b.o.Shared.hear(b, text)
		}
		time.Sleep(time.Minute)
		if hellos := len(said.since(t, before, kindHello)); hellos != 0 {
			t.Errorf("after news were played again it says hello %d times", hellos)
		}
	})
}

// A key that was put off while the clock was ahead is asked about once it is back.
func TestAKeyThatWasPutOffWhileTheClockWasAheadIsAskedAbout(t *testing.T) {
	t.Parallel()
	c := newClock()
	host, down := "a.example", false
	o := &oracle{answer: func(_ context.Context, k roc.Key) (Entry, error) {
		if down {
			return Entry{}, silent("told to")
		}
		return verifies(roc.NewContent([]byte(signed+host)), k, c.now())
	}}
	d := newDirectory(t, Options{Asker: o, MaxAge: 72 * time.Hour, Now: c.now, Chance: half})
	find(t, d, keyNumber(1))
	const jump = 5 * 24 * time.Hour
	c.advance(jump)
	down = true
	if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Fatalf("five days later: %v", err)
	}
	c.advance(2*time.Hour - jump)
	host, down = "b.example", false
	d.health.note(c.now(), nil, 0.5) // another key was answered
	if e, err := find(t, d, keyNumber(1)); err != nil || e.Nom != "b.example" {
		t.Errorf("back again it is sent to %q, %v", e.Nom, err)
	}
}

// When one key of a route is learned to have moved, the others are asked again
// before they serve.
func TestTheOtherKeysOfARouteThatMovedAreAskedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "old.example"}}
		d := m.join(func(o *Options) { o.Shared = nil })
		defer m.close()
		k, quiet := keyNumber(1), keyNumber(1)
		quiet.CSR = "QUIET"
		m.hostOf(d, k)
		m.hostOf(d, quiet)
		m.host[k.AMC] = "new.example"
		d.known.change(&k, func(m *memory) { m.until = 1 })
		m.hostOf(d, k) // stale: served, and revalidated in the background
		if h := m.hostOf(d, quiet); h != "new.example" {
			t.Errorf("another key of the route is sent to %s", h)
		}
	})
}

// A change that several keys of a route meet moves its sequence once: each is
// asked about once.
func TestAChangeThatAllKeysOfARouteMeetIsOneChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "old.example"}}
		d := m.join()
		defer m.close()
		keys := make([]roc.Key, 3)
		for i := range keys {
			keys[i] = keyNumber(1)
			keys[i].CSR = roc.CSR(fmt.Sprintf("CSR%d", i))
			m.hostOf(d, keys[i])
		}
		m.host[keys[0].AMC] = "new.example"
		d.RevalidateAll(0)
		time.Sleep(time.Second)
		before := m.asked.Load()
		m.hostOf(d, keys[0]) // stale: served, and revalidated in the background
		for range 2 {
			for _, k := range keys {
				time.Sleep(time.Second)
				if h := m.hostOf(d, k); h != "new.example" {
					t.Errorf("it is sent to %s", h)
				}
			}
		}
		if n := m.asked.Load() - before; n != 3 {
			t.Errorf("%d questions for one change that 3 keys meet", n)
		}
	})
}

// A key that nobody had asked about leads where the route did not: the others
// are asked again before they serve, and what they say is then counted.
func TestANewAddressOfARouteHasItsOtherKeysAskedFirst(t *testing.T) {
	t.Parallel()
	v := newVillage(t, nil)
	v.ask(t, 1)
	v.host[keyNumber(1).AMC] = "new1.example"
	cold := keyNumber(1)
	cold.CSR = "COLD"
	if _, err := v.d.Find(t.Context(), hospital, cold); err != nil {
		t.Fatal(err)
	}
	if h := v.now(t, 1); h != "new1.example" {
		t.Errorf("the key that was fresh leads to %s", h)
	}
}

// A quiet key never goes where the annuaire has not been for more than an hour,
// while the annuaire answers; while it does not, the last answer serves.
func TestFreshStaleAndOutageAreThreeBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "old.example"}}
		var down atomic.Bool
		hang := &oracle{answer: func(ctx context.Context, k roc.Key) (Entry, error) {
			if down.Load() {
				<-ctx.Done()
				return Entry{}, silent("it hangs: %w", ctx.Err())
			}
			return m.Ask(ctx, k)
		}}
		d := m.join(func(o *Options) { o.Shared, o.Asker, o.TTL, o.Stale = nil, hang, 0, 0 })
		defer m.close()
		k := keyNumber(1)
		for _, step := range []struct {
			after time.Duration
			to    string
			want  string
		}{
			{0, "old.example", "old.example"},
			{44 * time.Minute, "new.example", "old.example"}, // stale, and asked again in the background
			{time.Second, "new.example", "new.example"},
			{61 * time.Minute, "third.example", "third.example"}, // older than ttl and stale: asked first
		} {
			m.host[k.AMC] = step.to
			time.Sleep(step.after)
			if h := m.hostOf(d, k); h != step.want {
				t.Errorf("after %v it is sent to %s, want %s", step.after, h, step.want)
			}
		}
		down.Store(true)
		time.Sleep(2 * time.Hour)
		var waited []string
		for range 6 {
			start := time.Now()
			if h := m.hostOf(d, k); h != "third.example" {
				t.Errorf("while the annuaire hangs: %s", h)
			}
			waited = append(waited, time.Since(start).String())
			time.Sleep(3 * time.Second)
		}
		if got := strings.Join(waited, " "); got != "2.5s 0s 0s 0s 0s 0s" {
			t.Errorf("the messages waited %s: only the first waits, half the time-out", got)
		}
		time.Sleep(70 * time.Hour)
		if h := m.hostOf(d, k); h != "RPN304" {
			t.Errorf("beyond max_age: %s", h)
		}
	})
}

// A clock that jumps five days forwards and back leaves nothing behind: neither
// an answer that is fresh for five days, nor an "unknown" or a rest that lasts.
func TestAClockThatJumpsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	const jump = 5 * 24 * time.Hour
	c := newClock()
	host, gone := "a.example", false
	o := &oracle{answer: func(_ context.Context, k roc.Key) (Entry, error) {
		if gone {
			return Entry{}, roc.Refuse(roc.UnknownAMC, "01")
		}
		return verifies(roc.NewContent([]byte(signed+host)), k, c.now())
	}}
	d := newDirectory(t, Options{Asker: o, MaxAge: 72 * time.Hour, Now: c.now, Chance: half, VerifyStored: verifies, NewKeys: 2,
		Changes: ChangeOptions{Share: 0.5, Least: 1}})
	found := func(n int) string {
		e, err := d.Find(t.Context(), hospital, keyNumber(n))
		if err != nil {
			return roc.RefusalOf(err).Reason.Meaning().Code
		}
		return e.Nom
	}
	found(1)
	c.advance(jump)
	host = "b.example"
	if h := found(1); h != "b.example" {
		t.Errorf("five days later: %s", h)
	}
	gone = true
	if h := found(2); h != "RPN301" {
		t.Errorf("unknown: %s", h)
	}
	gone = false
	for range 4 {
		d.health.note(c.now(), silent("told to"), 0.5)
	}
	c.advance(-jump)
	host = "c.example"
	d.health.now = Health{} // the annuaire answers again; the rest stays
	if d.health.resting(c.now()) {
		t.Error("it rests until five days from now")
	}
	if h := found(1); h != "c.example" {
		t.Errorf("back again, key 1 is at %s: it was fresh for five days", h)
	}
	if h := found(2); h != "c.example" {
		t.Errorf("back again, key 2 is %s: it was unknown for five days", h)
	}
	// The moves of the days to come do not count, and a budget is not stuck.
	l := newChangeLimiter(ChangeOptions{Share: 0.1, Least: 1})
	l.moved[routeOf(keyAt(7))] = move{At: c.now().Add(jump)}
	l.pruneLocked(c.now())
	if len(l.moved) != 0 {
		t.Error("a move of the future counts")
	}
	b := budgets{perHour: 1, by: map[roc.StructureID]*budget{}}
	if !b.take(hospital, c.now().Add(jump)) || b.take(hospital, c.now()) || !b.take(hospital, c.now().Add(time.Hour)) {
		t.Error("a budget does not follow a clock that went back")
	}
	if (decisions{decided{"1", "x"}: {Act: Approve, At: c.now().Add(jump)}}).approved("1", "x", c.now()) {
		t.Error("an approval of the future holds")
	}
}

// An establishment that invents keys pushes nothing out: beyond its budget they
// are asked, answered and not stored; after a restart in an outage every
// legitimate key serves.
func TestAFloodByOneEstablishmentCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	file := t.TempDir() + "/annuaire.log"
	o := signedBy(c, "amc.example")
	disk := openDisk(t, DiskOptions{File: file, Now: c.now, MaxBytes: 256 << 10})
	options := Options{Asker: o, MaxAge: 72 * time.Hour, Now: c.now, Chance: half, Disk: disk, VerifyStored: verifies, PerSecond: 1e6, Keys: 1000}
	d := directoryOf(options)
	for i := range 300 {
		d.Find(t.Context(), roc.StructureID(fmt.Sprintf("10%07d", i/100)), keyNumber(i))
	}
	for i := range 5000 {
		k := keyNumber(1)
		k.CSR = roc.CSR(fmt.Sprintf("INVENTED%d", i))
		if e, err := d.Find(t.Context(), hospital, k); err != nil || e.Nom != "amc.example" {
			t.Fatalf("beyond its budget: %v", err)
		}
	}
	if s := d.Stats(); s.Unstored != 4800 {
		t.Errorf("%d answers are not stored, want all but 200", s.Unstored)
	}
	d.Close()
	disk.Close()
	dead := deadAnnuaire()
	options.Asker, options.Disk = dead, openDisk(t, DiskOptions{File: file, Now: c.now, MaxBytes: 256 << 10})
	d = newDirectory(t, options)
	for i := range 300 {
		if e, err := d.Find(t.Context(), "100000000", keyNumber(i)); err != nil || e.Nom != "amc.example" {
			t.Fatalf("after a restart in an outage, key %d: %v", i, err)
		}
	}
	if n := dead.asked.Load(); n != 0 {
		t.Errorf("%d questions to a dead annuaire", n)
	}
}

// One establishment asks about a thousand unknown numbers of a slow annuaire:
// another's question waits behind none of them.
func TestQuestionsAreSharedOutBetweenEstablishments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &oracle{answer: func(ctx context.Context, k roc.Key) (Entry, error) {
			time.Sleep(time.Second)
			return always(ctx, k)
		}}
		d := directoryOf(Options{Asker: slow, AskTimeout: time.Hour, Now: in2026})
		defer d.Close()
		for i := range 1000 {
			go d.Find(context.Background(), "1990000018", keyNumber(1000+i))
		}
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		if _, err := d.Find(t.Context(), hospital, keyNumber(1)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("its question took %v beside a thousand others, want its own second", took)
		}
		// And a key that the flood already waits for is not waited for behind it.
		start = time.Now()
		d.Find(t.Context(), hospital, keyNumber(1999))
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("a question that the flood has queued took %v", took)
		}
	})
}

// The bound on questions a second holds, is counted, each question once, and shows when.
func TestTheRateOfQuestionsIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{answer: always}
		d := directoryOf(Options{Asker: o, PerSecond: 10, AskTimeout: time.Hour, Now: in2026})
		defer d.Close()
		for i := range 100 {
			go d.Find(context.Background(), hospital, keyNumber(i))
		}
		time.Sleep(5 * time.Second)
		if n := o.asked.Load(); n < 68 || n > 71 {
			t.Errorf("%d questions in 5 s, want 20 at once and 10 a second", n)
		}
		time.Sleep(5 * time.Second)
		if s := d.Stats(); o.asked.Load() != 100 || s.Limited != 80 || s.LimitedAt.IsZero() {
			t.Errorf("stats %+v", s)
		}
	})
}
