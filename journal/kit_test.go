package journal

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
)

const testOrigin = "rpn.example/journal/test"

// testKeys are one pair for all tests.
var testKeys = sync.OnceValue(func() Keys {
	private, _, err := NewKey(testOrigin)
	if err != nil {
		panic(err)
	}
	k, err := ParseKeys(private, testOrigin)
	if err != nil {
		panic(err)
	}
	return k
})

func testOptions(dir string) Options {
	return Options{
		Dir: dir, Origin: testOrigin, Key: testKeys(), Log: testLog(),
		Durability: Relaxed, OnFull: Refuse, SegmentAge: 24 * time.Hour, KeepFor: 366 * 24 * time.Hour,
		SegmentBytes: headerSize + 300*slotSize, SealEvery: time.Hour, SyncEvery: 10 * time.Millisecond,
	}
}

// A running is a journal with its loops.
type running struct {
	*Journal
	t    testing.TB
	stop context.CancelFunc
	done chan struct{}
}

func run(t testing.TB, o Options) *running {
	t.Helper()
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Journal: j, t: t, stop: cancel, done: make(chan struct{})}
	go func() {
		j.Run(ctx)
		close(r.done)
	}()
	t.Cleanup(r.end)
	return r
}

// still is run without the loops: what happens in the background happens when the
// test says so.
func still(t testing.TB, o Options) *running {
	t.Helper()
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Journal: j, t: t, stop: func() {}, done: make(chan struct{})}
	close(r.done)
	t.Cleanup(r.end)
	return r
}

// end stops the journal as the program does, once.
func (r *running) end() {
	r.t.Helper()
	if r.stop == nil {
		return
	}
	r.stop()
	<-r.done
	r.stop = nil
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
}

// abandon stops the journal as kill -9 does: nothing is written any more.
func (r *running) abandon() {
	r.stop()
	<-r.done
	r.stop = nil
	r.lock.Release()
}

// exchange writes one record as the proxy does.
func (r *running) exchange(rec *roc.Record) roc.Receipt {
	r.t.Helper()
	var receipt roc.Receipt
	await.Until(r.t, "there is room", func() bool {
		ok, err := r.Reserve()
		return ok && err == nil
	})
	defer r.Release()
	receipt, err := r.Append(rec)
	if err != nil {
		r.t.Fatal(err)
	}
	return receipt
}

var testNow = time.Date(2026, 11, 28, 9, 30, 0, 123456000, time.UTC)

// sample is the record of some exchange; the same n gives the same record.
func sample(n int) *roc.Record {
	r := rand.New(rand.NewPCG(uint64(n), 12))
	at := testNow.Add(time.Duration(n) * time.Millisecond)
	rec := &roc.Record{
		ID:   uuidOf(uint64(n), 7),
		From: roc.StructureID(fmt.Sprintf("1%09d", 990000001+10*r.IntN(50))), Peer: "192.0.2.1",
		Service: roc.Services[r.IntN(5)], Version: roc.Version(1 + r.IntN(2)),
		RequestIn: at, AnswerOut: at.Add(time.Duration(r.IntN(5_000_000)) * time.Microsecond),
		Read: time.Duration(r.IntN(900)) * time.Microsecond, Check: time.Duration(r.IntN(900)) * time.Microsecond,
		RequestBytes: r.IntN(9000), AnswerBytes: r.IntN(9000), SignerSerial: fmt.Sprintf("%x", r.Uint64()|1),
		MessageID: string(uuidOf(uint64(n)^0x5555, 4)),
	}
	fill := func(h *[32]byte) {
		for i := range h {
			h[i] = byte(r.Uint32())
		}
	}
	fill(&rec.RequestSHA256)
	fill(&rec.AnswerSHA256)
	fill(&rec.SignatureSHA256)
	rec.To = roc.Key{AMC: roc.NumeroAMC(fmt.Sprintf("%010d", 99000001+r.IntN(20))), Convention: "RO", Domaine: roc.HOSP, Service: rec.Service, Version: rec.Version}
	switch r.IntN(4) {
	case 0:
		rec.Outcome, rec.Origin, rec.Reason = roc.Refused, roc.FromRPN, roc.Reasons()[r.IntN(len(roc.Reasons()))]
	default:
		rec.Outcome, rec.Origin, rec.FarStatus = roc.Answered, roc.FromAMC, 200
		rec.RequestOut, rec.AnswerIn, rec.AMC = at.Add(time.Millisecond), rec.AnswerOut, rec.AnswerOut.Sub(at)
	}
	return rec
}

func uuidOf(n uint64, version byte) roc.ExchangeID {
	r := rand.New(rand.NewPCG(n, uint64(version)))
	var u [16]byte
	for i := range u {
		u[i] = byte(r.Uint32())
	}
	u[6], u[8] = u[6]&15|version<<4, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return roc.ExchangeID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

func openLog(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := OpenLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// wantSound verifies a folder and wants nothing wrong in it.
func wantSound(t testing.TB, dir string) *Report {
	t.Helper()
	report, err := openLog(t, dir).Verify(testKeys().verifiers, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("verification: %s", p)
	}
	return report
}

func verifier(t testing.TB) []note.Verifier {
	t.Helper()
	v, err := ParsePublicKey(testKeys().Public())
	if err != nil {
		t.Fatal(err)
	}
	return []note.Verifier{v}
}

// testLog discards, unless JOURNAL_TEST_LOG asks to see.
func testLog() *slog.Logger {
	var w io.Writer = io.Discard
	if os.Getenv("JOURNAL_TEST_LOG") != "" {
		w = os.Stderr
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
