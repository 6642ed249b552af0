package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

var (
	monday = time.Date(2026, 11, 23, 0, 0, 0, 0, store.Paris)
	sunday = monday.AddDate(0, 0, 6)
)

var chu = Side{Structures: []roc.StructureID{"1010003812", "1010003820"}}

// generated writes a journal of random exchanges around a week.
func generated(t *testing.T, r *rand.Rand, origin string, n int) (*journal.Log, []*roc.Record) {
	t.Helper()
	dir := t.TempDir()
	private, _, err := journal.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := journal.ParseKeys(private, origin)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: dir, Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 128 << 10, SealEvery: 20 * time.Millisecond,
		Durability: journal.Relaxed, OnFull: journal.Refuse, SegmentAge: 24 * time.Hour, KeepFor: 3660 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	var all []*roc.Record
	for i := range n {
		at := monday.Add(-20*time.Hour + time.Duration(i)*(8*24*time.Hour)/time.Duration(n))
		x := &roc.Record{ID: roc.NewExchangeID(at), MessageID: string(roc.NewExchangeID(at)), Version: roc.V2}
		x.From = []roc.StructureID{"1010003812", "1010003820", "1020000012"}[r.IntN(3)]
		x.To.AMC = []roc.NumeroAMC{"0099000003", "0099000011"}[r.IntN(2)]
		x.Service = roc.AMCServices[r.IntN(len(roc.AMCServices))]
		x.RequestIn, x.AnswerOut, x.Outcome = at, at.Add(time.Second), roc.Answered
		if x.RequestOut = at; r.IntN(5) == 0 {
			x.RequestOut, x.Outcome, x.Reason = time.Time{}, roc.Refused, roc.TooMany
		}
		if x.RequestOut.IsZero() && r.IntN(4) == 0 {
			x.Service, x.Reason = roc.NoService, roc.NotSOAP
		}
		if len(all) > 0 && r.IntN(10) == 0 {
			x.MessageID = all[len(all)-1].MessageID // the message is sent again
		}
		await.Until(t, "there is room", func() bool { ok, err := j.Reserve(); return ok && err == nil })
		if _, err := j.Append(x); err != nil {
			t.Fatal(err)
		}
		j.Release()
		all = append(all, x)
	}
	end()
	running.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := journal.OpenLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, all
}

// within are the records of a side in the period, by a naive look.
func within(all []*roc.Record, side Side) (list []*roc.Record) {
	for _, x := range all {
		mine := slices.Contains(side.Structures, x.From) || slices.Contains(side.AMCs, x.To.AMC) && !x.RequestOut.IsZero()
		if mine && !x.RequestIn.Before(monday) && x.RequestIn.Before(sunday) {
			list = append(list, x)
		}
	}
	return list
}

