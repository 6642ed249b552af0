package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/limits/breaker"
	"github.com/piano-roc/rpn/limits/crossbar"
	"github.com/piano-roc/rpn/limits/shed"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/register"
)

// A constructor that lacks an option which only the configuration can give
// panics, and names it: no limit is ever zero, or a second default. Each such
// panic of the tree is in this table.
func TestAConstructorWithoutARequiredOptionSaysWhich(t *testing.T) {
	t.Parallel()
	table := map[string]func(){
		"annuaire: TTL, Stale, NegativeTTL, AskTimeout, PerSecond and NewKeys are required": func() { annuaire.New(annuaire.Options{}) },
		"annuaire: Changes.Least is required with Share": func() {
			annuaire.New(annuaire.Options{TTL: 1, Stale: 1, NegativeTTL: 1, AskTimeout: time.Second, PerSecond: 1, NewKeys: 1, Changes: annuaire.ChangeOptions{Share: 0.2}})
		},
		"breaker: Failures is required":                             func() { breaker.NewSet(breaker.Options{}) },
		"crossbar: Seats is required":                               func() { crossbar.New(crossbar.Options{}) },
		"facade: Limits are required":                               func() { facade.New(facade.Options{}) },
		"http1: MaxConns, DialTimeout and AnswerBytes are required": func() { http1.NewUpstream(http1.UpstreamOptions{MaxConns: 1, DialTimeout: 1}) },
		"limits: a default limit needs its rate and its burst":      func() { limits.NewLocal(limits.Options{Default: register.Limite{ParSeconde: 1}}) },
		"shed: Target is required":                                  func() { shed.New(shed.Options{}) },
	}
	for want, construct := range table {
		if got := panicOf(construct); got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}
	required := regexp.MustCompile(`panic\("([a-z0-9]+: [^"]*\b(?:required|needs)\b[^"]*)"\)`)
	for _, folder := range topFolders(t) {
		err := filepath.WalkDir(filepath.Join("..", folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			for _, m := range required.FindAllSubmatch(text, -1) {
				if table[string(m[1])] == nil {
					t.Errorf("%s: panic(%q) is not in the table", file, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func panicOf(f func()) (what any) {
	defer func() { what = recover() }()
	f()
	return nil
}
