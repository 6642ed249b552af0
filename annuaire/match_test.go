package annuaire

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"pgregory.net/rapid"
)

func TestCSRPatternMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern CSRPattern
		csr     roc.CSR
		want    bool
		source  string
	}{
		{"030255400", "030255400", true, "profile 4: equal"},
		{"030255400", "030255401", false, "profile 4: not equal"},
		{"94???????", "941234567", true, "profile 4: '?' stands for one character"},
		{"94???????", "94123456", false, "profile 4: one character each, not fewer"},
		{"94???????", "9412345678", false, "profile 4: one character each, not more"},
		{"?", "", false, "'?' is a character, not nothing"},
		{"???", "A1Z", true, "letters too"},
		{"", "", true, "a row without CSR is about every message"},
		{"", "030255400", true, "a row without CSR is about every message"},
	} {
		if got := c.pattern.Matches(c.csr); got != c.want {
			t.Errorf("%q matches %q = %v, want %v (%s)", c.pattern, c.csr, got, c.want, c.source)
		}
	}
}

func TestBestRow(t *testing.T) {
	t.Parallel()
	const amc, other = "0077565712", "0011111111"
	key := func(convention roc.Convention, csr roc.CSR, d roc.Domaine) roc.Key {
		return roc.Key{AMC: amc, Convention: convention, CSR: csr, Domaine: d, Service: roc.IDB, Version: roc.V1}
	}
	for _, c := range []struct {
		rule string
		rows []Pattern
		key  roc.Key
		want int
	}{
		{"no row at all", nil, key("RO", "", roc.HOSP), -1},
		{"a row of another AMC never answers", []Pattern{{AMC: other}}, key("RO", "", roc.HOSP), -1},
		{"a row that states nothing answers all", []Pattern{{AMC: amc}}, key("RO", "X", roc.EXTE), 0},
		{"a stated convention wants that convention", []Pattern{{AMC: amc, Convention: "TP"}}, key("RO", "", roc.HOSP), -1},
		{"a stated convention does not answer a message without one", []Pattern{{AMC: amc, Convention: "RO"}}, key("", "", roc.HOSP), -1},
		{"a stated domaine wants that domaine", []Pattern{{AMC: amc, Domaine: roc.EXTE}}, key("RO", "", roc.HOSP), -1},
		{"convention before none", []Pattern{{AMC: amc}, {AMC: amc, Convention: "RO"}}, key("RO", "", roc.HOSP), 1},
		{"convention before an exact CSR", []Pattern{{AMC: amc, CSR: "123"}, {AMC: amc, Convention: "RO"}}, key("RO", "123", roc.HOSP), 1},
		{"exact CSR before wildcards", []Pattern{{AMC: amc, CSR: "12?"}, {AMC: amc, CSR: "123"}}, key("RO", "123", roc.HOSP), 1},
		{"fewer wildcards first", []Pattern{{AMC: amc, CSR: "1??"}, {AMC: amc, CSR: "12?"}}, key("RO", "123", roc.HOSP), 1},
		{"wildcards only before no CSR", []Pattern{{AMC: amc}, {AMC: amc, CSR: "???"}}, key("RO", "123", roc.HOSP), 1},
		{"as many wildcards: a character where they first differ", []Pattern{{AMC: amc, CSR: "?23"}, {AMC: amc, CSR: "12?"}}, key("RO", "123", roc.HOSP), 1},
		{"CSR before domaine", []Pattern{{AMC: amc, Domaine: roc.HOSP}, {AMC: amc, CSR: "1??"}}, key("RO", "123", roc.HOSP), 1},
		{"domaine before none", []Pattern{{AMC: amc}, {AMC: amc, Domaine: roc.HOSP}}, key("RO", "123", roc.HOSP), 1},
		{"equals: the first", []Pattern{{AMC: amc}, {AMC: amc}}, key("RO", "123", roc.HOSP), 0},
	} {
		if got := Best(c.rows, func(p *Pattern) Pattern { return *p }, c.key); got != c.want {
			t.Errorf("%s: row %d, want %d", c.rule, got, c.want)
		}
	}
}

