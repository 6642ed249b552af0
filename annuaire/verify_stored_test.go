package annuaire_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
)

// What a disk or another instance kept is believed by what the annuaire signed,
// and for nothing else.
func TestWhatWasKeptIsBelievedByItsSignatureAlone(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	now := time.Now()
	clock := func() time.Time { return now }
	c := l.client(t, func(o *annuaire.ClientOptions) { o.Now = clock })
	k := ans(roc.IDB, roc.V1)
	fresh, err := c.Ask(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	at, raw := fresh.At, fresh.Raw
	now = now.Add(48 * time.Hour) // long after the life of its Timestamp

	kept, err := c.VerifyStored(raw, k, at)
	if err != nil {
		t.Fatalf("the annuaire's own answer: %v", err)
	}
	if kept.Nom != fresh.Nom || len(kept.Adresses) != len(fresh.Adresses) || !bytes.Equal(kept.Raw.Bytes(), raw.Bytes()) {
		t.Errorf("it is %+v, want %+v", kept, fresh)
	}
	// Its age is that of its signature, whatever is claimed.
	claimed, err := c.VerifyStored(raw, k, at.Add(4*time.Minute))
	if err != nil || claimed.At.After(at.Add(time.Minute)) {
		t.Errorf("said to be 4 minutes younger, it counts from %v, %v; signed about %v", claimed.At, err, at)
	}

	other := k
	other.AMC = "0099999999"
	altered := bytes.Replace(raw.Bytes(), []byte(">https://"), []byte(">https://ailleurs."), 1)
	stranger := l.client(t, func(o *annuaire.ClientOptions) { o.Now = clock; o.Signer = "2000000099" })
	for name, try := range map[string]func() (annuaire.Entry, error){
		"altered": func() (annuaire.Entry, error) { return c.VerifyStored(roc.NewContent(altered), k, at) },
		"cut short": func() (annuaire.Entry, error) {
			return c.VerifyStored(roc.NewContent(raw.Bytes()[:raw.Len()/2]), k, at)
		},
		"empty":                        func() (annuaire.Entry, error) { return c.VerifyStored(roc.Content{}, k, at) },
		"larger than an answer may be": func() (annuaire.Entry, error) { return c.VerifyStored(roc.NewContent(make([]byte, 1<<20)), k, at) },
		"about another AMC":            func() (annuaire.Entry, error) { return c.VerifyStored(raw, other, at) },
		"said to be of today":          func() (annuaire.Entry, error) { return c.VerifyStored(raw, k, now) },
		"said to be of tomorrow":       func() (annuaire.Entry, error) { return c.VerifyStored(raw, k, now.Add(24*time.Hour)) },
		"said to be older":             func() (annuaire.Entry, error) { return c.VerifyStored(raw, k, at.Add(-time.Hour)) },
		"another signer is wanted":     func() (annuaire.Entry, error) { return stranger.VerifyStored(raw, k, at) },
	} {
		if e, err := try(); !roc.IsRefused(err, roc.AnnuaireRefused) {
			t.Errorf("%s: %+v, %v; want it refused", name, e, err)
		}
	}
}
