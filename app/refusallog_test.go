package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

func TestRefusalsThatRepeatAreCountedAndNotWritten(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	written := map[roc.StructureID]int{}
	l := newRefusalLog(func(rec *roc.Record) { written[rec.From]++ }, slog.New(slog.NewJSONHandler(&out, nil)))
	for range 5000 {
		l.Observe(&roc.Record{From: "1010003812", Outcome: roc.Refused, Reason: roc.Suspended, RequestIn: time.Now()})
	}
	l.Observe(&roc.Record{From: "12A0000014", Outcome: roc.Refused, Reason: roc.Suspended})
	for range 100 {
		l.Observe(&roc.Record{From: "1010003812", Outcome: roc.Answered})
	}
	for range 50 { // it spent its credit: each tells the establishment something
		l.Observe(&roc.Record{From: "12A0000014", Outcome: roc.Refused, Reason: roc.BadKey, RequestIn: time.Now()})
	}
	l.Close()
	if written["1010003812"] != 1+100 || written["12A0000014"] != 1+refusalLines {
		t.Errorf("written: %v, want one refusal and each answer, and of another one and %d", written, refusalLines)
	}
	for _, want := range []string{`"event":"refusals_repeated"`, `"structure":"1010003812"`, `"code":"RPN102"`, `"count":4999`, `"count":30`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, out.String())
		}
	}
	if strings.Count(out.String(), "\n") != 2 {
		t.Errorf("want two lines:\n%s", out.String())
	}
}

func TestRefusalsOfManyCallersAreBounded(t *testing.T) {
	t.Parallel()
	l := newRefusalLog(func(*roc.Record) {}, slog.New(slog.DiscardHandler))
	defer l.Close()
	for i := range 3 * refusalKeys {
		l.Observe(&roc.Record{From: roc.StructureID(rune(i)), Outcome: roc.Refused, Reason: roc.Suspended})
	}
	if n := len(l.by); n > refusalKeys+1 {
		t.Errorf("%d callers are kept, want at most %d", n, refusalKeys)
	}
}

func TestConnectionsTurnedAwayAreToldOnceThenCounted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := newRefusalLog(nil, slog.New(slog.NewJSONHandler(&out, nil)))
	for range 300 {
		l.TurnedAway("1010003812")
	}
	l.Observe(&roc.Record{From: "1010003812", Outcome: roc.Refused, Reason: roc.Suspended}) // exchanges have no line
	l.Close()
	for _, want := range []string{`"count":1,`, `"count":299,`} {
		if !strings.Contains(out.String(), want) || strings.Count(out.String(), "connections_turned_away") != 2 || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("want one line at once and one at the end, with %s:\n%s", want, out.String())
		}
	}
}
