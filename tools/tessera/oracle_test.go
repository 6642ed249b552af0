package tessera

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

const (
	origin  = "rpn.example/journal/oracle"
	records = 3000 // beyond a tile of tiles there is one of 65536: its path is tested in journal
)

// write writes a journal of that many exchanges in closed segments, and returns
// its key.
func write(t *testing.T, dir string) (private string, key journal.PublicKey) {
	t.Helper()
	private, public, err := journal.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := journal.ParseKeys(private, origin)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = journal.ParsePublicKey(public); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: dir, Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 96 << 10,
		SealEvery: 5 * time.Millisecond, Durability: journal.Relaxed, OnFull: journal.Refuse, SegmentAge: 24 * time.Hour, KeepFor: 366 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	loops.Go(func() { j.Run(ctx) })
	r := rand.New(rand.NewPCG(1, 1))
	for n := range records {
		await.Until(t, "there is room", func() bool { ok, err := j.Reserve(); return ok && err == nil })
		var id [16]byte
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		id[6], id[8] = id[6]&15|0x70, id[8]&0x3f|0x80
		h := hex.EncodeToString(id[:])
		rec := &roc.Record{ID: roc.ExchangeID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]), From: "1990000011", RequestIn: time.Now(), AnswerOut: time.Now(), Outcome: roc.Answered}
		receipt, err := j.Append(rec)
		if err != nil {
			t.Fatal(err)
		}
		if n%9 == 0 {
			j.Amend(receipt, rec.ID, journal.CallerLeft, "")
		}
		j.Release()
	}
	await.Until(t, "every full segment is closed", func() bool { return j.Stats().WaitClose == 0 })
	stop()
	loops.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return private, key
}

// A log of Tessera with the same records has the same root.
func TestTesseraComputesTheSameRoot(t *testing.T) {
	dir := t.TempDir()
	private, key := write(t, dir)
	l, err := journal.OpenLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	driver, err := posix.New(ctx, posix.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithCheckpointInterval(200*time.Millisecond).WithBatching(256, 20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	var futures []tessera.IndexFuture
	for e, err := range l.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		futures = append(futures, appender.Add(ctx, tessera.NewEntry(e.Raw)))
	}
	for i, f := range futures {
		if got, err := f(); err != nil || got.Index != uint64(i) {
			t.Fatalf("record %d is %d of Tessera: %v", i, got.Index, err)
		}
	}
	if err := shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	signed, err := reader.ReadCheckpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := journal.OpenCheckpoint(signed, []journal.PublicKey{key})
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != want.Size || got.Root != want.Root {
		t.Errorf("Tessera has %d records with root %x, the journal %d with %x", got.Size, got.Root, want.Size, want.Root)
	}
	t.Logf("%d records, root %x", got.Size, got.Root)
}

// Tessera makes proofs from the tiles of the journal; they are those that the
// journal makes, and each root leads to the next.
func TestTesseraMakesTheSameProofs(t *testing.T) {
	dir := t.TempDir()
	_, key := write(t, dir)
	l, err := journal.OpenLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	signed, err := os.ReadFile(filepath.Join(dir, "tiles", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	closed, err := journal.OpenCheckpoint(signed, []journal.PublicKey{key})
	if err != nil {
		t.Fatal(err)
	}
	tiles := client.FileFetcher{Root: filepath.Join(dir, "tiles")}
	builder, err := client.NewProofBuilder(t.Context(), closed.Size, tiles.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	// As if the journal had ended there: its proofs are of that checkpoint.
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), signed, 0o600); err != nil {
		t.Fatal(err)
	}
	hasher := rfc6962.DefaultHasher
	for e, err := range l.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Index >= closed.Size {
			break
		}
		path, err := builder.InclusionProof(t.Context(), e.Index)
		if err != nil {
			t.Fatalf("record %d: %v", e.Index, err)
		}
		leaf := hasher.HashLeaf(e.Raw)
		if !bytes.Equal(leaf, e.Leaf[:]) {
			t.Fatalf("record %d: the leaf differs", e.Index)
		}
		if err := proof.VerifyInclusion(hasher, e.Index, closed.Size, leaf, path, closed.Root[:]); err != nil {
			t.Fatalf("record %d: %v", e.Index, err)
		}
		if e.Index%101 != 0 {
			continue
		}
		ours, err := l.Prove(e.Index)
		if err != nil {
			t.Fatal(err)
		}
		if got := hashesOf(t, ours); !slices.EqualFunc(got, path, bytes.Equal) {
			t.Errorf("record %d: the proof of the journal has %d hashes, that of Tessera %d, or others", e.Index, len(got), len(path))
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "segment-*.zst"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d closed segments, %v", len(files), err)
	}
	t.Logf("%d records of %d closed segments", closed.Size, len(files))
	for _, size := range []uint64{1, 2, 255, 256, 257, 1000, closed.Size - 1, closed.Size} {
		path, err := builder.ConsistencyProof(t.Context(), size, closed.Size)
		if err != nil {
			t.Fatal(err)
		}
		smaller, err := rootAt(l, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyConsistency(hasher, size, closed.Size, path, smaller, closed.Root[:]); err != nil {
			t.Errorf("from %d records to %d: %v", size, closed.Size, err)
		}
	}
}

// rootAt computes the root of the first records by the definition of RFC 6962.
func rootAt(l *journal.Log, size uint64) ([]byte, error) {
	var leaves [][]byte
	for e, err := range l.Entries(0) {
		if err != nil {
			return nil, err
		}
		if e.Index == size {
			break
		}
		leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(e.Raw))
	}
	if uint64(len(leaves)) != size {
		return nil, fmt.Errorf("%d records, not %d", len(leaves), size)
	}
	return rootOf(leaves), nil
}

func rootOf(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return rfc6962.DefaultHasher.HashChildren(rootOf(leaves[:k]), rootOf(leaves[k:]))
}

// hashesOf are the hashes of a tlog-proof.
func hashesOf(t *testing.T, text []byte) (list [][]byte) {
	t.Helper()
	head, _, _ := strings.Cut(string(text), "\n\n")
	for _, line := range strings.Split(head, "\n")[3:] {
		b, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}
