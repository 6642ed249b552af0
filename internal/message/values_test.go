package message_test

import (
	"testing"

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
