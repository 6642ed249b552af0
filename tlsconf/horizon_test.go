package tlsconf_test

import (
	"crypto/x509"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
)

func TestLevelsOfTheHorizon(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		left time.Duration
		want tlsconf.Level
	}{
		{61 * day, tlsconf.FarEnough}, {60*day + 1, tlsconf.FarEnough}, {60 * day, tlsconf.Within60}, {30*day + 1, tlsconf.Within60}, {30 * day, tlsconf.Within30},
		{14 * day, tlsconf.Within14}, {7 * day, tlsconf.Within7}, {day + 1, tlsconf.Within7}, {day, tlsconf.Within1}, {1, tlsconf.Within1},
		{0, tlsconf.Ended}, {-day, tlsconf.Ended},
	} {
		if got := tlsconf.LevelAt(at.Add(c.left), at); got != c.want {
			t.Errorf("%s left: %s, want %s", c.left, got, c.want)
		}
	}
}

func TestTheHorizonSaysWhoWhenAndHowMuch(t *testing.T) {
	t.Parallel()
	at := time.Now().Truncate(time.Hour)
	h := tlsconf.NewHorizon(func() time.Time { return at })
	p := newPKI(t)
	valid := func(days int) igc.Option { return igc.Valid(at.AddDate(-1, 0, 0), at.AddDate(0, 0, days)) }
	old, renewed := p.Auth(chu, "CH", valid(5)), p.Auth(chu, "CH", valid(700), igc.Key("renewed"))
	sign := p.Sign(autre, "CH", valid(20))
	h.Saw(tlsconf.CallerTLS, chu, []*x509.Certificate{old.Cert})
	for range 3 {
		h.Used(tlsconf.CallerTLS, chu)
	}
	h.Saw(tlsconf.CallerTLS, chu, []*x509.Certificate{renewed.Cert})
	h.Saw(tlsconf.CallerTLS, chu, []*x509.Certificate{renewed.Cert}) // once is enough
	h.Used(tlsconf.CallerTLS, chu)
	h.Used(tlsconf.CallerTLS, autre) // never seen
	h.Saw(tlsconf.CallerSignature, autre, []*x509.Certificate{sign.Cert})
	h.Signed(tlsconf.CallerSignature, sign.Cert.SerialNumber.Text(16))
	all := h.Expiries(tlsconf.ExpiryOf(tlsconf.Authority, "trust.etablissements_tls", p.Roots(igc.EtablissementTLS)[0]))
	if len(all) != 4 {
		t.Fatalf("%d lines, want 4: %+v", len(all), all)
	}
	for i, want := range []struct {
		kind    tlsconf.Kind
		level   tlsconf.Level
		days    int
		calls   int
		renewed bool
	}{
		{tlsconf.CallerTLS, tlsconf.Within7, 5, 3, true},
		{tlsconf.CallerSignature, tlsconf.Within30, 20, 1, false},
		{tlsconf.CallerTLS, tlsconf.FarEnough, 700, 1, false},
		{tlsconf.Authority, tlsconf.FarEnough, all[3].Days, 0, false},
	} {
		if e := all[i]; e.Kind != want.kind || e.Level != want.level || e.Days != want.days || e.Calls != want.calls || e.Renewed != want.renewed {
			t.Errorf("line %d: %+v, want %+v", i, e, want)
		}
	}
	// Calls are of the last 24 hours, hour by hour.
	at = at.Add(23 * time.Hour)
	h.Used(tlsconf.CallerTLS, chu)
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
	p, gone, dir, at := newPKI(t), newPKI(t), t.TempDir(), time.Now()
	file := filepath.Join(dir, "ca.pem")
	both := pemOf(p.Roots(igc.EtablissementTLS)[0], p.Intermediates(igc.EtablissementTLS)[0]) +
		pemOf(gone.Roots(igc.EtablissementTLS)[0], gone.Intermediates(igc.EtablissementTLS)[0])
	one := pemOf(p.Roots(igc.EtablissementTLS)[0], p.Intermediates(igc.EtablissementTLS)[0])
	write(t, file, both)
	h := tlsconf.NewHorizon(func() time.Time { return at })
	s, err := tlsconf.OpenStore(tlsconf.StoreOptions{Name: "trust.etablissements_tls", Paths: []string{file}, InUse: h.InUse(tlsconf.CallerTLS, x509.ExtKeyUsageClientAuth)})
	if err != nil {
		t.Fatal(err)
	}
	h.Saw(tlsconf.CallerTLS, chu, []*x509.Certificate{p.Auth(chu, "CH").Cert})
	before := s.Trust()
	write(t, file, one)
	client := gone.Auth(autre, "CH").Cert
	h.Saw(tlsconf.CallerTLS, autre, []*x509.Certificate{client})
	if _, err := s.Reload(); !errors.Is(err, tlsconf.ErrInUse) || !strings.Contains(err.Error(), "1 certificates") || !strings.Contains(err.Error(), autre) {
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
	if lost := tlsconf.Lost(before, s.Trust()); len(lost) != 2 {
		t.Errorf("%d CAs lost, want 2", len(lost))
	}
}
