package chaos

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rows reads the tables of a page: the cells of each row, by its first two.
func rows(t *testing.T, file string) map[[2]string][]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := map[[2]string][]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		columns := strings.Split(strings.Trim(line, "|"), "|")
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
		}
		if len(columns) > 2 {
			found[[2]string{columns[0], columns[1]}] = columns[2:]
		}
	}
	return found
}

// The matrix is whole: each dependency in each way, once.
func TestTheMatrixIsWhole(t *testing.T) {
	t.Parallel()
	for _, d := range dependencies {
		for _, w := range ways {
			n := 0
			for _, c := range cells {
				if c.on == d.name && c.way == w {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s, %s: %d cells", d.name, w.name, n)
			}
		}
	}
}

// What an operator reads of each cell is what the drill holds: who reads which
// codes, who is to act, which line of /readyz says so.
func TestEachCellHasItsRowForOperators(t *testing.T) {
	t.Parallel()
	page := rows(t, "../../../docs/operating/outages.md")
	figures := rows(t, "../../../docs/bench/chaos.md")
	code := regexp.MustCompile(`RPN\d{3}`)
	for _, c := range cells {
		i := slices.IndexFunc(dependencies, func(d struct{ name, nom string }) bool { return d.name == c.on })
		key := [2]string{dependencies[i].nom, c.way.nom}
		row, ok := page[key]
		if !ok || len(row) != 6 {
			t.Errorf("outages.md has no row of eight columns for %q, %q: %q", key[0], key[1], row)
			continue
		}
		if _, ok := figures[[2]string{c.on, c.way.name}]; !ok {
			t.Errorf("chaos.md has no row for %s, %s", c.on, c.way.name)
		}
		if c.without != "" {
			if row[0] != "pas jouée" {
				t.Errorf("outages.md, %s, %s: the drill plays nothing: %q", key[0], key[1], row[0])
			}
			continue
		}
		distinct := func(s string) []string {
			all := code.FindAllString(s, -1)
			slices.Sort(all)
			return slices.Compact(all)
		}
		if got, want := distinct(row[0]), distinct(c.codes); !slices.Equal(got, want) {
			t.Errorf("outages.md, %s, %s: who calls reads %v, the drill %v", key[0], key[1], got, want)
		}
		whose := string(c.whose)
		if whose == "" {
			whose = "—"
		}
		if row[1] != whose {
			t.Errorf("outages.md, %s, %s: %q is to act, want %q", key[0], key[1], row[1], whose)
		}
		if alone := row[2] == "tous"; alone == c.spares {
			t.Errorf("outages.md, %s, %s: %q is touched; others are spared: %v", key[0], key[1], row[2], c.spares)
		}
		line := "—"
		if c.line != "" {
			line = "`" + c.line + "`"
		}
		if c.unfit {
			line += " (503)"
		}
		if row[3] != line {
			t.Errorf("outages.md, %s, %s: /readyz is said to show %q, want %q", key[0], key[1], row[3], line)
		}
	}
}
