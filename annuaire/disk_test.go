package annuaire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
)

func openDisk(t *testing.T, o DiskOptions) *Disk {
	t.Helper()
	d, err := OpenDisk(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// signed stands for the signature: what begins with it is believed.
const signed = "signed by the annuaire: "

func believes(raw roc.Content, k roc.Key, at time.Time) (Entry, error) {
	host, ok := strings.CutPrefix(string(raw.Bytes()), signed)
	if !ok {
		return Entry{}, refused("bad signature")
	}
	return Entry{AMC: k.AMC, Nom: host, ROC: true, At: at, Raw: raw, Adresses: []Adresse{{k.Service, k.Version, "https://" + host}}}, nil
}

// signedBy answers with what believes believes.
func signedBy(c *clock, host string) *oracle {
	return &oracle{answer: func(_ context.Context, k roc.Key) (Entry, error) {
		return believes(roc.NewContent([]byte(signed+host)), k, c.now())
	}}
}

func deadAnnuaire() *oracle {
	return &oracle{answer: func(context.Context, roc.Key) (Entry, error) { return Entry{}, silent("told to") }}
}

func TestAfterARestartTheLastGoodAnswerServes(t *testing.T) {
	t.Parallel()
	c, file := newClock(), filepath.Join(t.TempDir(), "state", "annuaire.log")
	options := func(a Asker, disk *Disk) Options {
		return Options{Asker: a, TTL: time.Hour, MaxAge: 24 * time.Hour, Now: c.now, Chance: half, Disk: disk, Believe: believes}
	}
	disk := openDisk(t, DiskOptions{File: file, MaxAge: 24 * time.Hour, Now: c.now})
	d := New(options(signedBy(c, "amc.example"), disk))
	find(t, d, keyNumber(1))
	d.Close()
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		code  string
		stale bool
		asked int64
	}{
		{time.Minute, "", false, 0},
		{time.Hour, "", true, 1}, // beside
		{24 * time.Hour, "RPN304", false, 1},
		{0, "RPN304", false, 1}, // forgotten for good
	} {
		c.advance(step.after)
		disk := openDisk(t, DiskOptions{File: file, MaxAge: 24 * time.Hour, Now: c.now})
		o := deadAnnuaire()
		d := New(options(o, disk))
		e, err := find(t, d, keyNumber(1))
		d.asks.Wait()
		code := ""
		if err != nil {
			code = roc.RefusalOf(err).Reason.Meaning().Code
		}
		if code != step.code || e.Stale != step.stale || o.asked.Load() != step.asked || err == nil && e.Nom != "amc.example" {
			t.Errorf("%v later: %+v, %v, asked %d times; want %+v", step.after, e, err, o.asked.Load(), step)
		}
		d.Close()
		disk.Close()
	}
}

// Every way in which the file can be wrong: the annuaire is asked, and what is
// not believed goes nowhere.
func TestADiskIsNotBelieved(t *testing.T) {
	t.Parallel()
	tags := fakeTags("ours")
	for name, spoil := range map[string]func(t *testing.T, file string, b []byte) []byte{
		"a byte of the answer altered": func(_ *testing.T, _ string, b []byte) []byte {
			i := bytes.Index(b, []byte("amc.example"))
			b[i] = 'x'
			return b
		},
		"cut in the middle of a record": func(_ *testing.T, _ string, b []byte) []byte { return b[:len(b)-5] },
		"not our file":                  func(*testing.T, string, []byte) []byte { return []byte("something else altogether\n") },
		"empty":                         func(*testing.T, string, []byte) []byte { return nil },
		"a length of 4 GB":              func(_ *testing.T, _ string, b []byte) []byte { return append(b[:len(diskMagic)], 255, 255, 255, 255) },
		"an unsigned answer, with its checksum": func(t *testing.T, _ string, b []byte) []byte {
			d := Disk{o: DiskOptions{Tags: tags}}
			k := keyNumber(1)
			var p packed
			p.pack(&k)
			p = p.hidden()
			return append(b, d.record(&p, time.Date(2026, 6, 15, 9, 0, 0, 0, time.UTC), []byte("https://evil.example"))...)
		},
		"the signed answer to another key, with its checksum": func(t *testing.T, _ string, b []byte) []byte {
			d := Disk{o: DiskOptions{Tags: fakeTags("theirs")}}
			k := keyNumber(1)
			var p packed
			p.pack(&k)
			p = p.hidden()
			return append(b, d.record(&p, time.Date(2026, 6, 15, 9, 0, 0, 0, time.UTC), []byte(signed+"other.example"))...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, file := newClock(), filepath.Join(t.TempDir(), "annuaire.log")
			disk := openDisk(t, DiskOptions{File: file, Tags: tags, Now: c.now})
			d := New(Options{Asker: signedBy(c, "amc.example"), Now: c.now, Disk: disk, Believe: believes})
			find(t, d, keyNumber(1))
			d.Close()
			disk.Close()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, spoil(t, file, b), 0o600); err != nil {
				t.Fatal(err)
			}
			disk = openDisk(t, DiskOptions{File: file, Tags: tags, Now: c.now})
			d = newDirectory(t, Options{Asker: signedBy(c, "asked.example"), Now: c.now, Disk: disk, Believe: believes})
			if e, err := find(t, d, keyNumber(1)); err != nil || e.Nom != "asked.example" {
				t.Errorf("found %q, %v; want the annuaire asked", e.Nom, err)
			}
			if e, err := find(t, d, keyNumber(1)); err != nil || e.Nom != "asked.example" {
				t.Errorf("then found %q, %v", e.Nom, err)
			}
			if _, _, err := disk.Size(); err != nil {
				t.Errorf("the file is of use again, and says %v", err)
			}
		})
	}
}

