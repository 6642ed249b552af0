package tlsconf_test

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Whoever comes from an address where somebody was just accepted is judged as
// a stranger is.
func TestNobodyComesInByAnAddress(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	d := goodDoor(t, p)
	good := clientConfig(p, p.Auth(chu, "CH"))
	for _, c := range []struct {
		name string
		pair []igc.Pair
		want trust.Reason
	}{
		{"none", nil, trust.NoCertificate},
		{"expired", []igc.Pair{p.Auth(chu, "CH", igc.Expired())}, trust.Expired},
		{"not yet", []igc.Pair{p.Auth(chu, "CH", igc.NotYet())}, trust.NotYetValid},
		{"other CA", []igc.Pair{p.Auth(chu, "CH", igc.OtherCA())}, trust.UnknownCA},
		{"impostor", []igc.Pair{p.Auth(chu, "CH", igc.Impostor())}, trust.UnknownCA},
		{"self-signed", []igc.Pair{p.Auth(chu, "CH", igc.SelfSigned())}, trust.UnknownCA},
		{"wrong EKU", []igc.Pair{p.Auth(chu, "CH", igc.WrongEKU())}, trust.WrongUsage},
		{"no EKU", []igc.Pair{p.Auth(chu, "CH", igc.NoEKU())}, trust.WrongUsage},
		{"wrong KU", []igc.Pair{p.Auth(chu, "CH", igc.WrongKU())}, trust.WrongUsage},
		{"signature certificate", []igc.Pair{p.Sign(chu, "CH")}, trust.UnknownCA},
		{"rsa 1024", []igc.Pair{p.Auth(chu, "CH", igc.WeakRSA())}, trust.WeakKey},
		{"sha-1", []igc.Pair{p.Auth(chu, "CH", igc.SHA1())}, trust.WeakKey},
		{"server certificate", []igc.Pair{p.Server(igc.EtablissementTLS, "x.test")}, trust.WrongUsage},
		{"key of another", []igc.Pair{{Cert: p.Auth(chu, "CH").Cert, Key: p.Auth(autre, "CH").Key}}, trust.Protocol},
	} {
		// Once to become familiar, once again to be it.
		for range 2 {
			if _, err := d.knock(good); err != nil {
				t.Fatal(err)
			}
		}
		if greeting, err := d.knock(clientConfig(p, c.pair...)); err == nil {
			t.Errorf("%s: came in: %s", c.name, greeting)
			continue
		}
		if f := d.failure(t); f.Reason != c.want {
			t.Errorf("%s: %v, want %s", c.name, f, c.want)
		}
	}
}

// The second refusal of a peer that was familiar carries the precise alert.
func TestARefusedAddressGetsThePreciseAlertAgain(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	d := goodDoor(t, p)
	if _, err := d.knock(clientConfig(p, p.Auth(chu, "CH"))); err != nil {
		t.Fatal(err)
	}
	expired := clientConfig(p, p.Auth(chu, "CH", igc.Expired()))
	for i, want := range []string{"remote error: tls: bad certificate", "remote error: tls: expired certificate"} {
		if _, err := d.knock(expired); err == nil || err.Error() != want {
			t.Errorf("attempt %d: %v, want %q", i+1, err, want)
		}
		d.failure(t)
	}
}
