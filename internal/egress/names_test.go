package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A dns answers by its addresses, by "no such name" where it has none, or not at
// all.
type dns struct {
	says   []netip.Addr
	silent atomic.Bool
	asked  atomic.Int32
}

func (d *dns) ask(ctx context.Context, _, host string) ([]netip.Addr, error) {
	d.asked.Add(1)
	if d.silent.Load() {
		<-ctx.Done()
		return nil, &net.DNSError{Err: "silent", Name: host, IsTimeout: true}
	}
	if len(d.says) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return d.says, nil
}

// seen is what a lookup came to.
func seen(n *Names, host string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	f, err := n.lookup(ctx, host)
	if err != nil {
		return string(FaultOf(err))
	}
	var text []string
	for _, a := range f.Addresses {
		text = append(text, a.String())
	}
	if f.Stale != nil {
		text = append(text, "stale")
	}
	return strings.Join(text, " ")
}

// While DNS does not answer, the addresses that it gave last serve, at once after
// the first question and for a bounded time; what it says is followed.
func TestTheLastAddressServesWhileDNSIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dns{says: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
		var told []bool
		n := NewNames(NamesOptions{Ask: d.ask, Serve: time.Hour, Now: time.Now, OnFailing: func(err error) { told = append(told, err != nil) }})
		want := func(host, what string) {
			t.Helper()
			if got := seen(n, host); got != what {
				t.Errorf("%s: %q, want %q", host, got, what)
			}
		}
		want("amc.example", "192.0.2.1")
		d.silent.Store(true)
		begun := time.Now()
		want("amc.example", "192.0.2.1 stale")
		if took := time.Since(begun); took > firstAnswer {
			t.Errorf("the first question took %s", took)
		}
		asked, begun := d.asked.Load(), time.Now()
		want("amc.example", "192.0.2.1 stale")
		if took := time.Since(begun); took > 0 || d.asked.Load() != asked {
			t.Errorf("the next one took %s, %d questions", took, d.asked.Load()-asked)
		}
		want("never.example", string(OfTheResolver))
		if err := n.Failing(); err == nil || !strings.Contains(err.Error(), "2 of 2 names") || !strings.Contains(err.Error(), "1 have none") {
			t.Errorf("failing: %v", err)
		}
		time.Sleep(time.Hour) // of the bubble
		want("amc.example", string(OfTheResolver))

		// It answers again: the names are asked in the background, and all is well.
		d.silent.Store(false)
		d.says[0] = netip.MustParseAddr("192.0.2.2")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go n.Run(ctx)
		time.Sleep(2 * again) // of the bubble
		synctest.Wait()
		if err := n.Failing(); err != nil {
			t.Error(err)
		}
		want("amc.example", "192.0.2.2")
		if len(told) != 2 || !told[0] || told[1] {
			t.Errorf("told: %v", told)
		}

		// A name that is no more does not serve.
		d.says = nil
		want("amc.example", string(OfTheName))
		d.silent.Store(true)
		want("amc.example", string(OfTheResolver))
	})
}

// Where DNS does not say whether the last address is still the right one, that
// nothing accepts there is the fault of DNS, unless it may not be dialled at all.
func TestAnOldAddressThatDoesNotAcceptIsNoFaultOfTheFarEnd(t *testing.T) {
	t.Parallel()
	silent := &net.DNSError{IsTimeout: true}
	if f := FaultOf(Found{Stale: silent}.Because(errors.New("refused"))); f != OfTheResolver {
		t.Error(f)
	}
	if f := FaultOf(Found{Stale: silent}.Because(ErrForbidden)); f != OfTheAddressRule {
		t.Error(f)
	}
	if f := FaultOf(Found{}.Because(errors.New("refused"))); f != OfTheFarEnd {
		t.Error(f)
	}
}

// What is remembered is bounded.
func TestTheNamesAreBounded(t *testing.T) {
	t.Parallel()
	n := NewNames(NamesOptions{Serve: time.Hour, Now: time.Now})
	for i := range mostNames {
		n.by[string(rune(i+1))] = &name{wanted: time.Unix(int64(i), 0)}
	}
	n.dropLocked()
	if len(n.by) != mostNames-1 || n.by[string(rune(1))] != nil {
		t.Errorf("%d names are kept", len(n.by))
	}
}
