package secret

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	one = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	two = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
)

func ring(t *testing.T, lines ...string) *Ring {
	t.Helper()
	r, err := Parse([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestATagHoldsForItsPurposeAndPartsAlone(t *testing.T) {
	t.Parallel()
	r := ring(t, one)
	tag := r.Tag("a", []byte("xy"), []byte("z"))
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"the same", r.Holds(tag, "a", []byte("xy"), []byte("z"))},
		{"read from a file with more keys", ring(t, two, "# old", "", one).Holds(tag, "a", []byte("xy"), []byte("z"))},
	} {
		if !c.ok {
			t.Errorf("%s: the tag does not hold", c.name)
		}
	}
	altered := append([]byte(nil), tag...)
	altered[len(altered)-1] ^= 1
	for name, ok := range map[string]bool{
		"another purpose": r.Holds(tag, "b", []byte("xy"), []byte("z")),
		"cut elsewhere":   r.Holds(tag, "a", []byte("x"), []byte("yz")),
		"another part":    r.Holds(tag, "a", []byte("xy"), []byte("Z")),
		"altered":         r.Holds(altered, "a", []byte("xy"), []byte("z")),
		"cut short":       r.Holds(tag[:20], "a", []byte("xy"), []byte("z")),
		"none":            r.Holds(nil, "a", []byte("xy"), []byte("z")),
		"another key":     ring(t, two).Holds(tag, "a", []byte("xy"), []byte("z")),
	} {
		if ok {
			t.Errorf("%s: the tag holds", name)
		}
	}
}

func TestWhatIsSealedOpensForItsPurposeAlone(t *testing.T) {
	t.Parallel()
	old, both := ring(t, one), ring(t, two, one)
	sealed := old.Seal("clef", []byte("plain"))
	for _, r := range []*Ring{old, both} {
		if b, err := r.Open("clef", sealed); err != nil || string(b) != "plain" {
			t.Errorf("opened %q, %v", b, err)
		}
	}
	if strings.Contains(string(sealed), "plain") {
		t.Error("what is sealed can be read")
	}
	if again := old.Seal("clef", []byte("plain")); string(again) == string(sealed) {
		t.Error("two seals of the same are the same")
	}
	if _, err := ring(t, two).Open("clef", sealed); err == nil {
		t.Error("opened with another key")
	}
	if _, err := old.Open("other", sealed); err == nil {
		t.Error("opened for another purpose")
	}
	for i := range sealed {
		altered := append([]byte(nil), sealed...)
		altered[i] ^= 1
		if _, err := old.Open("clef", altered); err == nil {
			t.Errorf("opened with byte %d altered", i)
		}
		if _, err := old.Open("clef", sealed[:i]); err == nil {
			t.Errorf("opened when cut at %d", i)
		}
	}
}

func TestAFileOfKeysIsReadStrictly(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":                      "holds no key",
		"# nothing":             "holds no key",
		"abcd":                  "line 1 is not a key",
		one + "\nnot-a-secret":  "line 2 is not a key",
		one + "\n\n" + one:      "line 3 repeats a key",
		strings.Repeat("z", 64): "line 1 is not a key",
	} {
		_, err := Parse([]byte(content))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		} else if strings.Contains(err.Error(), "not-a-secret") {
			t.Error("the error shows the line")
		}
	}
	file := filepath.Join(t.TempDir(), "keys")
	os.WriteFile(file, []byte(one), 0o600)
	r, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%v %+v %#v", r, r, r); strings.Contains(s, "0011") || strings.Contains(s, "0x11") {
		t.Errorf("a ring prints as %s", s)
	}
	if _, err := Read(file + ".none"); err == nil {
		t.Error("a file that is not there was read")
	}
}

// What is derived is of its purpose, its parts and its key alone, and one for each
// key.
func TestWhatIsDerivedIsOfItsPurposePartsAndKeyAlone(t *testing.T) {
	t.Parallel()
	both, first := ring(t, one, two), ring(t, one)
	got := both.Derived("webhook", []byte("a"), []byte("b"))
	if len(got) != 2 || len(got[0]) != 32 || string(got[0]) != string(first.Derived("webhook", []byte("a"), []byte("b"))[0]) || string(got[0]) == string(got[1]) {
		t.Errorf("derived %x", got)
	}
	for _, other := range [][]byte{first.Derived("other", []byte("a"), []byte("b"))[0], first.Derived("webhook", []byte("ab"), nil)[0], first.Tag("webhook", []byte("a"), []byte("b"))[4:]} {
		if string(other) == string(got[0]) {
			t.Errorf("%x is derived twice", other)
		}
	}
}
