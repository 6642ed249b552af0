package dossiers

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, store.Paris)

// A country is a clock and what was written.
type country struct {
	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

func (c *country) at(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.now = t }
func (c *country) clock() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *country) options(file string) Options {
	return Options{Days: 7, File: file, Log: slog.New(slog.NewTextHandler(io.Writer(&c.log), nil)), Now: c.clock}
}

// asked is a signed request of one adherent.
var asked = sync.OnceValue(func() *xmlsig.Checked {
	pki := igc.New(igc.Options{ECDSA: true})
	pair := pki.Sign("1010003812", "CH FICTIF")
	roots := xmlsig.NewTrust(trust.NewTrust(pki.Roots(igc.EtablissementSignature), pki.Intermediates(igc.EtablissementSignature)).Signature(nil))
	m := message.IDBRequest{Version: roc.V1, Demande: message.Demande{Beneficiaire: message.Beneficiaire{NumeroAdherent: "ADH0000001", Nom: "FICTIF"}}}
	signed, err := xmlsig.Sign(m.Envelope(soap.SOAP12), xmlsig.Key{Certificate: pair.Cert, Chain: pair.Chain, Signer: pair.Key}, xmlsig.SignOptions{})
	if err != nil {
		panic(err)
	}
	env, err := soap.Read(signed, soap.DefaultLimits)
	if err != nil {
		panic(err)
	}
	c, err := xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return roots }}).Check(env, xmlsig.Policy{}, xmlsig.Expect{}, time.Now())
	if err != nil {
		panic(err)
	}
	return c
})

func (c *country) link(t *testing.T, k *Keys) roc.Dossier {
	t.Helper()
	d := k.Link("1010003812", roc.Key{AMC: "0099000003", Domaine: roc.HOSP}, asked(), c.clock())
	if d == (roc.Dossier{}) {
		t.Errorf("no link at %s", c.clock())
	}
	return d
}

// One adherent on two days of a period is one dossier; over its end two that
// nothing joins, also a second apart, also for who has the file of today, the
// secrets and Redis.
func TestTheSameAdherentOverTheEndOfAPeriodIsTwoDossiers(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		c := &country{}
		file := filepath.Join(t.TempDir(), "dossiers.key")
		o := c.options(file)
		if sealed {
			o.Secrets = ring(t, "ab")
		}
		c.at(monday)
		k := Open(o)
		first := c.link(t, k)
		kept := read(t, file)
		secret := hex.EncodeToString((*k.held.Load())[0].key.Secret())
		if strings.Contains(kept, secret) == sealed {
			t.Errorf("sealed %v: the file holds %s", sealed, kept)
		}
		c.at(monday.AddDate(0, 0, 7).Add(-time.Second))
		k.renew(t.Context(), c.clock())
		if c.link(t, k) != first {
			t.Error("the last second of the period is another dossier")
		}
		if n := len(*k.held.Load()); n != 2 {
			t.Errorf("%d keys shortly before the end", n)
		}
		c.at(monday.AddDate(0, 0, 7))
		if c.link(t, k) == first {
			t.Error("the first second of the next period is the same dossier")
		}
		k.renew(t.Context(), c.clock())
		if n := len(*k.held.Load()); n != 1 {
			t.Errorf("%d keys are held after the end", n)
		}
		if now := read(t, file); now == kept || strings.Count(now, "\n") != 2 || strings.Contains(now, secret) || strings.Contains(now, strings.Fields(kept)[4]) {
			t.Errorf("the file holds %s", now)
		}
		// The clock goes back: the key of then is gone for good.
		c.at(monday.Add(time.Hour))
		if d := k.Link("1010003812", roc.Key{AMC: "0099000003", Domaine: roc.HOSP}, asked(), c.clock()); d != (roc.Dossier{}) {
			t.Errorf("the clock went back, and there is a link %x", d)
		}
		again := Open(o)
		if c.link(t, again) == first {
			t.Error("a restart joins what was apart")
		}
	}
}

