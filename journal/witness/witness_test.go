package witness

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

const origin = "rpn.example/journal/test"

// A fake is a witness by the text of C2SP tlog-witness, of one log.
type fake struct {
	t      *testing.T
	signer *torchwood.CosignatureSigner
	log    note.Verifier
	url    string

	mu   sync.Mutex
	size uint64
	root tlog.Hash
	away bool // it is out of order
	lies bool // it signs with another key
}

func newWitness(t *testing.T, name string, log note.Verifier) *fake {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := torchwood.NewCosignatureSigner(name, key)
	if err != nil {
		t.Fatal(err)
	}
	w := &fake{t: t, signer: s, log: log}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// ServeHTTP is add-checkpoint.
func (w *fake) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	head, signed, found := strings.Cut(string(body), "\n\n")
	if err != nil || !found || r.URL.Path != "/add-checkpoint" || w.away {
		http.Error(rw, "no", http.StatusBadRequest)
		return
	}
	n, err := note.Open([]byte(signed), note.VerifierList(w.log))
	if err != nil {
		http.Error(rw, "not signed", http.StatusForbidden)
		return
	}
	c, err := torchwood.ParseCheckpoint(n.Text)
	if err != nil || c.Origin != origin {
		http.Error(rw, "unknown", http.StatusNotFound)
		return
	}
	lines := strings.Split(head, "\n")
	old, err := strconv.ParseUint(strings.TrimPrefix(lines[0], "old "), 10, 62)
	if err != nil || old > uint64(c.N) {
		http.Error(rw, "old size", http.StatusBadRequest)
		return
	}
	if old != w.size {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", w.size)
		return
	}
	var path tlog.TreeProof
	for _, line := range lines[1:] {
		b, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(b) != 32 {
			http.Error(rw, "proof", http.StatusUnprocessableEntity)
			return
		}
		path = append(path, tlog.Hash(b))
	}
	switch {
	case old == uint64(c.N) && w.root != c.Hash:
		http.Error(rw, "another root", http.StatusConflict)
		return
	case old > 0 && old < uint64(c.N) && tlog.CheckTree(path, c.N, c.Hash, int64(old), w.root) != nil:
		http.Error(rw, "not consistent", http.StatusUnprocessableEntity)
		return
	}
	w.size, w.root = uint64(c.N), c.Hash
	signer := w.signer
	if w.lies {
		_, key, _ := ed25519.GenerateKey(nil)
		signer, _ = torchwood.NewCosignatureSigner(w.signer.Name(), key)
	}
	cosigned, err := note.Sign(&note.Note{Text: n.Text}, signer)
	if err != nil {
		w.t.Error(err)
	}
	_, sigs, _ := strings.Cut(string(cosigned), "\n\n")
	io.WriteString(rw, sigs)
}

// A log is a journal whose exchanges the test writes.
type log struct {
	*journal.Journal
	t               *testing.T
	dir             string
	key             note.Verifier
	public, private string
	n               int
}

func newLog(t *testing.T) *log {
	t.Helper()
	private, public, err := journal.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	l := &log{t: t, dir: t.TempDir(), public: public, private: private}
	if l.key, err = journal.ParsePublicKey(public); err != nil {
		t.Fatal(err)
	}
	l.open()
	return l
}

func (l *log) open() {
	l.t.Helper()
	keys, err := journal.ParseKeys(l.private, origin)
	if err == nil {
		l.Journal, err = journal.Open(journal.Options{Dir: l.dir, Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 64 << 10,
			SealEvery: 2 * time.Millisecond, Durability: journal.Relaxed, OnFull: journal.Refuse, SegmentAge: time.Hour, KeepFor: time.Hour})
	}
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(l.t.Context())
	var loops sync.WaitGroup
	loops.Go(func() { l.Run(ctx) })
	l.t.Cleanup(func() { stop(); loops.Wait(); l.Close() })
}

