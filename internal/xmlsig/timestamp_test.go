package xmlsig

import (
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A clock that differs by whole half hours is the clock of a time zone.
func TestAClockThatDiffersByHalfHoursIsATimeZone(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	v := NewVerifier(Options{})
	for _, c := range []struct {
		ahead time.Duration
		want  roc.CauseCode
	}{
		{time.Hour + 20*time.Second, roc.TimeZone},
		{-2*time.Hour - time.Minute, roc.TimeZone},
		{5*time.Hour + 30*time.Minute, roc.TimeZone},
		{7 * time.Minute, roc.ClockAhead},
		{47 * time.Minute, roc.ClockAhead},
		{-47 * time.Minute, roc.MessageExpired},
		{-30 * 24 * time.Hour, roc.MessageExpired},
		{0, ""},
	} {
		created := now.Add(c.ahead)
		var got roc.CauseCode
		if err := v.checkTime(timestamp{created: created, expires: created.Add(5 * time.Minute)}, now); err != nil {
			got = roc.RefusalOf(err).CauseCode
		}
		if got != c.want {
			t.Errorf("%v ahead: %q, want %q", c.ahead, got, c.want)
		}
	}
}
