package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/binary"
	"github.com/piano-roc/rpn/test/nation"
)

// senders keep their connections and send without a pause, each message once,
// until stopped; each reply must be an answer.
func senders(n *nation.Nation, count int, who ...*nation.Etablissement) (sent *atomic.Int64, stop func() (failed []string)) {
	var mu sync.Mutex
	var failed []string
	var all sync.WaitGroup
	sent = new(atomic.Int64)
	over := make(chan struct{})
	for i := range count {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				r := who[i%len(who)].Send(roc.IDB, "bleue", once)
				sent.Add(1)
				if !r.Answered("00") {
					mu.Lock()
					failed = append(failed, r.String())
					mu.Unlock()
				}
			}
		})
	}
	return sent, sync.OnceValue(func() []string { close(over); all.Wait(); return failed })
}

// wantWhole checks that the journal holds one record of each exchange, as one
// chain, whoever wrote it.
func wantWhole(t *testing.T, n *nation.Nation, exchanges int64) {
	t.Helper()
	await.Until(t, "the journal is sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })
	said := rpn(t, 0, "journal", "verify", "--dir", journalOf(n), "--key", filepath.Join(journalOf(n), "key.pub"))
	if !strings.Contains(said, fmt.Sprintf("%d échanges", exchanges)) {
		t.Errorf("the journal holds other than %d exchanges:\n%s", exchanges, said)
	}
}

// Three upgrades, one to another file and one back, while connections are kept
// alive and an insurer takes its time: no exchange fails, and the journal is one
// chain that holds each.
func TestAnUpgradeLosesNoExchange(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, ght := n.Etablissement(nation.Limited(10000, 10000)), n.Etablissement(nation.Limited(10000, 10000))
	verte := n.AMC("verte")
	own, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "rpn-other")
	if err := os.Link(own, other); err != nil {
		b, err := os.ReadFile(own)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(other, b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sent, stop := senders(n, 6, chu, ght)
	slow := int64(0)
	for i, program := range []string{"", other, own} {
		verte.Hold()
		before := verte.Received()
		replies := make(chan *nation.Reply, 4)
		for range cap(replies) {
			go func() { replies <- chu.Send(roc.CLC, "verte", once) }()
		}
		await.Until(t, "some are at an insurer that takes its time", func() bool { return verte.Received() == before+cap(replies) })
		go func() { // they are answered once the new process serves
			await.Until(t, "the new process serves", func() bool { return len(n.Lines("listening")) == i+2 })
			verte.Release()
		}()
		p := n.Upgrade(program)
		if p.Wait() != 0 || !strings.HasSuffix(p.Output.String(), "\nupgraded\n") {
			t.Fatalf("upgrade %d: %s%s", i+1, p.Output, p.Errors)
		}
		for range cap(replies) {
			slow++
			(<-replies).WantAnswer()
		}
		at := sent.Load()
		await.Until(t, "the new process carries", func() bool { return sent.Load() > at+20 })
	}
	for _, failed := range stop() {
		t.Error(failed)
	}
	wantWhole(t, n, sent.Load()+slow)
	t.Logf("%d exchanges, 3 upgrades", sent.Load()+slow)
}

// program writes a program that does not become an RPN.
func program(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rpn-broken")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// A new process that does not come up, before it has the folder or after, leaves
// the old one where it was: nothing is lost, and what is wrong is said.
func TestANewProcessThatFailsLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement(nation.Limited(10000, 10000))
	sent, stop := senders(n, 4, chu)
	others := int64(0)
	for _, c := range []struct{ name, script, said string }{
		{"ends at once", "exit 7\n", "exit status 7"},
		{"is not ready", `read begin <&3; echo '{"step":"failed","why":"the fictitious reason"}' >&3`, "the fictitious reason"},
		{"fails with the folder in its hands", `read begin <&3; echo '{"step":"folder"}' >&3; read given <&3; echo '{"step":"failed","why":"its journal does not open"}' >&3`, "its journal does not open"},
		{"dies with the folder in its hands", `read begin <&3; echo '{"step":"folder"}' >&3; read given <&3; exit 9`, "exit status 9"},
	} {
		p := n.Upgrade(program(t, c.script))
		if p.Wait() != 1 || !strings.Contains(p.Errors.String(), c.said) || !strings.Contains(p.Errors.String(), "the old process goes on") {
			t.Errorf("%s: %d: %s%s", c.name, p.Wait(), p.Output, p.Errors)
		}
		chu.Send(roc.CLC, "bleue", once).WantAnswer()
		others++
		if r := n.Ready(); !r.Ready {
			t.Errorf("%s: the old process is not ready: %v", c.name, r.Missing)
		}
	}
	for _, name := range []string{"/nowhere/rpn", "/etc/passwd"} {
		if p := n.Upgrade(name); p.Wait() != 1 {
			t.Errorf("%s is taken for a program: %s", name, p.Output)
		}
	}
	open := program(t, "exit 0\n")
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if p := n.Upgrade(open); p.Wait() != 1 || !strings.Contains(p.Errors.String(), "chmod go-w") {
		t.Errorf("a program that anybody may write is run: %s%s", p.Output, p.Errors)
	}
	for _, failed := range stop() {
		t.Error(failed)
	}
	wantWhole(t, n, sent.Load()+others)
}