// fakeTags tags with a word.
type fakeTags string

// ring is a real one of the same secret.
func (f fakeTags) ring() *secret.Ring {
	r, err := secret.Parse(fmt.Appendf(nil, "%x\n", sha256.Sum256([]byte(f))))
	if err != nil {
		panic(err)
	}
	return r
}

func (f fakeTags) Seal(purpose string, plain []byte) []byte { return f.ring().Seal(purpose, plain) }

func (f fakeTags) Open(purpose string, sealed []byte) ([]byte, error) {
	return f.ring().Open(purpose, sealed)
}

func (f fakeTags) Tag(_ string, parts ...[]byte) []byte {
	return fmt.Appendf(nil, "%s %x", string(f), parts[0])[:20]
}

func (f fakeTags) Holds(tag []byte, _ string, parts ...[]byte) bool {
	return string(tag) == string(f.Tag("", parts...))
}

func TestADiskIsBoundedAndWrittenAnew(t *testing.T) {
	t.Parallel()
	c, file := newClock(), filepath.Join(t.TempDir(), "annuaire.log")
	d := openDisk(t, DiskOptions{File: file, MaxBytes: 4 << 20, Now: c.now})
	raw := roc.NewContent(bytes.Repeat([]byte("x"), 5000))
	for i := range 3000 {
		c.advance(time.Second)
		d.put(keyNumber(i%1500), c.now(), raw)
		if n, err := os.Stat(file); err != nil || n.Size() > 4<<20+6000 {
			t.Fatalf("after %d answers the file has %d bytes, %v", i, n.Size(), err)
		}
	}
	n, size, err := d.Size()
	if err != nil || n == 0 || size > 4<<20 {
		t.Errorf("%d answers in %d bytes, %v", n, size, err)
	}
	if _, _, err := d.get(keyNumber(1499)); err != nil {
		t.Errorf("the last answer is not there: %v", err)
	}
	d.drop(keyNumber(1499))
	d.Close()
	d = openDisk(t, DiskOptions{File: file, MaxBytes: 4 << 20, Now: c.now})
	if _, _, err := d.get(keyNumber(1499)); !errors.Is(err, errNotThere) {
		t.Errorf("what was dropped is there after a restart: %v", err)
	}
	if m, _, _ := d.Size(); m != n-1 {
		t.Errorf("%d answers after a restart, want %d", m, n-1)
	}
}

func TestTheFileIsForThisUserAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "annuaire.log")
	openDisk(t, DiskOptions{File: file})
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v: for this user alone", info.Mode(), err)
	}
}
