package xsd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// readers say whether a value is one of the type.
var readers = map[string]func(string) bool{
	"boolean":  func(s string) bool { _, err := Boolean(s); return err == nil },
	"date":     func(s string) bool { _, _, _, _, err := Date(s); return err == nil },
	"dateTime": func(s string) bool { _, _, err := DateTime(s); return err == nil },
	"integer":  func(s string) bool { _, err := Integer(s); return err == nil },
}

// seedsOf are values of each type, right and wrong, that the generator changes.
var seedsOf = map[string][]string{
	"boolean":  {"true", "false", "1", "0"},
	"date":     {"2026-01-01", "2026-01-01Z", "2026-12-31+01:00", "2024-02-29-14:00", "2026-02-29"},
	"dateTime": {"2026-11-21T09:30:00", "2026-11-21T09:30:00Z", "2026-11-21T24:00:00Z", "2026-11-21T09:30:00.123+01:00", "0001-01-01T00:00:00-14:00"},
	"integer":  {"0", "-1", "+0012", "41394", "123456789012345678"},
}

// mutated is a value near s: of the few characters that such values are made
// of, one more, one less or one other, now and then several, or white space.
func mutated(r *rand.Rand, s string) string {
	const alphabet = "0123456789-+:.TZ \t\nte"
	b := []byte(s)
	for range r.IntN(3) {
		i := r.IntN(len(b) + 1)
		switch c := alphabet[r.IntN(len(alphabet))]; {
		case r.IntN(3) == 0:
			b = append(b[:i:i], append([]byte{c}, b[i:]...)...)
		case i < len(b) && r.IntN(2) == 0:
			b = append(b[:i:i], b[i+1:]...)
		case i < len(b):
			b[i] = c
		}
	}
	return string(b)
}

// leftOut says what is of the type and not read, on purpose: a decimal that is
// below 0, too large or too precise is no amount, and a year beyond four digits
// or before 1 no date of ours.
func leftOut(name, s string) bool {
	s = Collapse(s)
	switch name {
	case "decimal":
		_, fraction, _ := strings.Cut(s, ".")
		return s == "+" || // libxml2 takes it, before white space
			strings.HasPrefix(s, "-") || len(s) > 12 || len(strings.TrimRight(fraction, "0")) > 6
	case "date", "dateTime":
		return strings.HasPrefix(s, "-") || strings.HasPrefix(s, "0000") || len(s) > 5 && s[4] != '-'
	}
	return false
}

// Each value is read here exactly when xmllint says it is one of its type.
func TestEachValueIsReadExactlyWhenXmllintSaysItIsOne(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(19, 2026))
	var doc, schema strings.Builder
	schema.WriteString(`<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="all"><xs:complexType><xs:choice maxOccurs="unbounded">`)
	doc.WriteString("<all>\n")
	type value struct{ name, text string }
	var values []value // of line 2, 3, ...
	for name, seeds := range seedsOf {
		fmt.Fprintf(&schema, `<xs:element name="%s" type="xs:%s"/>`, name, name)
		for range 2000 {
			s := mutated(r, seeds[r.IntN(len(seeds))])
			values = append(values, value{name, s})
			if name == "date" || name == "dateTime" {
				s = Collapse(s) // libxml2 does not, though XML Schema says so (3.2.7, 4.3.6)
			}
			fmt.Fprintf(&doc, "<%s>%s</%s>\n", name, strings.ReplaceAll(s, "\n", "&#10;"), name)
		}
	}
	doc.WriteString("</all>")
	schema.WriteString(`</xs:choice></xs:complexType></xs:element></xs:schema>`)
	invalid := xmllint(t, schema.String(), doc.String())
	read := 0
	for i, v := range values {
		got, want := readers[v.name](v.text), !invalid[i+2]
		if got {
			read++
		}
		if got != want && !(want && leftOut(v.name, v.text)) {
			t.Errorf("xs:%s %q: read %v, xmllint says %v", v.name, v.text, got, want)
		}
	}
	if read < len(values)/5 || read > len(values)*4/5 {
		t.Errorf("%d of %d values are read: the generator shows only one side", read, len(values))
	}
}

// xmllint returns the lines of the document that hold an invalid element.
func xmllint(t *testing.T, schema, doc string) map[int]bool {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"s.xsd": schema, "d.xml": doc} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("xmllint", "--noout", "--schema", "s.xsd", "d.xml")
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stderr = &out
	cmd.Run() // it fails when a value is invalid
	if !strings.Contains(out.String(), "d.xml fails to validate") {
		t.Fatalf("xmllint (apt-get install libxml2-utils) did not judge the values: %.300s", out.String())
	}
	invalid := map[int]bool{}
	for _, m := range regexp.MustCompile(`(?m)^d\.xml:(\d+): element`).FindAllStringSubmatch(out.String(), -1) {
		line, _ := strconv.Atoi(m[1])
		invalid[line] = true
	}
	return invalid
}
