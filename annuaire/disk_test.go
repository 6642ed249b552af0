package annuaire

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
)

func openDisk(t *testing.T, o DiskOptions) *Disk {
	t.Helper()
	o.MaxAge = cmp.Or(o.MaxAge, 72*time.Hour)
	d, err := OpenDisk(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// signed stands for the signature: what begins with it is verified.
const signed = "signed by the annuaire: "

func verifies(raw roc.Content, k roc.Key, at time.Time) (Entry, error) {
	host, ok := strings.CutPrefix(string(raw.Bytes()), signed)
	if !ok {
		return Entry{}, refused("bad signature")
	}
	return Entry{AMC: k.AMC, Nom: host, ROC: true, At: at, Raw: raw, Adresses: []Adresse{{k.Service, k.Version, "https://" + host}}}, nil
}

// signedBy answers with what verifies accepts.
func signedBy(c *clock, host string) *oracle {
	return &oracle{answer: func(_ context.Context, k roc.Key) (Entry, error) {
		return verifies(roc.NewContent([]byte(signed+host)), k, c.now())
	}}
}

func deadAnnuaire() *oracle {
	return &oracle{answer: func(context.Context, roc.Key) (Entry, error) { return Entry{}, silent("told to") }}
}

func TestAfterARestartTheLastGoodAnswerServes(t *testing.T) {
	t.Parallel()
	c, file := newClock(), filepath.Join(t.TempDir(), "state", "annuaire.log")
	options := func(a Asker, disk *Disk) Options {
		return Options{Asker: a, TTL: time.Hour, MaxAge: 24 * time.Hour, Now: c.now, Chance: half, Disk: disk, VerifyStored: verifies}
	}
	disk := openDisk(t, DiskOptions{File: file, MaxAge: 24 * time.Hour, Now: c.now})
	d := directoryOf(options(signedBy(c, "amc.example"), disk))
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
		{time.Hour, "", true, 1}, // in the background
		{24 * time.Hour, "RPN304", false, 1},
		{0, "RPN304", false, 1}, // forgotten for good
	} {
		c.advance(step.after)
		disk := openDisk(t, DiskOptions{File: file, MaxAge: 24 * time.Hour, Now: c.now})
		o := deadAnnuaire()
		d := directoryOf(options(o, disk))
		e, err := find(t, d, keyNumber(1))
		// The question that read the disk may still be open when its answer is
		// found stale: then the next one has it renewed, or both do.
		await.Until(t, "it is asked in the background", func() bool {
			d.wait(t)
			if o.asked.Load() < step.asked {
				find(t, d, keyNumber(1))
			}
			return o.asked.Load() >= step.asked
		})
		d.wait(t)
		code := ""
		if err != nil {
			code = roc.RefusalOf(err).Reason.Meaning().Code
		}
		if code != step.code || e.Stale != step.stale || o.asked.Load() < step.asked || o.asked.Load() > step.asked+1 || err == nil && e.Nom != "amc.example" {
			t.Errorf("%v later: %+v, %v, asked %d times; want %+v", step.after, e, err, o.asked.Load(), step)
		}
		d.Close()
		disk.Close()
	}
}

// recordsOf are the two records of an answer to a key, ten minutes ago: were they
// believed, they would serve.
func recordsOf(tags fakeTags, n int, raw string) []byte {
	d := Disk{o: DiskOptions{Tags: tags}}
	k := keyNumber(n)
	var p packed
	p.pack(&k)
	p = p.hidden()
	at := time.Date(2026, 6, 15, 9, 50, 0, 0, time.UTC)
	sum := sha256.Sum256([]byte(raw))
	says := digest(sum[:digestSize])
	return append(d.contentRecord(says, at, []byte(raw)), d.keyRecord(&p, at, 7, says)...)
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
			return append(b, recordsOf(tags, 1, "https://evil.example")...)
		},
		"the signed answer to another key, with its checksum": func(t *testing.T, _ string, b []byte) []byte {
			return append(b, recordsOf("theirs", 1, signed+"other.example")...)
		},
		"the record of another key, moved to this one, not too old, with its checksum": func(t *testing.T, _ string, b []byte) []byte {
			records := recordsOf(tags, 2, signed+"other.example")
			name := func(n int) []byte {
				k, p := keyNumber(n), packed{}
				p.pack(&k)
				p = p.hidden()
				return p[:]
			}
			i := bytes.Index(records, name(2))
			copy(records[i:], name(1))
			sealed(records[i-1-diskHead:])
			return append(b, records...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, file := newClock(), filepath.Join(t.TempDir(), "annuaire.log")
			disk := openDisk(t, DiskOptions{File: file, Tags: tags, Now: c.now})
			d := directoryOf(Options{Asker: signedBy(c, "amc.example"), Now: c.now, Disk: disk, VerifyStored: verifies})
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
			d = newDirectory(t, Options{Asker: signedBy(c, "asked.example"), Now: c.now, Disk: disk, VerifyStored: verifies})
			if e, err := find(t, d, keyNumber(1)); err != nil || e.Nom != "asked.example" {
				t.Errorf("found %q, %v; want the annuaire asked", e.Nom, err)
			}
			if e, err := find(t, d, keyNumber(1)); err != nil || e.Nom != "asked.example" {
				t.Errorf("then found %q, %v", e.Nom, err)
			}
			if err := disk.Size().Err; err != nil {
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

func TestADiskIsBoundedAndWrittenAgain(t *testing.T) {
	t.Parallel()
	c, file := newClock(), filepath.Join(t.TempDir(), "annuaire.log")
	d := openDisk(t, DiskOptions{File: file, MaxBytes: 4 << 20, Now: c.now})
	raw := roc.NewContent(bytes.Repeat([]byte("x"), 5000))
	for i := range 3000 {
		c.advance(time.Second)
		d.put(keyNumber(i%1500), c.now(), 1, digest{1, byte(i), byte(i >> 8)}, raw)
		if n, err := os.Stat(file); err != nil || n.Size() > 4<<20+6000 {
			t.Fatalf("after %d answers the file has %d bytes, %v", i, n.Size(), err)
		}
	}
	size := d.Size()
	if size.Err != nil || size.Keys == 0 || size.Bytes > 4<<20 {
		t.Errorf("it has %+v", size)
	}
	if _, err := d.get(keyNumber(1499)); err != nil {
		t.Errorf("the last answer is not there: %v", err)
	}
	d.drop(keyNumber(1499))
	d.Close()
	d = openDisk(t, DiskOptions{File: file, MaxBytes: 4 << 20, Now: c.now})
	if _, err := d.get(keyNumber(1499)); !errors.Is(err, errNotThere) {
		t.Errorf("what was dropped is there after a restart: %v", err)
	}
	if m := d.Size().Keys; m != size.Keys-1 {
		t.Errorf("%d answers after a restart, want %d", m, size.Keys-1)
	}
}

// Ten thousand keys that say the same are one answer of five kilobytes, and as
// many records of a key.
func TestEqualAnswersAreOne(t *testing.T) {
	t.Parallel()
	c, file := newClock(), filepath.Join(t.TempDir(), "annuaire.log")
	d := openDisk(t, DiskOptions{File: file, Now: c.now})
	raw := roc.NewContent(bytes.Repeat([]byte("x"), 5000))
	for i := range 10_000 {
		k := keyNumber(1)
		k.CSR = roc.CSR(fmt.Sprintf("INVENTED%05d", i))
		d.put(k, c.now(), 1, digest{1}, raw)
	}
	if s := d.Size(); s.Keys != 10_000 || s.Contents != 1 || s.Bytes > 10_000*110+6000 {
		t.Errorf("it has %+v", s)
	}
}

// A damaged record is kept aside, counted and logged; what stands before and
// after it serves, and the next start does not meet it again.
func TestADamagedRecordCostsNoOther(t *testing.T) {
	t.Parallel()
	c, file := newClock(), filepath.Join(t.TempDir(), "annuaire.log")
	d := openDisk(t, DiskOptions{File: file, Now: c.now})
	for i := range 10 {
		d.put(keyNumber(i), c.now(), 1, digest{1, byte(i)}, roc.NewContent(fmt.Appendf(nil, "%s%d.example", signed, i)))
	}
	d.Close()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte(signed+"4.example"))
	b[i] ^= 1 // the answer about key 4
	j := bytes.Index(b[i:], []byte(recordMark)) + i + len(recordMark)
	copy(b[j:], []byte{255, 255, 255, 255}) // the length of the record after it
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d = openDisk(t, DiskOptions{File: file, Now: c.now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 10 {
		if s, err := d.get(keyNumber(i)); (err == nil) == (i == 4) || err == nil && string(s.raw.Bytes()) != fmt.Sprintf("%s%d.example", signed, i) {
			t.Errorf("key %d: %q, %v", i, s.raw.Bytes(), err)
		}
	}
	if s := d.Size(); s.Damaged != 2 || strings.Count(log.String(), "annuaire_disk_damaged") != 2 {
		t.Errorf("it has %+v, and logs %s", s, &log)
	}
	if aside, err := os.ReadFile(file + ".bad"); err != nil || !bytes.Contains(aside, []byte("4.example")) {
		t.Errorf("aside is kept %q, %v", aside, err)
	}
	d.Close()
	d = openDisk(t, DiskOptions{File: file, Now: c.now})
	if s := d.Size(); s.Damaged != 0 || s.Keys != 9 {
		t.Errorf("then it has %+v", s)
	}
}

func FuzzDiskFile(f *testing.F) {
	whole := append([]byte(diskMagic), recordsOf("ours", 1, signed+"amc.example")...)
	f.Add(whole)
	f.Add(append(whole, recordsOf("ours", 2, signed+"amc.example")[7:]...))
	f.Add(append([]byte(diskMagic), recordMark+"\xff\xff\xff\xff"...))
	f.Add([]byte("RPN annuaire 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "annuaire.log")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := OpenDisk(DiskOptions{File: file, MaxAge: 72 * time.Hour, Tags: fakeTags("ours")})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		d.get(keyNumber(1))
		d.put(keyNumber(3), time.Unix(1_800_000_000, 0), 1, digest{3}, roc.NewContent([]byte(signed)))
		if _, err := d.get(keyNumber(3)); err != nil {
			t.Errorf("what was put is not there: %v", err)
		}
	})
}
