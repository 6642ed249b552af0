package expiry

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// What was seen is bounded: of one owner, in number, and in bytes; the one seen
// longest ago goes. Nothing is left of it.
func TestTheInventoryIsBounded(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	h := New(func() time.Time { return at })
	heavy := make([]byte, 32<<10) // the largest that comes in
	n := int64(0)
	saw := func(kind Kind, owner string, der []byte) *x509.Certificate {
		n++
		at = at.Add(time.Second)
		c := &x509.Certificate{Raw: der, RawTBSCertificate: fmt.Append(nil, n), RawSubject: []byte(owner), SerialNumber: big.NewInt(n)}
		h.Saw(kind, owner, []*x509.Certificate{c})
		return c
	}
	whole := func(when string) {
		t.Helper()
		bytes, owned := 0, 0
		for _, s := range h.seen {
			bytes += s.size()
		}
		for _, n := range h.owned {
			owned += n
		}
		if bytes != h.bytes || owned != len(h.seen) || len(h.seen) > maxSeen || bytes > maxSeenBytes || len(h.counted) > 2*len(h.seen) {
			t.Errorf("%s: %d certificates, %d owned, %d counted, %d bytes, %d told", when, len(h.seen), owned, len(h.counted), bytes, h.bytes)
		}
	}

	first := saw(CallerTLS, "un", heavy)
	for range 200 {
		saw(CallerTLS, "un", heavy)
	}
	if len(h.seen) != maxSeenPerOwner || h.seen[printOf(CallerTLS, first)] != nil {
		t.Errorf("%d certificates of one owner, want the last %d", len(h.seen), maxSeenPerOwner)
	}
	whole("one owner")

	for owner := range maxSeenBytes/len(heavy) + 100 {
		saw(CallerTLS, fmt.Sprint("lourd", owner), heavy)
	}
	if h.bytes < maxSeenBytes-len(heavy) {
		t.Errorf("%d bytes: the bound is %d", h.bytes, maxSeenBytes)
	}
	whole("in bytes")

	h = New(func() time.Time { return at })
	for owner := range maxSeen + 20 {
		saw(CallerSignature, fmt.Sprint(owner), heavy[:100])
	}
	if len(h.seen) != maxSeen {
		t.Errorf("%d certificates, want %d", len(h.seen), maxSeen)
	}
	whole("in number")

	// One whose owner is said otherwise later leaves nothing of the other name.
	h = New(func() time.Time { return at })
	c := saw(CallerTLS, "un", nil)
	h.Saw(CallerTLS, "deux", []*x509.Certificate{c})
	h.Used(CallerTLS, "un")
	if all := h.Expiries(); len(all) != 1 || all[0].Calls != 0 || len(h.counted) != 2 {
		t.Errorf("%+v, %d counted", all, len(h.counted))
	}
}
