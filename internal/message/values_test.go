package message_test

import (
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
)

func TestParseMontant(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]message.Montant{
		"0": 0, "0.00": 0, "60": 6000, "60.5": 6050, "60.05": 6005, "162.48": 16248, "007.10": 710, "999999999.99": 99999999999,
	} {
		if got, err := message.ParseMontant(s); err != nil || got != want {
			t.Errorf("%q: %d, %v; not %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", ".", "1.", ".5", "1,5", "-1", "+1", " 1", "1 ", "1e3", "1.234", "1234567890", "1.2.3", "１", "0x1"} {
		if got, err := message.ParseMontant(s); err == nil {
			t.Errorf("%q is read as %s", s, got)
		}
	}
}

func FuzzParseMontant(f *testing.F) {
	for _, s := range []string{"60.00", "1.", "999999999.99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := message.ParseMontant(s)
		if err != nil {
			return
		}
		if again, err := message.ParseMontant(m.String()); err != nil || again != m || m < 0 {
			t.Errorf("%q reads as %d, written %q, read again as %d (%v)", s, m, m.String(), again, err)
		}
	})
}

// The last day of validity is a whole day in France, whose length changes
// twice a year.
func TestValidUntilIsTheMidnightThatEndsTheLastDay(t *testing.T) {
	t.Parallel()
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	for fin, want := range map[string]string{
		"2026-12-31": "2026-12-31T23:00:00Z",
		"2026-06-30": "2026-06-30T22:00:00Z",
		"2026-10-25": "2026-10-25T23:00:00Z", // a day of 25 hours
		"2026-03-29": "2026-03-29T22:00:00Z", // of 23
	} {
		d, err := time.ParseInLocation("2006-01-02", fin, paris)
		if err != nil {
			t.Fatal(err)
		}
		if got := (message.SearchAnswer{Fin: d}).ValidUntil().UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s ends at %s, not %s", fin, got, want)
		}
	}
	if !(message.SearchAnswer{}).ValidUntil().IsZero() {
		t.Error("an answer without fin has an end")
	}
}