// A list from which exchanges were taken, and to which others were added, is
// compared as a naive recount does; of an establishment with several ids, and of an
// insurer, which knows nothing of what was not sent to it.
func TestAListEqualsANaiveRecount(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	a, ofA := generated(t, r, "rpn.example/journal/a", 1500)
	b, ofB := generated(t, r, "rpn.example/journal/b", 300)
	all := append(slices.Clone(ofA), ofB...)
	for name, side := range map[string]Side{"an establishment": chu, "an insurer": {AMCs: []roc.NumeroAMC{"0099000003"}}} {
		var file strings.Builder
		file.WriteString("\uFEFFRPN-Echange;jour;service;remarque\r\n")
		rows := map[Cell]*Row{}
		at := func(x *roc.Record) *Row {
			c := Cell{x.RequestIn.In(store.Paris).Format("2006-01-02"), x.Service}
			if rows[c] == nil {
				rows[c] = &Row{Cell: c}
			}
			return rows[c]
		}
		missing := map[roc.ExchangeID]bool{}
		for _, x := range within(all, side) {
			w := at(x)
			if w.Ours++; r.IntN(6) == 0 {
				missing[x.ID] = true
				w.OursOnly++
				continue
			}
			w.Both++
			w.Theirs++
			fmt.Fprintf(&file, "%s;%s;%s;\r\n", strings.ToUpper(string(x.ID)), x.RequestIn.In(store.Paris).Format("02/01/2006"), strings.ToLower(x.Service.String()))
		}
		var invented []roc.ExchangeID
		for i := range 7 {
			x := &roc.Record{ID: roc.NewExchangeID(monday), RequestIn: monday.Add(time.Duration(i) * 20 * time.Hour), Service: roc.IDB}
			invented = append(invented, x.ID)
			w := at(x)
			w.Theirs++
			w.TheirsOnly++
			fmt.Fprintf(&file, "%s;%s;IDB;x\r\n", x.ID, x.RequestIn.Format(time.RFC3339))
		}
		c, err := Read(strings.NewReader(file.String()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Compare([]*journal.Log{a, b}, side, monday, sunday, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Equal() || len(got.Ours) != len(missing) || len(got.Theirs) != len(invented) || got.Twice != 0 || got.Damaged != 0 || got.Pruned || got.Unrecorded != 0 {
			t.Errorf("%s: %d of ours (%d), %d of theirs (%d), %+v", name, len(got.Ours), len(missing), len(got.Theirs), len(invented), got.Rows)
		}
		for i, o := range got.Ours {
			if !missing[o.ID] || i > 0 && o.At.Before(got.Ours[i-1].At) {
				t.Errorf("%s: %s is ours only", name, o.ID)
			}
			// Its proof is of its own record.
			l := []*journal.Log{a, b}[o.Log]
			if e, err := l.Entry(o.Index); err != nil || e.Exchange.ID != o.ID {
				t.Errorf("%s: record %d of journal %d: %v", name, o.Index, o.Log, err)
			}
		}
		for i, x := range got.Theirs {
			if x.ID != invented[i] || x.Why == "" {
				t.Errorf("%s: theirs only: %+v", name, x)
			}
		}
		sameRows(t, name, got.Rows, rows)
	}
}

func sameRows(t *testing.T, name string, got []Row, want map[Cell]*Row) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", name, len(got), len(want))
	}
	for _, w := range got {
		if want[w.Cell] == nil || *want[w.Cell] != w {
			t.Errorf("%s: %+v, want %+v", name, w, want[w.Cell])
		}
	}
}

// A list of MessageIDs matches each exchange once, however often a message was
// sent; a line too many is said.
func TestAMessageThatWasSentAgain(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	l, all := generated(t, r, "rpn.example/journal/a", 800)
	var file strings.Builder
	file.WriteString("message_id\n")
	for _, x := range within(all, chu) {
		fmt.Fprintf(&file, "urn:uuid:%s\n", x.MessageID)
	}
	same := func(text string) *Result {
		t.Helper()
		c, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Compare([]*journal.Log{l}, chu, monday, sunday, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := same(file.String()); !got.Equal() || len(got.Ours) != 0 {
		t.Errorf("%d of theirs, %d of ours, %d twice", len(got.Theirs), len(got.Ours), got.Twice)
	}
	if got := same(file.String() + within(all, chu)[0].MessageID + "\n"); got.Equal() || got.Twice != 1 {
		t.Errorf("%d twice", got.Twice)
	}
}

// A count is compared by day and service, and the exchanges of what differs are
// given.
func TestACountEqualsANaiveRecount(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	l, all := generated(t, r, "rpn.example/journal/a", 900)
	counts := map[Cell]int64{}
	for _, x := range within(all, chu) {
		counts[Cell{x.RequestIn.In(store.Paris).Format("2006-01-02"), x.Service}]++
	}
	write := func(change func(Cell, int64) int64) *Claim {
		t.Helper()
		var file strings.Builder
		file.WriteString("jour,service,échanges,autre\n")
		for c, n := range counts {
			service := c.Service.String()
			if c.Service == roc.NoService {
				service = []string{"", "-"}[n%2]
			}
			fmt.Fprintf(&file, "%s,%s,%d,\n", c.Day, service, change(c, n))
		}
		c, err := Read(strings.NewReader(file.String()))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if counts[Cell{"2026-11-25", roc.NoService}] == 0 {
		t.Fatal("nothing was refused before its service was known")
	}
	got, err := Compare([]*journal.Log{l}, chu, monday, sunday, write(func(_ Cell, n int64) int64 { return n }), nil)
	if err != nil || !got.Equal() || len(got.Ours) != 0 || len(got.Rows) != len(counts) {
		t.Errorf("%+v, %v", got, err)
	}
	wrong := Cell{"2026-11-25", roc.CLC}
	got, err = Compare([]*journal.Log{l}, chu, monday, sunday, write(func(c Cell, n int64) int64 {
		if c == wrong {
			return n - 1
		}
		return n
	}), nil)
	if err != nil || got.Equal() || int64(len(got.Ours)) != counts[wrong] {
		t.Fatalf("%d of ours, %v", len(got.Ours), err)
	}
	for _, w := range got.Rows {
		if off := w.OursOnly == 1; off != (w.Cell == wrong) || w.TheirsOnly != 0 {
			t.Errorf("%+v", w)
		}
	}
}

// A day outside the period that is compared is told as such, and has no row.
func TestADayOutsideThePeriodHasNoRow(t *testing.T) {
	t.Parallel()
	l, _ := generated(t, rand.New(rand.NewPCG(7, 8)), "rpn.example/journal/a", 50)
	outside := Cell{"2026-10-01", roc.IDB}
	got, err := Compare([]*journal.Log{l}, chu, monday, sunday, &Claim{Counts: map[Cell]int64{outside: 3}}, nil)
	if err != nil || len(got.Theirs) != 1 || got.Theirs[0].Day != outside.Day {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, w := range got.Rows {
		if w.Cell == outside {
			t.Errorf("%+v", w)
		}
	}
}

// What is wrong in a file is said with its line, in French; nothing else is taken
// for it.
func TestABadFileSaysItsLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           "ligne 1 : le fichier est vide",
		"\uFEFF":                     "ligne 1 : le fichier est vide",
		"a;b\n1;2\n":                 "ligne 1 : il manque des colonnes",
		"jour;service\n":             "ligne 1 : il manque des colonnes",
		"jour;date;service;nombre\n": "ligne 1 : deux colonnes sont la colonne jour",
		"jour;service;echanges\n2026-13-01;IDB;1\n":                   "ligne 2 : jour : \"2026-13-01\" n'est pas un jour",
		"jour;service;echanges\n2026-11-23;XYZ;1\n":                   "ligne 2 : service : \"XYZ\"",
		"jour;service;echanges\n\n2026-11-23;IDB;-1\n":                "ligne 3 : echanges : \"-1\"",
		"jour;service;echanges\n2026-11-23;IDB;1\n23/11/2026;idb;2\n": "ligne 3 : 2026-11-23 IDB est déjà plus haut",
		"echange\n1234\n":                     "ligne 2 : echange : \"1234\" n'est pas un identifiant",
		"echange;message_id;service\n;;IDB\n": "ligne 2 : ni echange ni message_id",
		"echange;jour\n\"1234;x\n":            "guillemets mal placés",
		"echange\n\xff\n":                     "ligne 2 : le fichier n'est pas en UTF-8",
		"jour;service;echanges\n" + strings.Repeat("x;IDB;1\n", 1000):  "et d'autres erreurs plus loin",
		"echange\n" + strings.Repeat("é", 5000) + "\n":                 "...",
		"jour;service;echanges\n2026-11-23;IDB;99999999999999999999\n": "ligne 2 : echanges",
	} {
		_, err := Read(strings.NewReader(text))
		var list Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) || len(err.Error()) > 8000 {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// endless is a file that never ends: what is read of it is counted.
type endless struct {
	text string
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[(e.read+i)%len(e.text)]
	}
	e.read += len(p)
	return len(p), nil
}

// A line that is too long is refused with its number, and what follows it is not
// read: a file cannot make cells without end of few bytes. One of the most that a
// line may have is read.
func TestALineThatIsTooLongIsNotRead(t *testing.T) {
	t.Parallel()
	const head = "jour;service;echanges\n2026-11-23;IDB;1\n"
	for name, text := range map[string]string{"cells": ";", "a text": "x", "cells and quoted ends of line": "\"\n\";;;;;;"} {
		file := &endless{text: text}
		_, err := Read(io.MultiReader(strings.NewReader(head), file))
		var list Errors
		if !errors.As(err, &list) || !strings.HasPrefix(err.Error(), "ligne 3 : plus de 64 Kio") {
			t.Errorf("%s: %.200v", name, err)
		}
		if file.read > 3*mostLine {
			t.Errorf("%s: %d bytes were read", name, file.read)
		}
	}
	const row = "2026-11-24;IDB;1;"
	c, err := Read(strings.NewReader(head + row + strings.Repeat("x", mostLine-len(row)-1) + "\n2026-11-25;IDB;1"))
	if err != nil || len(c.Counts) != 3 {
		t.Errorf("a line of 64 Kio: %+v, %v", c, err)
	}
}

// FuzzRead: whatever is handed in, it is read or refused with a line, and what is
// read is well formed.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"\uFEFFjour;service;echanges\r\n2026-11-23;IDB;12\r\n", "jour,service,nombre\n23/11/2026,CLC,1 200\n",
		"echange;message_id;jour;service\n0193a0f2-0000-7000-8000-000000000001;;2026-11-23T10:00:00+01:00;SIM\n", "message_id\nurn:uuid:0193a0f2-0000-7000-8000-000000000001\n", "jour;service;echanges\n\"\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Read(bytes.NewReader(data))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "ligne ") {
				t.Fatalf("%v", err)
			}
			return
		}
		for cell, n := range c.Counts {
			if _, err := time.Parse(time.DateOnly, cell.Day); err != nil || n < 0 {
				t.Fatalf("%+v: %d, %v", cell, n, err)
			}
		}
		for _, l := range c.Lines {
			if l.Number < 2 || l.ID == "" && l.MessageID == "" || l.ID != "" && !roc.IsUUID(string(l.ID)) || l.MessageID != "" && !roc.IsUUID(l.MessageID) {
				t.Fatalf("%+v", l)
			}
		}
	})
}
