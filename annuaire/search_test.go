package annuaire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// searchOf is a search whose answers are young for two minutes.
func searchOf(n int, ask func(context.Context) (string, error)) Search {
	return Search{
		ID: sha256.Sum256(fmt.Append(nil, n)),
		Ask: func(ctx context.Context) (Searched, error) {
			text, err := ask(ctx)
			return Searched{Status: 200, ContentType: "text/xml", Body: roc.NewContent([]byte(text))}, err
		},
		Verify: func(a Searched) (Verified, error) {
			if string(a.Body.Bytes()) == "forged" {
				return Verified{}, errors.New("bad signature")
			}
			says := sha256.Sum256(a.Body.Bytes())
			return Verified{a.At.Add(2 * time.Minute), [16]byte(says[:16])}, nil
		},
	}
}

// The façade's searches have the directory's time-out, one question in flight,
// its rest and its disk: a remembered answer serves at once while the annuaire
// hangs, after a restart too.
func TestASearchServesAtOnceWhileTheAnnuaireHangs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "annuaire.log")
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var hangs atomic.Bool
		s := searchOf(1, func(ctx context.Context) (string, error) {
			asked.Add(1)
			if hangs.Load() {
				<-ctx.Done()
				return "", silent("it hangs: %w", ctx.Err())
			}
			time.Sleep(100 * time.Millisecond)
			return fmt.Sprintf("answer %d", asked.Load()), nil
		})
		start := func() (*Directory, func()) {
			disk, err := OpenDisk(DiskOptions{File: file, MaxAge: 72 * time.Hour, Now: in2026})
			if err != nil {
				t.Fatal(err)
			}
			d := directoryOf(Options{Asker: deadAnnuaire(), MaxAge: 72 * time.Hour, Now: in2026, Chance: half, Disk: disk})
			return d, func() { d.Close(); disk.Close() }
		}
		want := func(d *Directory, text string, took time.Duration) {
			t.Helper()
			begun := time.Now()
			a, err := d.Search(context.Background(), hospital, s)
			if err != nil || string(a.Body.Bytes()) != text || time.Since(begun) != took {
				t.Errorf("answered %q, %v after %v; want %q after %v", a.Body.Bytes(), err, time.Since(begun), text, took)
			}
		}
		d, stop := start()
		for range 50 { // one question in flight
			go d.Search(context.Background(), hospital, s)
		}
		want(d, "answer 1", 100*time.Millisecond)
		want(d, "answer 1", 0)
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times for one search", n)
		}
		hangs.Store(true)
		time.Sleep(10 * time.Minute)
		want(d, "answer 1", 2500*time.Millisecond) // until it is known that it hangs
		want(d, "answer 1", 0)
		for range 3 {
			time.Sleep(2 * time.Minute)
			want(d, "answer 1", 0)
		}
		// Nothing is remembered of this one: the time-out, then at once while
		// the annuaire is asked again.
		begun := time.Now()
		if _, err := d.Search(context.Background(), hospital, searchOf(2, s.askText())); !roc.IsRefused(err, roc.AnnuaireSilent) || time.Since(begun) > 5*time.Second {
			t.Errorf("a search that nobody asked before: %v after %v", err, time.Since(begun))
		}
		stop()
		d, stop = start()
		defer stop()
		want(d, "answer 1", 0) // it was down before the restart
		time.Sleep(time.Minute)
		hangs.Store(false)
		want(d, "answer 1", 0) // and it is asked again in the background
		time.Sleep(time.Minute)
		want(d, fmt.Sprintf("answer %d", asked.Load()), 0)
	})
}

func (s Search) askText() func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		a, err := s.Ask(ctx)
		return string(a.Body.Bytes()), err
	}
}

// A search that carries an address to answer to is asked each time, and what is
// forged is refused and not remembered.
func TestWhatIsNotRememberedOfSearches(t *testing.T) {
	t.Parallel()
	n := 0
	text := "for you alone"
	ask := func(context.Context) (string, error) { n++; return text, nil }
	d := newDirectory(t, Options{Asker: deadAnnuaire(), MaxAge: time.Hour})
	addressed := searchOf(1, ask)
	addressed.ID = [32]byte{}
	for range 3 {
		if a, err := d.Search(t.Context(), hospital, addressed); err != nil || a.Remembered {
			t.Errorf("answered %+v, %v", a, err)
		}
	}
	if n != 3 {
		t.Errorf("asked %d times, want each time", n)
	}
	text = "forged"
	if _, err := d.Search(t.Context(), hospital, searchOf(2, ask)); !roc.IsRefused(err, roc.AnnuaireRefused) {
		t.Errorf("forged: %v", err)
	}
	if answers, _ := d.searches.size(); answers != 0 {
		t.Errorf("%d answers are remembered", answers)
	}
}

// An establishment that searches for everything pushes out its own answers.
func TestASearchCostsItsEstablishment(t *testing.T) {
	t.Parallel()
	c := newSearchCache(1 << 20)
	id := func(n int) [32]byte { return sha256.Sum256(fmt.Append(nil, n)) }
	answer := Searched{Body: roc.NewContent(make([]byte, 4000))}
	for i := range 50 {
		c.put(roc.StructureID(fmt.Sprintf("10%07d", i)), id(i), answer)
	}
	for i := range 10_000 {
		c.put(hospital, id(1000+i), answer)
	}
	for i := range 50 {
		if _, ok := c.get(id(i)); !ok {
			t.Errorf("the answer of establishment %d was pushed out", i)
		}
	}
	if answers, bytes := c.size(); bytes > 1<<20 || answers < 200 {
		t.Errorf("it holds %d answers in %d bytes", answers, bytes)
	}
}

