package annuaire

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// full plays every cell, with one instance too; else the three that nothing else
// holds, with three instances.
var full = flag.Bool("full", false, "play every cell of several instances, and with one as well")

// A team is instances of the RPN that share one real Redis.
type team struct {
	t     *testing.T
	n     *nation.Nation
	chu   *nation.Etablissement
	redis *redistest.Server
	at    [][2]string // where each listens: establishments, operators
}

// newTeam starts so many instances, on one configuration but for the folder of
// each, and waits until they share.
func newTeam(t *testing.T, instances int, annuaire string) *team {
	m := &team{t: t, redis: redistest.Start(t)}
	m.n = nation.New(t, nation.Binary, nation.Annuaire(annuaire+"\nmax_age: 1h\nprobe: 0s\ntimeout: 1s"), nation.Section("redis", "urls: ["+m.redis.URL()+"]"))
	m.chu = m.n.Etablissement(nation.Limited(1000, 2000))
	m.at = [][2]string{{strings.TrimSuffix(strings.TrimPrefix(m.n.URL(), "https://"), "/roc"), strings.TrimPrefix(m.n.AdminURL(), "http://")}}
	for len(m.at) < instances {
		m.join()
	}
	for i := range m.at {
		m.on(i)
		await.Until(t, "Redis is seen and the limits are shared", func() bool {
			return m.n.Metric("rpn_redis_up") == "1" && !strings.Contains(strings.Join(m.n.Ready().Degraded, " "), "limits")
		})
	}
	return m
}

// join starts one more instance, with an empty folder.
func (m *team) join() {
	m.t.Helper()
	b, err := os.ReadFile(m.n.ConfigFile())
	if err != nil {
		m.t.Fatal(err)
	}
	i := len(m.at)
	file := filepath.Join(filepath.Dir(m.n.ConfigFile()), fmt.Sprintf("rpn-%d.yaml", i))
	state := fmt.Sprintf("rpn/s%d", i)
	if err := os.Mkdir(m.n.File(state), 0o755); err != nil {
		m.t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("\nstate: rpn/state\n"), []byte("\nstate: "+state+"\n"), 1)
	if err := os.WriteFile(file, b, 0o644); err != nil {
		m.t.Fatal(err)
	}
	p := nation.Run(m.t, "serve", "--config", file)
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("instance %d:\n%s%s", i, p.Output, p.Errors)
		}
	})
	await.Until(m.t, "one more instance listens", func() bool {
		if strings.Contains(p.Errors.String(), "rpn serve:") {
			m.t.Fatalf("it does not start: %s", p.Errors)
		}
		for line := range strings.Lines(p.Output.String()) {
			var l struct{ Event, Address, Admin string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Event == "listening" {
				m.at = append(m.at, [2]string{l.Address, l.Admin})
				return true
			}
		}
		return false
	})
	m.on(i)
	await.Until(m.t, "one more instance is ready", func() bool { return m.n.Ready().Ready })
}

// on has everything that follows go to an instance.
func (m *team) on(i int) { m.n.RunsAt(m.at[i][0], m.at[i][1]) }

// each sends one message to each instance, and returns what comes of them.
func (m *team) each(how ...nation.Mutation) string {
	var got []string
	for i := range m.at {
		m.on(i)
		got = append(got, code(m.chu.Send(roc.IDB, "bleue", how...)))
	}
	return strings.Join(got, " ")
}

func same(code string, n int) string { return strings.TrimSpace(strings.Repeat(code+" ", n)) }

const elsewhere = "https://roc.mutuelle-bleue.example:1/roc" // nobody is there: RPN401

// ofAnother is a row of another insurer: bleue is withdrawn.
var ofAnother = strings.Replace(row("https://roc.mutuelle-bleue.example/roc"), `"AMC"`, `"0099000077"`, 1)

// storm: one insurer is withdrawn, every instance is asked about it; the
// annuaire gets a question from each at most.
func storm(instances int) string {
	return fmt.Sprintf("%s, %s, at most %d questions", same("00", instances), same("RPN301", instances), instances)
}

func playStorm(instances int) func(*testing.T) string {
	return func(t *testing.T) string {
		m := newTeam(t, instances, "ttl: 1s")
		before := m.each()
		m.n.Rows(ofAnother)
		expire()
		for i := range m.at { // what was learned before serves stale, and is asked again
			m.on(i)
			await.Until(t, "it is known to be withdrawn", func() bool { breathe(); return code(m.chu.Send(roc.IDB, "bleue")) == "RPN301" })
		}
		asked := m.n.Annuaire.Questions()
		after := m.each()
		for range 8 { // a storm would be thousands
			breathe()
		}
		if n := m.n.Annuaire.Questions() - asked; n > uint64(instances) {
			return fmt.Sprintf("%s, %s, %d questions", before, after, n)
		}
		return fmt.Sprintf("%s, %s, at most %d questions", before, after, instances)
	}
}

// playFollow: what one instance learns, the others follow, though what they
// remember is fresh for an hour.
func playFollow(instances int) func(*testing.T) string {
	return func(t *testing.T) string {
		m := newTeam(t, instances, "ttl: 45m")
		got := m.each()
		m.n.Rows(row(elsewhere))
		asked := m.n.Annuaire.Questions()
		m.on(0)
		nation.Run(t, "annuaire", "revalidate", "--admin", m.at[0][1]).WantExit(0)
		await.Until(t, "the first one has learned it", func() bool { breathe(); return code(m.chu.Send(roc.IDB, "bleue")) == "RPN401" })
		slowest := time.Duration(0)
		for i := 1; i < instances; i++ {
			m.on(i)
			slowest = max(slowest, await.Until(t, "the others follow", func() bool { return code(m.chu.Send(roc.IDB, "bleue")) == "RPN401" }))
		}
		t.Logf("%d instances follow a move: the slowest %s after the first one was seen to, %d questions for one change", instances, slowest.Round(time.Millisecond), m.n.Annuaire.Questions()-asked)
		return got + ", " + m.each()
	}
}

