package limits

import (
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/crossbar"
	"github.com/piano-roc/rpn/limits/shares"
	"github.com/piano-roc/rpn/register"
)

// What is in flight is shown where it is: to which insurer, by whom.
func TestWhatIsInFlightIsShown(t *testing.T) {
	t.Parallel()
	a := NewAccess(NewAMCs(), crossbar.New(crossbar.Options{Seats: 7}))
	es := &register.Etablissement{Structure: "1990000011"}
	for _, amc := range []*register.AMC{{Nom: "Mutuelle Bleue", Numeros: []roc.NumeroAMC{"0099000003"}}, nil} {
		leave, err := a.Enter(t.Context(), amc, "roc.ailleurs.example", es, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if amc == nil {
			leave(time.Now())
		}
	}
	want := map[roc.NumeroAMC]Pool{"0099000003": {"0099000003", 7, 1, 0}, "": {"", 7, 0, 0}}
	for _, p := range a.Pools() {
		if p != want[p.Number] {
			t.Errorf("%+v, want %+v", p, want[p.Number])
		}
		delete(want, p.Number)
	}
	if len(want) > 0 {
		t.Errorf("not shown: %v", want)
	}
	l := shares.New(shares.Limit{}, shares.Limit{}, shares.Limit{})
	l.Take("a", shares.Exchanges, 2, 0)
	l.Take("b", shares.Bytes, 5, 0)
	if got := l.Holders(shares.Exchanges); len(got) != 1 || got["a"] != 2 {
		t.Errorf("holders: %v", got)
	}
}