// naive says the same rule another way: every pattern is written as a string
// whose byte order is the precedence, and the greatest that matches wins.
func naive(rows []Pattern, k roc.Key) int {
	rank := func(p Pattern) string {
		r := []byte{'0'}
		if p.Convention != "" {
			r[0] = '1'
		}
		literals, mask := byte('A'), []byte{}
		for _, c := range string(p.CSR) {
			if c == '?' {
				mask = append(mask, '0')
			} else {
				literals++
				mask = append(mask, '1')
			}
		}
		if p.CSR == "" {
			literals = '@' // below 'A': a stated CSR, even of wildcards only, comes first
		}
		for len(mask) < 15 {
			mask = append(mask, '0')
		}
		r = append(append(r, literals), mask...)
		if p.Domaine != "" {
			return string(r) + "1"
		}
		return string(r) + "0"
	}
	matches := func(p Pattern) bool {
		want := []string{string(p.AMC), string(p.Convention), string(p.Domaine)}
		have := []string{string(k.AMC), string(k.Convention), string(k.Domaine)}
		for i := range want {
			if want[i] != "" && want[i] != have[i] {
				return false
			}
		}
		if p.CSR == "" {
			return true
		}
		filled := []byte(p.CSR)
		for i := range filled {
			if filled[i] == '?' && i < len(k.CSR) {
				filled[i] = k.CSR[i]
			}
		}
		return string(filled) == string(k.CSR)
	}
	best := -1
	for i, p := range rows {
		if matches(p) && (best < 0 || rank(p) > rank(rows[best])) {
			best = i
		}
	}
	return best
}

// The alphabets are tiny so that rows overlap often.
var (
	someAMC        = rapid.SampledFrom([]roc.NumeroAMC{"0077565712", "0011111111"})
	someConvention = rapid.SampledFrom([]roc.Convention{"", "RO", "TP"})
	someDomaine    = rapid.SampledFrom([]roc.Domaine{roc.HOSP, roc.EXTE})
	somePattern    = rapid.Custom(func(t *rapid.T) Pattern {
		return Pattern{
			AMC:        someAMC.Draw(t, "amc"),
			Convention: someConvention.Draw(t, "convention"),
			CSR:        CSRPattern(rapid.StringMatching(`[1A?]{0,4}`).Draw(t, "csr")),
			Domaine:    rapid.SampledFrom([]roc.Domaine{"", roc.HOSP, roc.EXTE}).Draw(t, "domaine"),
		}
	})
	someKey = rapid.Custom(func(t *rapid.T) roc.Key {
		return roc.Key{
			AMC:        someAMC.Draw(t, "amc"),
			Convention: someConvention.Draw(t, "convention"),
			CSR:        roc.CSR(rapid.StringMatching(`[1A]{0,4}`).Draw(t, "csr")),
			Domaine:    someDomaine.Draw(t, "domaine"),
			Service:    roc.IDB, Version: roc.V1,
		}
	})
)

func TestBestIsTheNaiveReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(somePattern, 0, 40).Draw(t, "rows")
		k := someKey.Draw(t, "key")
		got := Best(rows, func(p *Pattern) Pattern { return *p }, k)
		if want := naive(rows, k); got != want {
			t.Fatalf("row %d, the reference says %d", got, want)
		}
	})
}

// The order of the rows decides only between equal patterns.
func TestBestDoesNotDependOnTheOrderOfTheRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(somePattern, 1, 20).Draw(t, "rows")
		k := someKey.Draw(t, "key")
		of := func(p *Pattern) Pattern { return *p }
		before := Best(rows, of, k)
		shuffled := slices.Clone(rows)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		after := Best(shuffled, of, k)
		if (before < 0) != (after < 0) || before >= 0 && rows[before] != shuffled[after] {
			t.Fatalf("row %d, then %d once shuffled", before, after)
		}
	})
}

func TestParseCSRPattern(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		"": true, "94???????": true, "ABC": true, "???????????????": true,
		"????????????????": false, "94*": false, "94 ": false, "abc": false, "é": false,
	} {
		if _, err := ParseCSRPattern(s); (err == nil) != ok {
			t.Errorf("ParseCSRPattern(%q): %v, want accepted = %v", s, err, ok)
		}
	}
}