// playRollback: Redis is put back to what it held before a move; who is new
// believes none of it, as long as one instance lives.
func playRollback(instances int) func(*testing.T) string {
	return func(t *testing.T) string {
		m := newTeam(t, instances, "ttl: 1s\nstale: 1s")
		got := m.each()
		keys := strings.Fields(m.redis.Cli("keys", "rpn:annuaire:3:[ak]:*"))
		for _, k := range keys {
			m.redis.Cli("copy", k, "bak:"+k)
		}
		m.n.Rows(row(elsewhere))
		expire()
		for i := range m.at {
			m.on(i)
			await.Until(t, "the move is known", func() bool { breathe(); return code(m.chu.Send(roc.IDB, "bleue")) == "RPN401" })
		}
		for _, k := range keys {
			m.redis.Cli("copy", "bak:"+k, k, "replace")
		}
		m.join()
		last := code(m.chu.Send(roc.IDB, "bleue"))
		return got + ", " + last
	}
}

// playLongTail: once one key of an insurer has moved, another that is old is
// asked again before it serves.
func playLongTail(instances int) func(*testing.T) string {
	return func(t *testing.T) string {
		m := newTeam(t, instances, "ttl: 1s\nstale: 59m")
		rare := func(d *inner.Draft) { d.Demande.Adressage.CSR = "RARE" }
		got := m.each(rare)
		m.n.Rows(row(elsewhere))
		expire()
		m.on(0)
		await.Until(t, "the move is known by another key", func() bool { breathe(); return code(m.chu.Send(roc.IDB, "bleue")) == "RPN401" })
		for i := 1; i < instances; i++ { // what it is told is there before the next message
			m.on(i)
			await.Until(t, "the others were told", func() bool { breathe(); return code(m.chu.Send(roc.IDB, "bleue")) == "RPN401" })
		}
		return got + ", " + m.each(rare)
	}
}

// playOutage: an answer that one instance learned serves on the others while the
// annuaire does not answer.
func playOutage(instances int) func(*testing.T) string {
	return func(t *testing.T) string {
		m := newTeam(t, instances, "ttl: 1s")
		m.on(0)
		first := code(m.chu.Send(roc.IDB, "bleue"))
		await.Until(t, "the answer is in Redis", func() bool { return strings.Contains(m.redis.Cli("keys", "rpn:annuaire:3:k:*"), "rpn:") })
		m.n.Annuaire.Break(fictif.Down)
		expire()
		return first + ", " + m.each()
	}
}

// wrongApproval: who approves another host than the one that is held lets
// nothing pass.
func wrongApproval(t *testing.T) string {
	n, chu, got := heldAfter(t, func(n *nation.Nation) {
		var rows []string
		for _, s := range services {
			rows = append(rows, strings.Replace(row("https://evil.example/roc"), "service: IDB", "service: "+s.String(), 1))
		}
		n.Rows(rows...)
	})
	p := nation.Run(t, "annuaire", "approve", "--admin", strings.TrimPrefix(n.AdminURL(), "http://"), "--amc", "0099000003", "--host", "elsewhere.example", "--why", "a drill")
	p.WantExit(1)
	expire()
	breathe()
	return got + " " + code(chu.Send(roc.IDB, "bleue"))
}

// clockJump: everybody's clock is five days ahead for a while. In process: the
// clock of a program cannot be moved from outside.
func clockJump(t *testing.T) string {
	var ahead atomic.Int64
	n := nation.New(t, short, nation.Clock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
	chu := n.Etablissement(nation.Limited(2, 4))
	send := func() string { return code(chu.Send(roc.IDB, "bleue")) }
	got := []string{send()}
	ahead.Store(int64(5 * 24 * time.Hour))
	for range 4 { // the bucket is emptied there
		got = append(got, send())
	}
	ahead.Store(0)
	got = append(got, send())   // how long it was ahead says nothing of how long ago that was
	time.Sleep(2 * time.Second) // four messages more
	for range 3 {
		got = append(got, send())
	}
	return strings.Join(got, " ")
}

func teamCells() (list []cell) {
	sizes := []int{3}
	if *full {
		sizes = []int{1, 3}
	}
	for _, n := range sizes {
		with := fmt.Sprintf(", instances: %d", n)
		list = append(list,
			cell{"sharing", "storm: an insurer is withdrawn" + with, storm(n), playStorm(n)},
			cell{"sharing", "a move that one learns" + with, same("00", n) + ", " + same("RPN401", n), playFollow(n)},
			cell{"sharing", "rollback of Redis, then one starts" + with, same("00", n) + ", RPN401", playRollback(n)})
		if !*full {
			continue
		}
		list = append(list,
			cell{"sharing", "a long tail of keys that moved" + with, same("00", n) + ", " + same("RPN401", n), playLongTail(n)},
			cell{"sharing", "learned by one, then down" + with, "00, " + same("00", n), playOutage(n)})
	}
	if *full {
		list = append(list, cell{"sharing", "a wrong approval", "00 annuaire_changes 00", wrongApproval})
	}
	return append(list, cell{"sharing", "the clock jumps five days and back", "00 00 00 00 00 RPN110 00 00 00", clockJump})
}

// TestInstances is the part of the drill that several instances play.
func TestInstances(t *testing.T) {
	for _, c := range teamCells() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.verdict(t)
		})
	}
}