// A restart goes on with the key that was kept; without a folder it does not.
func TestARestartKeepsTheKey(t *testing.T) {
	t.Parallel()
	c := &country{}
	c.at(monday.AddDate(0, 0, 3))
	o := c.options(filepath.Join(t.TempDir(), "dossiers.key"))
	o.Secrets = ring(t, "ab")
	one := c.link(t, Open(o))
	if c.link(t, Open(o)) != one {
		t.Error("after a restart it is another dossier")
	}
	other := o
	other.Secrets = ring(t, "cd")
	if c.link(t, Open(other)) == one {
		t.Error("it opens what other secrets sealed")
	}
	if !strings.Contains(c.log.String(), "dossiers_unreadable") {
		t.Errorf("nothing says so:\n%s", &c.log)
	}
	if strings.Contains(c.log.String(), strings.Fields(read(t, o.File))[4]) {
		t.Errorf("the log holds the key:\n%s", &c.log)
	}
	nowhere := c.options("")
	before, after := c.link(t, Open(nowhere)), c.link(t, Open(nowhere))
	if before == after {
		t.Error("nothing is kept, and a restart is the same dossier")
	}
	info, err := os.Stat(o.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// Instances share one key through Redis, sealed; while it is lost each goes on
// with what it has, and they come together again. At the end of the period Redis
// has nothing of it.
func TestInstancesShareTheKey(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := &country{}
	c.at(monday.AddDate(0, 0, 6))
	open := func(name string) *Keys {
		o := c.options(filepath.Join(t.TempDir(), name))
		client, err := redis.Open(redis.Options{URLs: []string{server.URL()}, Log: o.Log, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		o.Redis, o.Secrets = client, ring(t, "ab")
		await.Until(t, "Redis is there", func() bool {
			_, err := client.Get(t.Context(), "none")
			return err == redis.ErrNone
		})
		return Open(o)
	}
	a, b := open("a"), open("b")
	if d := a.Link("1010003812", roc.Key{AMC: "0099000003"}, asked(), c.clock()); d != (roc.Dossier{}) {
		t.Errorf("before anybody was asked there is a link %x", d)
	}
	a.renew(t.Context(), c.clock())
	b.renew(t.Context(), c.clock())
	one := c.link(t, a)
	if c.link(t, b) != one {
		t.Error("two instances have two keys")
	}
	for _, h := range *a.held.Load() {
		value, err := a.o.Redis.Get(t.Context(), fmt.Sprintf("dossiers:7:%d", h.number))
		if err != nil || bytes.Contains(value, h.key.Secret()) {
			t.Errorf("Redis holds the key itself (%v)", err)
		}
	}
	// One that has another key takes the shared one.
	lonely := Open(c.options(filepath.Join(t.TempDir(), "c")))
	if c.link(t, lonely) == one {
		t.Error("an instance alone has the key of the others")
	}
	lonely.o.Redis, lonely.o.Secrets = a.o.Redis, a.o.Secrets
	lonely.renew(t.Context(), c.clock())
	if c.link(t, lonely) != one {
		t.Error("it keeps its own key")
	}
	// Other secrets: alone, and said once.
	foreign := Open(c.options(""))
	foreign.o.Redis, foreign.o.Secrets = a.o.Redis, ring(t, "cd")
	foreign.renew(t.Context(), c.clock())
	foreign.renew(t.Context(), c.clock())
	if c.link(t, foreign) == one || strings.Count(c.log.String(), "dossiers_alone") != 1 {
		t.Errorf("with other secrets:\n%s", &c.log)
	}
	// Redis forgets: the key that the instances have goes back.
	if err := a.o.Redis.Del(t.Context(), fmt.Sprintf("dossiers:7:%d", (*a.held.Load())[0].number)); err != nil {
		t.Fatal(err)
	}
	b.renew(t.Context(), c.clock())
	a.renew(t.Context(), c.clock())
	if c.link(t, a) != one || c.link(t, b) != one {
		t.Error("what Redis forgot is another key")
	}
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		days            int
		at, from, until string
	}{
		{7, "2026-11-22T22:59:59Z", "2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z"}, // Sunday
		{7, "2026-11-22T23:00:00Z", "2026-11-22T23:00:00Z", "2026-11-29T23:00:00Z"},
		{7, "2026-10-25T22:59:59Z", "2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"}, // the week of 25 hours
		{1, "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // the day of 23 hours
		{3, "1970-01-05T12:00:00Z", "1970-01-04T23:00:00Z", "1970-01-07T23:00:00Z"},
		{3, "1970-01-04T12:00:00Z", "1970-01-01T23:00:00Z", "1970-01-04T23:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, p.at)
		if err != nil {
			t.Fatal(err)
		}
		got := periodOf(at, p.days)
		if from, until := got.from.UTC().Format(time.RFC3339), got.until.UTC().Format(time.RFC3339); from != p.from || until != p.until {
			t.Errorf("%d days, %s: %s to %s", p.days, p.at, from, until)
		}
		if next := periodOf(got.until, p.days); next.number != got.number+1 || !next.from.Equal(got.until) {
			t.Errorf("%d days, %s: the next one is %+v", p.days, p.at, next)
		}
	}
}

// Whatever is in the file, nothing of it is believed that was not written there,
// and no error holds a key.
func FuzzFile(f *testing.F) {
	c := &country{now: monday}
	k := &Keys{o: c.options("")}
	f.Add(fileForm + "\n7 2968 " + strings.Repeat("ab", 32) + "\n")
	f.Add(fileForm + "\n1 20773 " + strings.Repeat("00", 32) + "\n7 -1 x\n")
	f.Add("rpn-dossiers 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := k.parse(text)
		for _, h := range list {
			if len(h.key.Secret()) != 32 || !h.from.Before(h.until) || !strings.Contains(strings.ToLower(text), hex.EncodeToString(h.key.Secret())) {
				t.Errorf("%q: %+v", text, h)
			}
		}
		if err != nil && strings.ContainsAny(strings.NewReplacer("line ", "", ": it is no key", "").Replace(err.Error()), "\"'`") {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func ring(t *testing.T, two string) *secret.Ring {
	t.Helper()
	r, err := secret.Parse([]byte(strings.Repeat(two, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
