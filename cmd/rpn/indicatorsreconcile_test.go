package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// written writes a file of a test.
func written(t *testing.T, name, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sealedJournal is a journal of some exchanges, and the file of its public key.
func sealedJournal(t *testing.T, list ...*roc.Record) (dir, key string) {
	t.Helper()
	dir = t.TempDir()
	const origin = "rpn.example/journal/a"
	private, public, err := journal.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := journal.ParseKeys(private, origin)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: dir, Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 128 << 10, SealEvery: 20 * time.Millisecond,
		Durability: journal.Relaxed, OnFull: journal.Refuse, SegmentAge: 24 * time.Hour, KeepFor: 3660 * 24 * time.Hour, Now: func() time.Time { return list[0].RequestIn }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	for _, x := range list {
		await.Until(t, "there is room", func() bool { ok, err := j.Reserve(); return ok && err == nil })
		if _, err := j.Append(x); err != nil {
			t.Fatal(err)
		}
		j.Release()
	}
	await.Until(t, "the full segments are closed", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "segment-*.open"))
		return err == nil && len(left) <= 2 // one in use, one ready
	})
	end()
	running.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, written(t, "key.pub", public+"\n")
}

// A count that agrees exits with 0, one that does not with 1, and a file or a
// question that is wrong with 2; what the RPN has alone comes with a proof that
// holds without the journal.
func TestACountIsReconciled(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, store.Paris)
	of := func(at time.Time, service roc.Service) *roc.Record {
		return &roc.Record{ID: roc.NewExchangeID(at), MessageID: string(roc.NewExchangeID(at)), Version: roc.V2, From: "1010003812", To: roc.Key{AMC: "0099000003"},
			Service: service, RequestIn: at, RequestOut: at, AnswerOut: at.Add(time.Second), Outcome: roc.Answered}
	}
	idb, clc, unread := of(at, roc.IDB), of(at.Add(time.Minute), roc.CLC), of(at.Add(time.Hour), roc.NoService)
	unread.To, unread.RequestOut, unread.Outcome, unread.Reason = roc.Key{}, time.Time{}, roc.Refused, roc.NotSOAP
	dir, key := sealedJournal(t, idb, clc, unread)
	reconcile := func(file string, more ...string) (int, string, string) {
		return rpn(t, "", append([]string{"indicators", "reconcile", "--file", file, "--dir", dir, "--from", "2026-11-24", "--to", "2026-11-25"}, more...)...)
	}
	side := []string{"--structure", "1010003812"}

	for _, none := range []string{"", "-"} {
		file := written(t, "compte.csv", "jour;service;echanges\n2026-11-24;IDB;1\n24/11/2026;CLC;1\n2026-11-24;"+none+";1\n")
		if code, out, errs := reconcile(file, side...); code != 0 || !strings.Contains(out, "tout concorde") {
			t.Errorf("a count that agrees: exit %d %s %s", code, out, errs)
		}
	}

	proofs := filepath.Join(t.TempDir(), "preuves")
	file := written(t, "liste.csv", "echange\n"+string(idb.ID)+"\n"+string(unread.ID)+"\n")
	code, out, errs := reconcile(file, append(side, "--json", "--proofs", proofs)...)
	var got reconciledJSON
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitFailed || got.Equal || len(got.Theirs) != 0 || len(got.Ours) != 1 || got.Ours[0].ID != clc.ID {
		t.Fatalf("a list that lacks one: exit %d, %v, %s %s", code, err, out, errs)
	}
	if all, err := os.ReadDir(proofs); err != nil || len(all) != 1 {
		t.Errorf("the proofs: %v, %v", all, err)
	}
	if code, out, errs := rpn(t, "", "receipt", "verify", "--key", key, "--proof", filepath.Join(proofs, string(clc.ID)+".tlog-proof")); code != 0 || !strings.Contains(out, clc.MessageID) {
		t.Errorf("the proof: exit %d %s %s", code, out, errs)
	}

	for name, c := range map[string]struct {
		file, says string
		more       []string
	}{
		"a wrong line":        {written(t, "faux.csv", "jour;service;echanges\n2026-11-24;IDB;x\n"), "ligne 2 : echanges", side},
		"a line without end":  {written(t, "long.csv", "jour;service;echanges\n"+strings.Repeat(";", 1<<20)), "ligne 2 : plus de 64 Kio", side},
		"no file":             {filepath.Join(t.TempDir(), "absent.csv"), "absent.csv", side},
		"nobody's":            {file, "--structure", nil},
		"of both":             {file, "--structure", append(side, "--amc", "0099000003")},
		"a period of nothing": {file, "--from", append(side, "--to", "2026-11-24")},
	} {
		if code, _, errs := reconcile(c.file, c.more...); code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d %s", name, code, errs)
		}
	}
}
