package facade

import (
	"errors"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/internal/soap"
)

func ring(t *testing.T, key string) *secret.Ring {
	t.Helper()
	r, err := secret.Parse([]byte(key + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const ours = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// An address of the façade is of one establishment, one insurer, one service in
// one version, and for its time, to the second.
func TestATokenIsOfItsEstablishmentInsurerServiceAndTime(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	f := New(Options{Keys: ring(t, ours), Limits: soap.DefaultLimits})
	k := Token{"1010003812", "0075500025", roc.IDB, roc.V2, end}
	text := k.seal(f.o.Keys)
	for _, c := range []struct {
		name string
		text string
		es   roc.StructureID
		at   time.Time
		want roc.Reason
	}{
		{"in its time", text, "1010003812", end.Add(-time.Nanosecond), ""},
		{"after its time", text, "1010003812", end, roc.BadKey},
		{"another establishment", text, "1990000018", end.Add(-time.Hour), roc.StructureMismatch},
		{"a letter changed", "A" + text[1:], "1010003812", end.Add(-time.Hour), roc.BadKey},
		{"sealed by others", k.seal(ring(t, "ff"+ours[2:])), "1010003812", end.Add(-time.Hour), roc.BadKey},
		{"nothing", "", "1010003812", end.Add(-time.Hour), roc.BadKey},
	} {
		got, err := f.OpenToken(c.text, c.es, c.at)
		if c.want == "" && err != nil || c.want != "" && !roc.IsRefused(err, c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if c.want != "" && got != nil {
			t.Errorf("%s: refused, and yet %+v", c.name, got)
		}
	}
	if _, err := f.OpenToken("x", "1010003812", end); !errors.Is(err, ErrNotGivenOut) {
		t.Errorf("a text of nobody: %v", err)
	}
	opened, err := f.OpenToken(text, "1010003812", end.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	good := roc.Key{AMC: "0075500025", Service: roc.IDB, Version: roc.V2, CSR: "75"}
	other, service, version := good, good, good
	other.AMC, service.Service, version.Version = "0075500033", roc.SIM, roc.V1
	for name, key := range map[string]roc.Key{"another insurer": other, "another service": service, "another version": version} {
		if err := opened.Agrees(key); !roc.IsRefused(err, roc.BadKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := opened.Agrees(good); err != nil {
		t.Errorf("its own message: %v", err)
	}
}
