package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// serviceCode is a service of an AMC, as a name or in a text.
var serviceCode = regexp.MustCompile(`\b(?i:IDB|SIM|CLC|ANL)\b`)

// The services are one list, roc.Services, and what their messages are called is
// one table, in internal/message: nobody else lists them. Three services within a
// few lines are a list.
func TestServicesAreListedOnce(t *testing.T) {
	t.Parallel()
	const lines = 6
	tables := map[string]bool{"../internal/roc/service.go": true, "../internal/message/operation.go": true,
		"../internal/roc/servicetimes.go": true, // a field each, for YAML: its test holds that none is missing
		"../nation/day.go":                true} // a story of exchanges, of which each has a service
	for _, folder := range topFolders(t) {
		err := filepath.WalkDir(filepath.Join("..", folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || tables[file] {
				return err
			}
			source, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			last := map[string]int{}
			for i, line := range strings.Split(string(source), "\n") {
				code, _, _ := strings.Cut(line, "//")
				for _, s := range serviceCode.FindAllString(code, -1) {
					last[strings.ToUpper(s)] = i
				}
				near := 0
				for _, at := range last {
					if i-at < lines {
						near++
					}
				}
				if near > 2 {
					t.Errorf("%s:%d: services are listed by hand: take roc.Services, roc.AMCServices or message.Operations", file, i+1)
					clear(last)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
