package expiry_test

import (
	"crypto/x509"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func TestLevelsOfTheInventory(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		left time.Duration
		want expiry.Level
	}{
		{61 * day, expiry.FarEnough}, {60*day + 1, expiry.FarEnough}, {60 * day, expiry.Within60}, {30*day + 1, expiry.Within60}, {30 * day, expiry.Within30},
		{14 * day, expiry.Within14}, {7 * day, expiry.Within7}, {day + 1, expiry.Within7}, {day, expiry.Within1}, {1, expiry.Within1},
		{0, expiry.Ended}, {-day, expiry.Ended},
	} {
		if got := expiry.LevelAt(at.Add(c.left), at); got != c.want {
			t.Errorf("%s left: %s, want %s", c.left, got, c.want)
		}
	}
}

func TestTheInventorySaysWhoWhenAndHowMuch(t *testing.T) {
	t.Parallel()
	at := time.Now().Truncate(time.Hour)
	h := expiry.New(func() time.Time { return at })
	p := tlstest.NewPKI()
	valid := func(days int) igc.Option { return igc.Valid(at.AddDate(-1, 0, 0), at.AddDate(0, 0, days)) }
	old, renewed := p.Auth(chu, "CH", valid(5)), p.Auth(chu, "CH", valid(700), igc.Key("renewed"))
	sign := p.Sign(autre, "CH", valid(20))
	h.Saw(expiry.CallerTLS, chu, []*x509.Certificate{old.Cert})
	for range 3 {
		h.Used(expiry.CallerTLS, chu)
	}
	h.Saw(expiry.CallerTLS, chu, []*x509.Certificate{renewed.Cert})
	h.Saw(expiry.CallerTLS, chu, []*x509.Certificate{renewed.Cert}) // once is enough
	h.Used(expiry.CallerTLS, chu)
	h.Used(expiry.CallerTLS, autre) // never seen
	h.Saw(expiry.CallerSignature, autre, []*x509.Certificate{sign.Cert})
	h.Signed(expiry.CallerSignature, sign.Cert.SerialNumber.Text(16))
	all := h.Expiries(expiry.ExpiryOf(expiry.Authority, "trust.etablissements_tls", p.Roots(igc.EtablissementTLS)[0]))
	if len(all) != 4 {
		t.Fatalf("%d lines, want 4: %+v", len(all), all)
	}
	for i, want := range []struct {
		kind    expiry.Kind
		level   expiry.Level
		days    int
		calls   int
		renewed bool
	}{
		{expiry.CallerTLS, expiry.Within7, 5, 3, true},
		{expiry.CallerSignature, expiry.Within30, 20, 1, false},
		{expiry.CallerTLS, expiry.FarEnough, 700, 1, false},
		{expiry.Authority, expiry.FarEnough, all[3].Days, 0, false},
	} {
		if e := all[i]; e.Kind != want.kind || e.Level != want.level || e.Days != want.days || e.Calls != want.calls || e.Renewed != want.renewed {
			t.Errorf("line %d: %+v, want %+v", i, e, want)
		}
	}
	// Calls are of the last 24 hours, hour by hour.
	at = at.Add(23 * time.Hour)
	h.Used(expiry.CallerTLS, chu)
	if n := h.Expiries()[2].Calls; n != 2 {
		t.Errorf("after 23 hours: %d calls, want 2", n)
	}
	at = at.Add(time.Hour)
	if n := h.Expiries()[2].Calls; n != 1 {
		t.Errorf("after 24 hours: %d calls, want 1", n)
	}
	at = at.Add(300 * time.Hour)
	if n := h.Expiries()[2].Calls; n != 0 {
		t.Errorf("after 13 days: %d calls, want 0", n)
	}
}

func TestACAWithClientsTodayIsNotLost(t *testing.T) {
	t.Parallel()
	p, gone, dir, at := tlstest.NewPKI(), tlstest.NewPKI(), t.TempDir(), time.Now()
	file := filepath.Join(dir, "ca.pem")
	both := tlstest.PEM(p.Roots(igc.EtablissementTLS)[0], p.Intermediates(igc.EtablissementTLS)[0]) +
		tlstest.PEM(gone.Roots(igc.EtablissementTLS)[0], gone.Intermediates(igc.EtablissementTLS)[0])
	one := tlstest.PEM(p.Roots(igc.EtablissementTLS)[0], p.Intermediates(igc.EtablissementTLS)[0])
	tlstest.Write(t, file, both)
	h := expiry.New(func() time.Time { return at })
	s, err := trust.OpenStore(trust.StoreOptions{Name: "trust.etablissements_tls", Paths: []string{file}, InUse: h.InUse(expiry.CallerTLS, trust.AsClient)})
	if err != nil {
		t.Fatal(err)
	}
	h.Saw(expiry.CallerTLS, chu, []*x509.Certificate{p.Auth(chu, "CH").Cert})
	before := s.Trust()
	tlstest.Write(t, file, one)
	client := gone.Auth(autre, "CH").Cert
	h.Saw(expiry.CallerTLS, autre, []*x509.Certificate{client})
	if _, err := s.Reload(); !errors.Is(err, expiry.ErrInUse) || !strings.Contains(err.Error(), "1 certificates") || !strings.Contains(err.Error(), autre) {
		t.Errorf("a CA with a client: %v", err)
	}
	if s.Trust() != before {
		t.Error("the CA is gone all the same")
	}
	if c, err := s.Prepare(true); err != nil || len(c.What) != 2 {
		t.Errorf("forced: %q, %v", c.What, err)
	}
	at = at.Add(25 * time.Hour)
	if changed, err := s.Reload(); err != nil || !changed {
		t.Errorf("a CA whose clients left yesterday: %t, %v", changed, err)
	}
	if lost := trust.Lost(before, s.Trust()); len(lost) != 2 {
		t.Errorf("%d CAs lost, want 2", len(lost))
	}
}
