package limits

import (
	"context"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/crossbar"
	"github.com/piano-roc/rpn/register"
)

// Hosts that are not in the register share one pool, whatever their number; an
// AMC of the register has its own.
func TestHostsOutsideTheRegisterShareOnePool(t *testing.T) {
	t.Parallel()
	a := NewAccess(NewAMCs(), crossbar.New(crossbar.Options{Seats: 2, PairShare: 0.5}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	enter := func(amc *register.AMC, host string, n int) error {
		_, err := a.Enter(ctx, amc, host, &register.Etablissement{Structure: structure(n)}, time.Now())
		return err
	}
	for i, host := range []string{"a.example", "b.example"} {
		if err := enter(nil, host, i); err != nil {
			t.Fatalf("%s: %v", host, err)
		}
	}
	if err := enter(nil, "c.example", 3); !roc.IsRefused(err, roc.Overloaded) {
		t.Errorf("a third host: %v, want no seat", err)
	}
	if err := enter(amc("0075500025", register.Limite{}), "d.example", 3); err != nil {
		t.Errorf("an AMC of the register: %v", err)
	}
}
