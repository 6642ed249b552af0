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
		write(slog.LevelInfo, nil, event("reloaded"))
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
