package nation

import (
	"encoding/json"
	"testing"
)

func TestWhatALineOfTheLogMustNotHold(t *testing.T) {
	t.Parallel()
	for line, sound := range map[string]bool{
		`{"peer":"192.0.2.1:4242","since":"2026-11-29T01:52:00Z"}`:    true,
		`{"record":{"peer":"[2001:db8::1]:4242"},"day":"2026-11-29"}`: true,
		`{"peer":"192.0.2.1"}`:                         false,
		`{"record":{"peer":"::1"}}`:                    false,
		`{"peer":""}`:                                  false,
		`{"date":"2026-11-29 01:52 UTC"}`:              false,
		`{"list":[{"at":"2026-11-29T01:52:00"}]}`:      false,
		`{"list":["2026-11-29T01:52:00.5+01:00"]}`:     true,
		`{"error":"it ended on 2026-11-29 01:52 UTC"}`: true, // a sentence
	} {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if what := malformed("", l); (what == "") != sound {
			t.Errorf("%s: %q", line, what)
		}
	}
}
