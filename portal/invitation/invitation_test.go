package invitation

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/portal/acts"
)

var morning = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

// A desk is a book whose clock a test sets.
type desk struct {
	t   testing.TB
	dir string
	now time.Time
	*Book
}

func newDesk(t testing.TB) *desk {
	d := &desk{t: t, dir: t.TempDir(), now: morning}
	d.reopen()
	return d
}

func (d *desk) open() error {
	var err error
	d.Book, err = Open(Options{
		File: filepath.Join(d.dir, "i.jsonl"), KeyFile: filepath.Join(d.dir, "i.key"), Life: 7 * 24 * time.Hour, Access: 365 * 24 * time.Hour,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return d.now },
	})
	return err
}

func (d *desk) reopen() {
	d.t.Helper()
	if err := d.open(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) made(p Party) (Invitation, string) {
	d.t.Helper()
	i, link, err := d.Make(p, "bureau des entrées", "certificat du CHU fictif")
	if err != nil {
		d.t.Fatal(err)
	}
	return i, link
}

var (
	chu    = Party{Structure: "1990000011"}
	clinic = Party{Structure: "1990000021"}
	verte  = Party{AMC: "0099000002"}
)

// A link serves once, survives a restart, and opens what it says until it is revoked
// or over.
func TestAnInvitationServesOnceAndIsRevoked(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	i, link := d.made(chu)
	if i.StateAt(d.now) != Waiting || d.Opens(i.ID, "") {
		t.Error("before it is used it opens something")
	}
	d.reopen()
	if got, err := d.Check(link); err != nil || got.Party != chu {
		t.Fatalf("after a restart: %v, %v", got, err)
	}
	if _, err := d.Use(link, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Use(link, "alice"); !errors.Is(err, ErrUsed) {
		t.Errorf("used again: %v", err)
	}
	if _, err := d.Use(link, "bob"); !errors.Is(err, ErrUsed) || d.Opens(i.ID, "bob") {
		t.Errorf("used by another: %v", err)
	}
	d.reopen()
	if of := d.Of("alice"); len(of) != 1 || !d.Opens(i.ID, "alice") {
		t.Errorf("after a restart: %v", of)
	}
	d.now = d.now.Add(365*24*time.Hour + time.Second)
	if d.Opens(i.ID, "alice") {
		t.Error("the access has no end")
	}
	d.now = morning
	if _, err := d.Revoke(i.ID, "ANS"); err != nil {
		t.Fatal(err)
	}
	if d.Opens(i.ID, "alice") || len(d.Of("alice")) != 0 {
		t.Error("revoked, it opens")
	}
	if _, err := d.Revoke(i.ID, "ANS"); !errors.Is(err, ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
	d.reopen()
	if d.Opens(i.ID, "alice") {
		t.Error("revoked, then a restart: it opens")
	}
	if got := d.All()[0]; got.RevokedBy != "ANS" || got.By != "certificat du CHU fictif" || got.Person != "alice" {
		t.Errorf("who did it is not kept: %+v", got)
	}
}

// What is not exactly a link of this book, as it was made, opens nothing.
func TestAForeignInvitationIsRefused(t *testing.T) {
	t.Parallel()
	d, other := newDesk(t), newDesk(t)
	_, link := d.made(chu)
	_, foreign := other.made(chu)
	_, second := d.made(clinic)
	revoked, ofRevoked := d.made(verte)
	if _, err := d.Revoke(revoked.ID, "ANS"); err != nil {
		t.Fatal(err)
	}
	tampered := link[:5] + string(link[5]^1) + link[6:]
	for what, try := range map[string]struct {
		link string
		want error
	}{
		"none": {"", ErrInvalid}, "no base64": {"***", ErrInvalid}, "cut": {link[:len(link)-4], ErrInvalid}, "of another portal": {foreign, ErrInvalid}, "changed": {tampered, ErrInvalid},
		"the id of one with the signature of another": {link[:20] + second[20:], ErrInvalid}, "longer": {link + "AAAA", ErrInvalid}, "revoked": {ofRevoked, ErrOver},
	} {
		if _, err := d.Use(try.link, "alice"); !errors.Is(err, try.want) {
			t.Errorf("%s: %v, want %v", what, err, try.want)
		}
	}
	d.now = d.now.Add(7 * 24 * time.Hour)
	if _, err := d.Use(link, "alice"); !errors.Is(err, ErrOver) {
		t.Errorf("too late: %v", err)
	}
	if len(d.Of("alice")) != 0 {
		t.Error("one of them opens something")
	}
}

// A crash cuts a line: that act was not done. A file that somebody has spoiled lets
// nobody in, and neither does a book that another process has.
func TestASpoiledBookLetsNobodyIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	i, link := d.made(chu)
	if _, err := d.Use(link, "alice"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(d.dir, "i.jsonl")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(string(good) + `{"v":1,"act":"revo`)
	if d.reopen(); !d.Opens(i.ID, "alice") {
		t.Error("a cut line spoils the rest")
	}
	put(string(good) + `{"v":1,"act":"used","id":"of nobody"}` + "\n")
	if err := d.open(); err == nil || d.Opens(i.ID, "alice") {
		t.Errorf("a spoiled file: %v", err)
	}
	if _, _, err := d.Make(chu, "x", "y"); !errors.Is(err, ErrClosed) {
		t.Errorf("made in a spoiled book: %v", err)
	}
	put(string(good))
	d.reopen()
	d.Close()
	if _, _, err := d.Make(chu, "x", "y"); !errors.Is(err, ErrClosed) {
		t.Errorf("made in a closed book: %v", err)
	}
	if _, err := d.Revoke(i.ID, "y"); !errors.Is(err, ErrClosed) {
		t.Errorf("revoked in a closed book: %v", err)
	}
	if d.Opens(i.ID, "alice") { // it is revoked in the book of another process, perhaps
		t.Error("a closed book opens")
	}

	// A revocation that cannot be read is not one that was not made.
	d.reopen()
	if _, err := d.Revoke(i.ID, "y"); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	last := string(whole[len(good):])
	at := last[strings.Index(last, `"at":`) : strings.Index(last, `Z"`)+2]
	for name, spoiled := range map[string]string{"no JSON": "x" + last, "no instant": strings.Replace(last, at, `"x":0`, 1), "another version": strings.Replace(last, `"v":1`, `"v":2`, 1)} {
		put(string(good) + spoiled)
		if err := d.open(); err == nil || d.Opens(i.ID, "alice") {
			t.Errorf("a revocation with %s: %v", name, err)
		}
	}
	put(string(whole))
	if err := os.Remove(filepath.Join(d.dir, "i.key")); err != nil {
		t.Fatal(err)
	}
	if err := d.open(); err == nil || !strings.Contains(err.Error(), "i.key is missing") {
		t.Errorf("without its key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "i.key")); err == nil {
		t.Error("a new key was made beside an old book")
	}
}

// What could not be read again is not written.
func TestAnActIsNoLongerThanWhatIsRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	i, _ := d.made(chu)
	if _, err := d.Revoke(i.ID, strings.Repeat("x", acts.LongestLine)); err == nil {
		t.Error("a line too long to be read is written")
	}
	d.reopen()
}

// A party has no more than enough of them, and what has long been over leaves the
// file.
func TestInvitationsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var text strings.Builder
	for i := range maxPerDay {
		fmt.Fprintf(&text, "{\"v\":1,\"at\":%q,\"act\":\"made\",\"id\":\"%d\",\"party\":{\"structure\":%q},\"ends\":%q}\n", morning.Format(time.RFC3339), i, chu.Structure, morning.Add(time.Hour).Format(time.RFC3339))
	}
	if err := os.WriteFile(filepath.Join(d.dir, "i.jsonl"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	d.reopen()
	if _, _, err := d.Make(chu, "x", "y"); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	d.made(clinic)
	for _, bad := range []string{"", strings.Repeat("x", maxLabel+1), "two\nlines"} {
		if _, _, err := d.Make(clinic, bad, "y"); err == nil {
			t.Errorf("the label %q is taken", bad)
		}
	}
	d.now = d.now.Add(8*24*time.Hour + keepOver)
	kept, _ := d.made(verte)
	d.reopen()
	if all := d.All(); len(all) != 1 || all[0].ID != kept.ID {
		t.Errorf("%d are kept", len(all))
	}
	left, err := os.ReadFile(filepath.Join(d.dir, "i.jsonl"))
	if err != nil || strings.Count(string(left), "\n") != 1 {
		t.Errorf("the file has %d lines, %v", strings.Count(string(left), "\n"), err)
	}
}

// A pseudonym is the same after a restart, is not that of another portal, and says
// nothing of the subject.
func TestAPseudonymIsStableAndSaysNothing(t *testing.T) {
	t.Parallel()
	d, other := newDesk(t), newDesk(t)
	p := d.Person("https://a", "899700218896")
	d.reopen()
	if d.Person("https://a", "899700218896") != p || other.Person("https://a", "899700218896") == p || d.Person("https://b", "899700218896") == p || strings.Contains(p, "8997") {
		t.Errorf("the pseudonym is %s", p)
	}
}
