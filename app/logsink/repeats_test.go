package logsink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/app/logsink"
)

// A state that lasts is one line, and so is another of the same event; what is
// about one thing, an act or an end is written each time.
func TestAStateThatLastsIsWrittenOnce(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	h := logsink.WithoutRepeats(slog.NewTextHandler(&b, nil))
	at := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	write := func(level slog.Level, with []slog.Attr, attrs ...slog.Attr) {
		r := slog.NewRecord(at, level, "m", 0)
		r.AddAttrs(attrs...)
		if err := h.WithAttrs(with).Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	event := func(name string) slog.Attr { return slog.String("event", name) }
	for i := range 100 {
		at = at.Add(time.Second)
		write(slog.LevelWarn, nil, event("annuaire_probe_failed"), slog.Any("error", errors.New("i/o").Error()+fmt.Sprint(i)))
		write(slog.LevelWarn, []slog.Attr{slog.String("echange", fmt.Sprint(i)), slog.String("amc", "1")}, event("annuaire_newcomer_accepted"))
		write(slog.LevelWarn, nil, event("annuaire_quarantined"), slog.String("amc", fmt.Sprint(i%2)), slog.Int("n", i))
		write(slog.LevelError, nil, event("exchange_not_recorded"), slog.String("echange", fmt.Sprint(i)))
		write(slog.LevelWarn, nil, event("reload_failed"), slog.String("part", "register"))
		write(slog.LevelInfo, nil, event("reloaded"), slog.String("who", "root"))
	}
	at = at.Add(10 * time.Minute)
	write(slog.LevelWarn, nil, event("annuaire_probe_failed"))
	for name, want := range map[string]int{
		"annuaire_probe_failed": 2, "annuaire_newcomer_accepted": 1, "annuaire_quarantined": 2, "exchange_not_recorded": 100, "reload_failed": 100, "reloaded": 100,
	} {
		if got := strings.Count(b.String(), "event="+name+"\n") + strings.Count(b.String(), "event="+name+" "); got != want {
			t.Errorf("%s: %d lines, want %d", name, got, want)
		}
	}
	if !strings.Contains(b.String(), "event=annuaire_probe_failed repeated=99") {
		t.Errorf("it does not say how often:\n%s", b.String()[max(0, b.Len()-300):])
	}
}

// A state that ended and begins again is written again, however soon: the log never
// ends with an end that is not one. The end of another state changes nothing.
func TestAStateThatBeginsAgainIsWrittenAgain(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l := slog.New(logsink.WithoutRepeats(slog.NewTextHandler(&b, nil)))
	for range 3 {
		l.Warn("", "event", "amc_rests", "address", "roc.a.example", "error", "silent")
		l.Warn("", "event", "amc_rests", "address", "roc.a.example", "error", "silent still")
		l.Info("", "event", "amc_serves_again", "address", "roc.b.example")
		l.Info("", "event", "exchange", "address", "roc.a.example")
		l.Warn("", "event", "amc_rests", "address", "roc.a.example", "error", "silent still")
		l.Info("", "event", "amc_serves_again", "address", "roc.a.example", "after", time.Minute)
		l.Warn("", "event", "dns_failing", "error", "no answer")
		l.Warn("", "event", "dns_failing", "error", "no answer")
		l.Info("", "event", "dns_answers_again")
	}
	for event, want := range map[string]int{"amc_rests": 3, "dns_failing": 3, "amc_serves_again": 6, "dns_answers_again": 3, "exchange": 3} {
		if n := strings.Count(b.String(), "event="+event+"\n") + strings.Count(b.String(), "event="+event+" "); n != want {
			t.Errorf("%s: %d lines, want %d\n%s", event, n, want, &b)
		}
	}
}
