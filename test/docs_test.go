package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Each reason has exactly one line in docs/refusals.md, which says what the
// code says: its code, name, fault, who must act, and the French text.
func TestEveryReasonHasItsLineInRefusals(t *testing.T) {
	t.Parallel()
	text := page(t, "refusals.md")
	for _, r := range roc.Reasons() {
		m := r.Meaning()
		fault := "Receiver"
		if m.Sender {
			fault = "Sender"
		}
		want := fmt.Sprintf("| %s | %s | %s | %s | %s %s |", m.Code, r, fault, m.Responsable, m.Libelle, m.Remede)
		if strings.Count(text, want+"\n") != 1 {
			t.Errorf("docs/refusals.md: want exactly one line\n%s", want)
		}
	}
	if got, want := len(regexp.MustCompile(`(?m)^\| RPN\d{3} \|`).FindAllString(text, -1)), len(roc.Reasons()); got != want {
		t.Errorf("docs/refusals.md has %d lines for %d reasons", got, want)
	}
}

// Each cause has exactly one line in docs/refusals.md.
func TestEveryCauseHasItsLineInRefusals(t *testing.T) {
	t.Parallel()
	text := page(t, "refusals.md")
	for _, c := range roc.Causes() {
		m := c.Meaning()
		full := m.Reason.MeaningWith(c)
		code, who, says := full.Code, full.Responsable, full.Libelle+" "+full.Remede
		if m.Reason == "" {
			code, who, says = "-", m.Responsable, m.Libelle+" "+m.Remede
		}
		want := fmt.Sprintf("| `%s` | %s | %s | %s |", c, code, who, says)
		if strings.Count(text, want+"\n") != 1 {
			t.Errorf("docs/refusals.md: want exactly one line\n%s", want)
		}
	}
	if got, want := len(regexp.MustCompile("(?m)^\\| `[a-z-]+` \\|").FindAllString(text, -1)), len(roc.Causes()); got != want {
		t.Errorf("docs/refusals.md has %d lines for %d causes", got, want)
	}
}