// searchSaying is a search about an insurer that the team's annuaire answers by
// its host.
func (m *team) searchSaying(k roc.Key) Search {
	s := searchOf(1, func(context.Context) (string, error) {
		m.asked.Add(1)
		if m.host[k.AMC] == "" {
			return "", silent("it does not answer")
		}
		return m.host[k.AMC], nil
	})
	s.AMC = k.AMC
	return s
}

func (m *team) searchOn(t *testing.T, d *Directory, k roc.Key) string {
	t.Helper()
	a, err := d.Search(context.Background(), hospital, m.searchSaying(k))
	synctest.Wait()
	if err != nil {
		return roc.RefusalOf(err).Reason.Meaning().Code
	}
	return string(a.Body.Bytes())
}

// What one instance was answered serves on the others: while it is young without
// a question, and while the annuaire does not answer.
func TestASearchIsSharedByTheInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "first"}}
		a, b := m.join(), m.join()
		defer m.close()
		k := keyNumber(1)
		for _, d := range []*Directory{a, b, b} {
			if got := m.searchOn(t, d, k); got != "first" {
				t.Errorf("answered %q", got)
			}
		}
		if n := m.asked.Load(); n != 1 {
			t.Errorf("%d questions for one search on two instances, want 1", n)
		}
		// A third one starts, without a disk, while the annuaire does not answer.
		time.Sleep(time.Hour)
		m.host[k.AMC] = ""
		c := m.join()
		if got := m.searchOn(t, c, k); got != "first" {
			t.Errorf("in an outage the new instance answers %q", got)
		}
	})
}

// Once a search, or a route of the insurer, is learned to have changed, what was
// asked before serves nowhere without a new question: not from another memory,
// not from a Redis that was put back.
func TestASearchOfBeforeAMoveIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, learn := range map[string]func(m *team, d *Directory, k roc.Key){
		"by a search": func(m *team, d *Directory, k roc.Key) {
			d.Search(context.Background(), hospital, m.searchSaying(k))
		},
		"by a message": func(m *team, d *Directory, k roc.Key) { m.hostOf(d, k) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "first"}}
				short := func(o *Options) { o.TTL, o.Stale = time.Minute, time.Second }
				a, b := m.join(short), m.join(short)
				defer m.close()
				k := keyNumber(1)
				m.hostOf(a, k)
				m.searchOn(t, a, k)
				time.Sleep(90 * time.Second)
				m.searchOn(t, b, k) // young for 30 s more
				old := m.redis.snapshot()
				m.host[k.AMC] = "second"
				if name == "by a search" {
					time.Sleep(31 * time.Second)
				}
				learn(m, a, k)
				time.Sleep(time.Second)
				synctest.Wait()
				for _, who := range []struct {
					name string
					d    func() *Directory
				}{
					{"the other instance", func() *Directory { return b }},
					{"the one that learned it", func() *Directory { return a }},
					{"a new instance", func() *Directory { return m.join(short) }},
				} {
					m.redis.restore(old)
					if got := m.searchOn(t, who.d(), k); got != "second" {
						t.Errorf("after the move %s answers %q", who.name, got)
					}
				}
			})
		})
	}
}

// What lies in Redis is believed by its tag, its signature and its sequence.
func TestASearchThatIsNotOursIsNotBelieved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &team{redis: newInMemory(), host: map[roc.NumeroAMC]string{keyNumber(1).AMC: "first"}}
		a := m.join()
		defer m.close()
		k := keyNumber(1)
		m.searchOn(t, a, k)
		m.redis.mu.Lock()
		for key, v := range m.redis.values {
			v = append([]byte(nil), v...)
			v[len(v)-1] ^= 1
			m.redis.values[key] = v
		}
		m.redis.mu.Unlock()
		b := m.join()
		if got := m.searchOn(t, b, k); got != "first" || m.asked.Load() != 2 {
			t.Errorf("answered %q with %d questions, want a second one", got, m.asked.Load())
		}
		if b.Stats().Disbelieved == 0 {
			t.Error("what was altered is not counted")
		}
	})
}

// What was answered while the clock was five days ahead serves no more once it
// is put back.
func TestAClockThatJumpsKeepsNoSearch(t *testing.T) {
	t.Parallel()
	c, n := newClock(), 0
	d := newDirectory(t, Options{Asker: deadAnnuaire(), MaxAge: time.Hour, Now: c.now})
	s := searchOf(1, func(context.Context) (string, error) { n++; return fmt.Sprint("answer ", n), nil })
	want := func(text string) {
		t.Helper()
		if a, err := d.Search(t.Context(), hospital, s); err != nil || string(a.Body.Bytes()) != text {
			t.Errorf("answered %q, %v, want %q", a.Body.Bytes(), err, text)
		}
	}
	want("answer 1")
	c.advance(5 * 24 * time.Hour)
	want("answer 2")
	c.advance(-5 * 24 * time.Hour)
	want("answer 3")
	want("answer 3")
}

// Two searches whose answers are nobody else's are two questions, at the same
// time too: neither gets the answer of the other.
func TestTwoSearchesThatAreNobodyElsesAreTwoQuestions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := directoryOf(Options{Asker: deadAnnuaire(), MaxAge: time.Hour})
		defer d.Close()
		for _, who := range []string{"a", "b"} {
			go func() {
				s := searchOf(0, func(context.Context) (string, error) { time.Sleep(time.Second); return who, nil })
				s.ID = [32]byte{}
				if a, err := d.Search(t.Context(), roc.StructureID(who), s); err != nil || string(a.Body.Bytes()) != who {
					t.Errorf("%s was answered %q, %v", who, a.Body.Bytes(), err)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
	})
}