// write writes so many exchanges and waits until they are sealed.
func (l *log) write(count int) (last roc.Receipt) {
	l.t.Helper()
	for range count {
		l.n++
		var err error
		rec := &roc.Record{ID: roc.ExchangeID(fmt.Sprintf("%08x-0000-7000-8000-000000000000", l.n)), RequestIn: time.Now(), AnswerOut: time.Now(), Outcome: roc.Answered}
		if last, err = l.Append(rec); err != nil {
			l.t.Fatal(err)
		}
	}
	await.Until(l.t, "it is sealed", func() bool { return l.Stats().Sealed > last.Index })
	return last
}

func policyOf(t *testing.T, l *log, quorum string, all ...*fake) *Policy {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# of a test\nlog %s\n", l.public)
	names := ""
	for i, w := range all {
		fmt.Fprintf(&b, "witness w%d %s %s\n", i, w.signer.Verifier(), w.url)
		names += fmt.Sprintf(" w%d", i)
	}
	fmt.Fprintf(&b, "group all %s%s\nquorum all\n", quorum, names)
	p, err := ParsePolicy([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func keeper(l *log, p *Policy) *Keeper {
	return NewKeeper(Options{Dir: l.dir, Policy: p, Client: &http.Client{Timeout: 10 * time.Second}, Every: time.Millisecond, Log: slog.New(slog.DiscardHandler), Now: time.Now})
}

// proved is the proof of a record.
func proved(t *testing.T, l *log, r roc.Receipt) []byte {
	t.Helper()
	reader, err := journal.OpenLog(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	proof, err := reader.Prove(r.Index)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.VerifyProof(proof, []journal.PublicKey{l.key}); err != nil {
		t.Fatal(err)
	}
	return proof
}

// Two of three witnesses are enough, whichever; each goes on from what it
// cosigned, also for a Keeper that knows nothing of it.
func TestAQuorumOfWitnessesCosigns(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	var all []*fake
	for i := range 3 {
		all = append(all, newWitness(t, fmt.Sprintf("temoin%d.example", i), l.key))
	}
	p := policyOf(t, l, "2", all...)
	k := keeper(l, p)
	for round := range 4 {
		r := l.write(90)
		if err := p.VerifyProof(proved(t, l, r), journal.Hash(r.Leaf)); err == nil {
			t.Fatal("a proof that no witness cosigned satisfies the policy")
		}
		set := func(i int, away bool) { all[i].mu.Lock(); all[i].away = away; all[i].mu.Unlock() }
		set(round%3, true)
		if round == 2 {
			k = keeper(l, p)
		}
		if size, err := k.round(t.Context()); err != nil || size <= r.Index {
			t.Fatalf("round %d: %d, %v", round, size, err)
		}
		set(round%3, false)
		proof := proved(t, l, r)
		if err := p.VerifyProof(proof, journal.Hash(r.Leaf)); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if strings.Count(string(proof), "temoin") != 2 {
			t.Errorf("the proof does not carry two cosignatures:\n%s", proof)
		}
		if err := policyOf(t, l, "all", all...).VerifyProof(proof, journal.Hash(r.Leaf)); err == nil {
			t.Error("two satisfy a policy that demands three")
		}
		if err := p.VerifyProof(proof, journal.Hash{1}); err == nil {
			t.Error("the proof is of another record")
		}
	}
	if size, err := k.round(t.Context()); err != nil || size != 0 {
		t.Errorf("the same checkpoint is asked for again: %d, %v", size, err)
	}
	// After a restart it is known what is cosigned; of another policy, nothing is.
	again := keeper(l, p)
	again.resume()
	if s := again.State(); s.At.IsZero() || s.Size != k.done {
		t.Errorf("after a restart: %+v, cosigned %d", s, k.done)
	}
	again = keeper(l, policyOf(t, l, "all", all...))
	again.resume()
	if s := again.State(); !s.At.IsZero() || s.Size != 0 {
		t.Errorf("three are demanded, and two cosigned: %+v", s)
	}
}

// Too few: nothing is kept of it, the failure is counted, and the next is tried.
func TestTooFewWitnessesAreTold(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	a, b := newWitness(t, "temoin0.example", l.key), newWitness(t, "temoin1.example", l.key)
	p := policyOf(t, l, "all", a, b)
	r := l.write(10)
	b.lies = true
	k := keeper(l, p)
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { k.Run(ctx) })
	defer run.Wait()
	defer stop()
	await.Until(t, "the failures are counted", func() bool { return k.State().Failures > 1 })
	if s := k.State(); s.Err == nil || s.Since.IsZero() || !strings.Contains(s.Err.Error(), "no cosignature of its key") {
		t.Errorf("%+v", s)
	}
	if err := p.VerifyProof(proved(t, l, r), journal.Hash(r.Leaf)); err == nil {
		t.Error("a liar counts")
	}
	b.mu.Lock()
	b.lies = false
	b.mu.Unlock()
	await.Until(t, "both cosign", func() bool { s := k.State(); return s.Err == nil && s.Size > r.Index && s.Since.IsZero() })
	if err := p.VerifyProof(proved(t, l, r), journal.Hash(r.Leaf)); err != nil {
		t.Error(err)
	}
}

// Who holds the journal and its key writes another history: the witness has seen
// the first one.
func TestAnotherHistoryIsNotCosigned(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	w := newWitness(t, "temoin0.example", l.key)
	p := policyOf(t, l, "all", w)
	l.write(30)
	if _, err := keeper(l, p).round(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, count := range map[string]int{"a shorter one": 5, "a longer one": 300} {
		other := &log{t: t, dir: t.TempDir(), key: l.key, public: l.public, private: l.private}
		other.open()
		other.n = 1000
		other.write(count)
		_, err := keeper(other, p).round(t.Context())
		if err == nil {
			t.Errorf("%s is cosigned", name)
		} else if name == "a shorter one" && !strings.Contains(err.Error(), "taken back") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPolicyIsChecked(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	w := newWitness(t, "temoin0.example", l.key)
	for want, text := range map[string]string{
		"not a policy":         "quorum nobody\n",
		"is not the address":   fmt.Sprintf("log %s\nwitness w %s ftp://x\nquorum w\n", l.public, w.signer.Verifier()),
		"a policy has at most": strings.Repeat("#\n", maxPolicy),
		"invalid witness vkey": "witness w abc\nquorum w\n",
	} {
		if _, err := ParsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	p, err := ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w %s\nquorum w\n", l.public, w.signer.Verifier()))
	if err != nil || p.Asked() {
		t.Errorf("a policy to verify alone: %v", err)
	}
}

// FuzzParsePolicy: whatever the file, it is refused, or each witness of it has a
// key and an address that may be called, if any.
func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte("log rpn.example/journal/a+00000000+AQ==\nwitness w x+00000000+BA== http://x\ngroup g any w\nquorum g\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if err != nil {
			return
		}
		for _, w := range p.witnesses {
			if u, err := url.Parse(w.url); w.verifier == nil || err != nil || w.url != "" && (u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") {
				t.Errorf("the witness %q at %q", w.name, w.url)
			}
		}
		if _, err := p.enough([]byte("no checkpoint")); err == nil {
			t.Error("what is no checkpoint satisfies a policy")
		}
	})
}

// FuzzCosignatures: of whatever a witness answers, nothing is kept that its key did
// not sign.
func FuzzCosignatures(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	s, err := torchwood.NewCosignatureSigner("temoin.example", key)
	if err != nil {
		f.Fatal(err)
	}
	checkpoint := []byte("rpn.example/journal/test\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 rpn.example/journal/test AAAAAAAA\n")
	good, err := note.Sign(&note.Note{Text: string(checkpoint[:strings.Index(string(checkpoint), "\n\n")+1])}, s)
	if err != nil {
		f.Fatal(err)
	}
	_, line, _ := strings.Cut(string(good), "\n\n")
	f.Add([]byte(line))
	f.Add([]byte("\u2014 temoin.example AAAA\n" + line))
	f.Add([]byte("\n\n" + line))
	f.Fuzz(func(t *testing.T, answer []byte) {
		lines, err := cosignatures(checkpoint, answer, s.Verifier())
		if err != nil {
			return
		}
		n, err := note.Open(append(slices.Clone(checkpoint), lines...), note.VerifierList(s.Verifier()))
		if err != nil || len(n.Sigs) != strings.Count(string(lines), "\n") || len(n.Sigs) == 0 {
			t.Errorf("%q is kept: %v", lines, err)
		}
	})
}
