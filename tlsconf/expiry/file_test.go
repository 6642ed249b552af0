package expiry_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// After a restart the inventory is what it was: the lines, their calls, and who
// would be lost with an authority.
func TestTheInventorySurvivesARestart(t *testing.T) {
	t.Parallel()
	at := time.Now().Truncate(time.Hour)
	now := func() time.Time { return at }
	file := filepath.Join(t.TempDir(), "certificats.jsonl")
	p, other := tlstest.NewPKI(), tlstest.NewPKI()
	h := expiry.New(now)
	if err := h.Load(file); err != nil {
		t.Errorf("no file yet: %v", err)
	}
	auth, sign := p.Auth(chu, "CH"), p.Sign(autre, "CH")
	h.Saw(expiry.CallerTLS, chu, append([]*x509.Certificate{auth.Cert}, auth.Chain...))
	h.Used(expiry.CallerTLS, chu)
	h.Saw(expiry.CallerSignature, autre, []*x509.Certificate{sign.Cert})
	if err := h.Save(file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	again := expiry.New(now)
	if err := again.Load(file); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(again.Expiries()), fmt.Sprint(h.Expiries()); got != want || len(again.Expiries()) != 2 {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again.Used(expiry.CallerTLS, chu)
	again.Signed(expiry.CallerSignature, sign.Cert.SerialNumber.Text(16))
	calls := 0
	for _, e := range again.Expiries() {
		calls += e.Calls
	}
	if calls != 3 {
		t.Errorf("%d calls, want the one before and two more", calls)
	}
	lost := again.InUse(expiry.CallerTLS, trust.AsClient)(tlstest.Trust(p, igc.EtablissementTLS), tlstest.Trust(other, igc.EtablissementTLS))
	if lost == nil || !strings.Contains(lost.Error(), string(chu)) {
		t.Errorf("an authority with a client of before the restart may go: %v", lost)
	}

	// what is cut or of another hand is left out, and said; the rest is taken
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tlstest.Write(t, file, string(text)+`{"nature":"x"}`+"\n"+string(text[:40]))
	cut := expiry.New(now)
	if err := cut.Load(file); err == nil || !strings.Contains(err.Error(), "2 of 4") || len(cut.Expiries()) != 2 {
		t.Errorf("%v, %d lines", err, len(cut.Expiries()))
	}
	at = at.Add(61 * 24 * time.Hour)
	late := expiry.New(now)
	if late.Load(file); len(late.Expiries()) != 0 {
		t.Error("who was not seen for 61 days is still there")
	}
}
