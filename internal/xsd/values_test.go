package xsd

import (
	"strings"
	"testing"
	"time"
)

func TestDateTime(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"2026-11-21T09:30:00Z":              "2026-11-21T09:30:00Z zoned",
		"\r\n\t 2026-11-21T09:30:00Z\r\n":   "2026-11-21T09:30:00Z zoned",
		"2026-11-21T09:30:00.5+01:00":       "2026-11-21T08:30:00.5Z zoned",
		"2026-11-21T09:30:00.123456789012Z": "2026-11-21T09:30:00.123456789Z zoned",
		"2026-11-21T23:30:00-02:30":         "2026-11-22T02:00:00Z zoned",
		"2026-11-21T24:00:00Z":              "2026-11-22T00:00:00Z zoned",
		"2026-11-21T24:00:00.000+01:00":     "2026-11-21T23:00:00Z zoned",
		"2026-11-21T09:30:00":               "2026-11-21T09:30:00Z",
		"2026-11-21T24:00:01Z":              "",
		"2026-11-21T24:00:00.1Z":            "",
		"2026-11-21T09:30:00.Z":             "",
		"2026-11-21 09:30:00Z":              "",
		"2026-02-30T09:30:00Z":              "",
		"2026-11-21T09:30:60Z":              "",
		"2026-11-21T9:30:00Z":               "",
		"2026-11-21T09:30:00+0100":          "",
		"2026-11-21T09:30:00,5Z":            "",
		"+2026-11-21T09:30:00Z":             "",
		"2026-11-21T09:30:00+15:00":         "",
		"2026-11-21T09:30:00 Z":             "",
		"2026-11-21\u00a0T09:30:00Z":        "",
	} {
		got, zoned, err := DateTime(s)
		said := got.Format(time.RFC3339Nano)
		if zoned {
			said += " zoned"
		}
		if err != nil {
			said = ""
		}
		if said != want {
			t.Errorf("%q: got %q %v, want %q", s, said, err, want)
		}
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"2026-01-01": "2026-01-01", "2026-01-01Z": "2026-01-01 zoned", "2026-01-01+01:00": "2026-01-01 zoned", "2026-01-01-14:00": "2026-01-01 zoned",
		" 2026-01-01\n": "2026-01-01", "2024-02-29": "2024-02-29",
		"": "", "2026-02-29": "", "2026-1-1": "", "01/01/2026": "", "2026-01-01z": "", "2026-01-01T00:00:00": "", "2026-01-01+1:00": "", "2026-01-01 Z": "", "0000-01-01": "",
	} {
		y, m, d, zoned, err := Date(s)
		said := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		if zoned {
			said += " zoned"
		}
		if err != nil {
			said = ""
		}
		if said != want {
			t.Errorf("%q: got %q %v, want %q", s, said, err, want)
		}
	}
}

func TestNumbersAndBooleans(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"true": "true", " true ": "true", "1": "true", "\n0": "false", "false": "false", "TRUE": "", "": "", "tr ue": "", "yes": ""} {
		b, err := Boolean(s)
		if got := map[bool]string{true: "true", false: "false"}[b]; (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("Boolean(%q) = %v %v, want %q", s, b, err, want)
		}
	}
	for s, want := range map[string]int{"0": 0, "12": 12, " +012 ": 12, "-0": 0, "-1": -1, "": -1, "+": -1, "1.0": -1, "1 2": -1, "1000": 1000, "1001": -1, "99999999999999999999": -1} {
		got, err := Int(s, 1000)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("Int(%q) = %d %v, want %d", s, got, err, want)
		}
	}
	for s, want := range map[string]string{"41394": "41394", " -7\n": "-7", "+0012": "12", "0x10": "", "1_000": "", "": ""} {
		got, err := Integer(s)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("Integer(%q) = %v %v, want %q", s, got, err, want)
		}
	}
}

func TestCollapse(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": "", " ": "", "a": "a", " a\r\n\tb  c ": "a b c", "a b": "a b", "\u00a0a": "\u00a0a", "a\n": "a", "a ": "a"} {
		if got := Collapse(s); got != want {
			t.Errorf("Collapse(%q) = %q, want %q", s, got, want)
		}
	}
}

// FuzzDateTime: what is read as a date is that date to the time package.
func FuzzDateTime(f *testing.F) {
	for _, s := range []string{"2026-11-21T09:30:00Z", "2026-11-21T09:30:00.123456789012+01:00", "2026-02-29T00:00:00Z", "0001-01-01T00:00:00-14:00", "9999-12-31T23:59:59.9Z", "2026-11-21T24:00:00Z", "2026-11-21T09:30:60Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, zoned, err := DateTime(s)
		asGo := strings.Trim(s, " \t\r\n")
		if err == nil && !zoned {
			asGo += "Z"
		}
		want, werr := time.Parse(time.RFC3339Nano, asGo)
		if err == nil && len(asGo) > 13 && asGo[11:13] == "24" {
			return // the time package knows no 24:00:00: TestDateTime and xmllint do
		}
		if err == nil && (werr != nil || !got.Equal(want)) {
			t.Errorf("%q is %v, to the time package %v %v", s, got, want, werr)
		}
		// The other way: what time reads and we do not is what XML Schema
		// refuses (a comma, an hour of one digit, a zone of +00:60).
		if _, offset := want.Zone(); err != nil && werr == nil && want.Year() > 1 && !strings.Contains(s, ",") && offset >= -14*3600 && offset <= 14*3600 && len(s) >= 20 && s[13] == ':' && !strings.HasSuffix(s, ":60") {
			t.Errorf("%q is %v to the time package, here %v", s, want, err)
		}
	})
}

// FuzzValues: no reader panics, and what it reads of a value it reads of the
// value with white space around it.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"2026-01-01+01:00", " true ", "+060.50", "-0", "", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 100 {
			return
		}
		for name, read := range readers {
			if read(s) != read("\r\n\t "+s+" ") {
				t.Errorf("%s reads %q otherwise between white space", name, s)
			}
		}
	})
}
