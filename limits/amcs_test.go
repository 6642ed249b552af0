package limits

import (
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

func amc(numero roc.NumeroAMC, limit register.Limite) *register.AMC {
	return &register.AMC{Nom: "Mutuelle fictive", Numeros: []roc.NumeroAMC{numero, numero + "9"}, Limite: limit}
}

// passed is how many of n messages pass at once.
func passed(t *testing.T, l *AMCs, a *register.AMC, n int, at time.Time) (passed int) {
	t.Helper()
	for range n {
		if err := l.Allow(a, at); err == nil {
			passed++
		} else if !roc.IsRefused(err, roc.Overloaded) {
			t.Fatalf("refused otherwise than overloaded: %v", err)
		}
	}
	return passed
}

func TestAnAMCIsSentToAsFastAsItsRegisterSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		limit        register.Limite
		atOnce, next int // at once, and a second later
	}{
		{"no limit", register.Limite{}, 1000, 1000},
		{"a burst alone is no rate", register.Limite{Rafale: 3}, 1000, 1000},
		{"a rate and a burst", register.Limite{ParSeconde: 2, Rafale: 5}, 5, 2},
		{"a rate alone: a second's worth", register.Limite{ParSeconde: 7}, 7, 7},
		{"a slow rate alone: one", register.Limite{ParSeconde: 0.5}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := NewAMCs()
			a := amc("0075500025", c.limit)
			if n := passed(t, l, a, 1000, noon); n != c.atOnce {
				t.Errorf("%d passed at once, want %d", n, c.atOnce)
			}
			if n := passed(t, l, a, 1000, noon.Add(time.Second)); n != c.next {
				t.Errorf("%d passed a second later, want %d", n, c.next)
			}
		})
	}
	if err := NewAMCs().Allow(nil, noon); err != nil {
		t.Errorf("an AMC that is not in the register: %v", err)
	}
}

func TestARefusalForAnAMCSaysItsLimitAndHowLongToWait(t *testing.T) {
	t.Parallel()
	l := NewAMCs()
	slow, other := amc("0075500025", register.Limite{ParSeconde: 2, Rafale: 3}), amc("0075500041", register.Limite{ParSeconde: 2, Rafale: 3})
	passed(t, l, slow, 3, noon)
	r := roc.RefusalOf(l.Allow(slow, noon))
	if r.RetryAfter != 500*time.Millisecond {
		t.Errorf("RetryAfter is %s, want 500ms at 2 a second", r.RetryAfter)
	}
	if want := "La limite de l'organisme Mutuelle fictive est atteinte : 2 messages par seconde, 3 d'un coup, tous établissements confondus. Prochain envoi possible dans 0,5 s."; r.Detail != want {
		t.Errorf("Detail is %q, want %q", r.Detail, want)
	}
	if err := l.Allow(slow, noon.Add(r.RetryAfter)); err != nil {
		t.Errorf("refused after the wait it asked for: %v", err)
	}
	if n := passed(t, l, other, 10, noon); n != 3 {
		t.Errorf("%d passed for the other AMC, want 3", n)
	}
}
