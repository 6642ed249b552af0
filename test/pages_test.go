package test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages returns the text of each page of the repository, by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	list, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	all := map[string]string{}
	for name := range strings.FieldsSeq(string(list)) {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	if len(all) < 40 {
		t.Fatalf("%d pages: are they read?", len(all))
	}
	return all
}

// A file that a page names in `code` is there, under its whole path or the end
// of it (`xmlsig/token.go`), and so is a page that another names in its text.
func TestEveryFileThatAPageNamesIsThere(t *testing.T) {
	t.Parallel()
	list, err := exec.Command("git", "-C", "..", "ls-files").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	files := strings.Fields(string(list))
	isThere := func(name string) bool {
		return slices.ContainsFunc(files, func(f string) bool { return f == name || strings.HasSuffix(f, "/"+name) })
	}
	source := regexp.MustCompile("`([\\w.-]+(?:/[\\w.-]+)*\\.(?:go|s|sh|py|php|cs|tsv|xsd|md))`")
	named := 0
	for page, text := range pages(t) {
		for _, m := range source.FindAllStringSubmatch(text, -1) {
			named++
			switch name := m[1]; {
			case name == "wire_X.go": // one for each part
			case strings.HasSuffix(name, ".xsd") && (strings.HasPrefix(page, "docs/wsdl") || isThere(name)): // a schema as it is served
			case !isThere(name):
				t.Errorf("%s names %s, which is not there", page, name)
			}
		}
		for _, m := range regexp.MustCompile(`\bdocs/[\w/.-]+\.md\b`).FindAllString(text, -1) {
			if _, err := os.Stat(filepath.Join("..", m)); err != nil {
				t.Errorf("%s names %s, which is not there", page, m)
			}
		}
	}
	if named < 40 {
		t.Errorf("%d names: are they read?", named)
	}
}

// Links between pages lead somewhere, and README leads to every page: to a
// decision by its folder, to the others by their name.
func TestREADMELeadsToEveryPage(t *testing.T) {
	t.Parallel()
	all, reached := pages(t), map[string]bool{}
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to := path.Join(path.Dir(page), m[1])
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("%s leads to %s, which is not there", page, to)
			}
			if page == "README.md" {
				reached[to] = true
			}
		}
	}
	for page := range all {
		if strings.HasPrefix(page, "docs/") && !reached[page] && !reached[path.Dir(page)] {
			t.Errorf("README.md does not lead to %s", page)
		}
	}
}

// A target that a page asks of make is one, and so is the variable that it
// gives it.
func TestEveryTargetOfMakeThatAPageNamesIsThere(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	asked := regexp.MustCompile("(?m)(?:`|^    )make ([a-z][a-z-]*)((?: [A-Z]+=)?)")
	named := 0
	for page, text := range pages(t) {
		for _, m := range asked.FindAllStringSubmatch(text, -1) {
			named++
			if !targets[m[1]] {
				t.Errorf("%s asks make for %s, which is no target", page, m[1])
			}
			if v := strings.Trim(m[2], " ="); v != "" && !strings.Contains(string(makefile), "$("+v+")") {
				t.Errorf("%s gives make %s, which the Makefile does not read", page, v)
			}
		}
	}
	if named < 20 {
		t.Errorf("%d targets: are they read?", named)
	}
}

// A flag that a page gives to the demo, the simulator or the fictitious
// annuaire is one of them (cmd/rpn has the same test of its own commands).
func TestEveryFlagOfAProgramThatAPageNamesIsThere(t *testing.T) {
	t.Parallel()
	use := regexp.MustCompile("(?m)(?:`|^    )(?:go run \\./cmd/)?(demo|mutuelle|annuaire) ((?:[^`\\n]|\\\\\\n)*)")
	named := 0
	for page, text := range pages(t) {
		for _, m := range use.FindAllStringSubmatch(text, -1) {
			source := ""
			files, err := filepath.Glob("../cmd/" + m[1] + "/*.go")
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				source += string(b)
			}
			for _, flag := range regexp.MustCompile(`--([a-z][a-z0-9-]*)`).FindAllStringSubmatch(m[2], -1) {
				named++
				if flag[1] != "help" && !strings.Contains(source, `"`+flag[1]+`"`) {
					t.Errorf("%s gives --%s to %s, which has no such flag", page, flag[1], m[1])
				}
			}
		}
	}
	if named < 10 {
		t.Errorf("%d flags: are they read?", named)
	}
}