// The reasons that no code raises yet are named, and no other.
func TestRefusalsNamesTheReasonsNotRaisedYet(t *testing.T) {
	t.Parallel()
	words, err := os.ReadFile("../internal/roc/refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	source := sources(t)
	var reserved []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) +Reason = "([a-z-]+)"`).FindAllSubmatch(words, -1) {
		if !regexp.MustCompile(`roc\.` + string(m[1]) + `\b`).MatchString(source) {
			reserved = append(reserved, string(m[2]))
		}
	}
	// RefusalOf makes every error without a reason internal.
	reserved = slices.DeleteFunc(reserved, func(s string) bool { return s == string(roc.Internal) })
	want := "Not raised yet: " + strings.Join(reserved, ", ") + "."
	if len(reserved) == 0 {
		want = "Every reason is raised."
	}
	if !strings.Contains(page(t, "refusals.md"), want) {
		t.Errorf("docs/refusals.md: want the sentence %q", want)
	}
}

// sources returns the text of every Go file that is neither a test nor of
// internal/roc.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range topFolders(t) {
		if dir == "test" {
			continue
		}
		err := filepath.WalkDir(filepath.Join("..", dir), func(p string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") || strings.HasPrefix(p, filepath.Join("..", "internal", "roc")) {
				return err
			}
			b, err := os.ReadFile(p)
			all.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// topFolders are the folders at the top of the tree.
func topFolders(t *testing.T) (names []string) {
	t.Helper()
	all, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" {
			names = append(names, e.Name())
		}
	}
	return names
}

// Each key that a record can write has its line in docs/record.md, and each
// line there is a key that a record can write.
func TestEveryKeyOfARecordHasItsLine(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	full := roc.Record{
		ID: "id", From: "1010003812", Peer: "192.0.2.1", Service: roc.IDB, Version: roc.V1,
		To:      roc.Key{AMC: "0077565712", Convention: "RO", CSR: "030255400", Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1},
		AMCName: "AMC", Target: "amc.example", RequestIn: at, RequestOut: at, AnswerIn: at, AnswerOut: at.Add(time.Second),
		Read: 1e6, Check: 1e6, Annuaire: 1e6, Lookup: 1e6, Connect: 1e6, AMC: 1e6, Waited: 1e6, RequestBytes: 1, AnswerBytes: 1,
		RequestSHA256: [32]byte{1}, AnswerSHA256: [32]byte{1}, SignatureSHA256: [32]byte{1}, SignerSerial: "01", MessageID: "id",
		Outcome: roc.Refused, Origin: roc.FromRPN, Reason: roc.TooMany, Cause: "cause", CauseCode: roc.CallerLeft, FarStatus: 500, FromMemory: true, Stale: true, AnswerCheck: "good", VIHF: "good", ClockOffset: new(time.Second), Replayed: true, Dossier: roc.Dossier{1},
	}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("roc.Record has a new field %s: set it in this test", v.Type().Field(i).Name)
		}
	}
	var keys []string
	for _, a := range full.LogValue().Group() {
		keys = append(keys, a.Key)
	}
	var lines []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(page(t, "record.md"), -1) {
		lines = append(lines, m[1])
	}
	if !slices.Equal(keys, lines) {
		t.Errorf("docs/record.md lists\n%v\na record writes\n%v", lines, keys)
	}
}

// A path of the tree that a page names in `code` is there; a file x.txt stands
// for every file of its folder.
func TestEveryPathThatAPageNamesIsThere(t *testing.T) {
	t.Parallel()
	pages, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	top := regexp.MustCompile("`((?:" + strings.Join(topFolders(t), "|") + ")/[\\w./-]*)`")
	for name := range strings.FieldsSeq(string(pages)) {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range top.FindAllStringSubmatch(string(text), -1) {
			p := strings.TrimSuffix(strings.TrimSuffix(m[1], "..."), "x.txt")
			if _, err := os.Stat(filepath.Join("..", p)); err != nil {
				t.Errorf("%s names %s: %v", name, p, err)
			}
		}
	}
}

// Each library that go.mod requires has its line in dependencies.md, with its
// version and exactly its doors; each line there is such a library, or a tool.
func TestDependenciesSaysWhatIsRequiredAndByWhichDoor(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "mod", "edit", "-json", "../go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
		Tool []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{} // library: enters by, version
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+) \| [^|]+ \| ([^|]+) \| (v\d\S+), `).FindAllStringSubmatch(page(t, "decisions/dependencies.md"), -1) {
		lines[m[1]] = m[2:]
	}
	for _, r := range mod.Require {
		tool := slices.ContainsFunc(mod.Tool, func(t struct{ Path string }) bool { return strings.HasPrefix(t.Path, r.Path+"/") })
		if r.Indirect && !tool {
			continue
		}
		name := regexp.MustCompile(`/v\d+$`).ReplaceAllString(strings.TrimPrefix(r.Path, "github.com/"), "")
		line, ok := lines[name]
		if name == "go.yaml.in/yaml" {
			name = "go.yaml.in/yaml/v4"
			line, ok = lines[name]
		}
		if !ok {
			t.Errorf("docs/decisions/dependencies.md has no line of %s", name)
			continue
		}
		delete(lines, name)
		if line[1] != r.Version {
			t.Errorf("%s: the page says %s, go.mod %s", name, line[1], r.Version)
		}
		var by []string
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line[0], -1) {
			by = append(by, m[1])
		}
		slices.Sort(by)
		want := slices.Clone(doorsOf(r.Path))
		slices.Sort(want)
		if !slices.Equal(by, want) {
			t.Errorf("%s: the page says that it enters by %v, and it does by %v", name, by, want)
		}
	}
	for name := range lines {
		t.Errorf("docs/decisions/dependencies.md has a line of %s, which go.mod does not require", name)
	}
}

// doorsOf are the doors of a module, under whichever of its packages.
func doorsOf(modulePath string) []string {
	for lib, by := range doors {
		if lib == modulePath || strings.HasPrefix(modulePath, lib+"/") {
			return by
		}
	}
	return nil
}

// A page that names a test as its proof names one that is there.
func TestTheTestsThatPagesNameExist(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	list, err := exec.Command("git", "ls-files", "--", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(list))
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w*)\(`).FindAllStringSubmatch(read(file), -1) {
				there[m[1]] = true
			}
		}
	}
	named := 0
	for _, file := range files {
		if !strings.HasSuffix(file, ".md") {
			continue
		}
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)(\\.\\.\\.)?").FindAllStringSubmatch(read(file), -1) {
			named++
			begins := func(name string) bool { return strings.HasPrefix(name, m[1]) }
			if !there[m[1]] && (m[2] == "" || !slices.ContainsFunc(slices.Collect(maps.Keys(there)), begins)) {
				t.Errorf("%s names %s, which is not there", file, m[1])
			}
		}
	}
	if named < 50 {
		t.Errorf("%d names: are they read?", named)
	}
}
