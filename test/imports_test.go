package test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/piano-roc/rpn/"

var update = flag.Bool("update", false, "write imports.txt anew; its diff is for a reader")

// arrowsFile holds every arrow of the import map, one a line. It is exact: an
// arrow that is not in it fails, and so does one that nobody uses.
//
//	go test ./test -run Arrow -update
const arrowsFile = "imports.txt"

// rooms say what each room may import of ours, beside itself and what is below
// it, the roof first: an arrow to a room that stands higher is refused however
// it is listed. "internal/..." is everything of the ground.
var rooms = []struct {
	room string
	may  []string
}{
	{"cmd/rpn", []string{"app", "app/...", "register", "register/...", "routing/...", "annuaire", "journal", "journal/...", "indicators/...", "internal/..."}},
	{"cmd/mutuelle", []string{"mutuelle"}},
	{"cmd/annuaire", []string{"annuaire/fictif"}},
	{"cmd/demo", []string{"nation"}},
	{"nation", []string{"app", "app/config", "mutuelle", "annuaire/fictif", "internal/..."}},
	{"app", []string{"app/...", "proxy", "proxy/...", "annuaire", "routing", "routing/...", "register", "register/...", "tlsconf", "tlsconf/...", "limits", "limits/...", "journal", "journal/...", "indicators/...", "portal", "internal/..."}},
	{"app/config", []string{"register", "tlsconf", "tlsconf/...", "internal/roc", "internal/strict"}},
	{"app/admin", []string{"tlsconf/expiry", "internal/roc"}},
	{"portal", []string{"indicators/store", "register", "journal", "internal/roc"}},
	{"dashboards", []string{"indicators/live"}},
	{"indicators", []string{"journal", "register", "internal/roc"}},
	{"proxy", []string{"proxy/http1", "proxy/facade", "routing", "annuaire", "register", "internal/..."}},
	{"proxy/facade", []string{"annuaire", "register", "internal/message", "internal/soap", "internal/xmlsig", "internal/roc"}},
	{"proxy/http1/http1test", []string{"internal/roc", "internal/igc"}}, // for tests
	{"proxy/http1", []string{"internal/roc", "internal/egress"}},
	{"mutuelle", []string{"tlsconf/trust", "internal/message", "internal/soap", "internal/xmlsig", "internal/roc"}},
	{"routing", []string{"annuaire", "register", "internal/roc"}},
	{"routing/explain", []string{"routing", "annuaire", "register", "register/...", "internal/roc"}},
	{"annuaire", []string{"internal/..."}},
	{"annuaire/fictif", []string{"annuaire", "tlsconf", "tlsconf/...", "internal/..."}},
	{"limits", []string{"register", "internal/..."}},
	{"journal", []string{"internal/..."}},
	{"register", []string{"internal/..."}},
	{"tlsconf", []string{"internal/durable", "internal/roc"}},
	{"internal/igc", []string{"internal/roc"}},
	{"internal/message", []string{"internal/soap", "internal/xmlsig", "internal/xsd", "internal/roc"}},
	{"internal/xmlsig", []string{"internal/soap", "internal/rsaverify", "internal/xsd", "internal/roc"}},
	{"internal/soap", []string{"internal/roc"}},
	{"internal/redis/acme", []string{"internal/redis", "internal/secret"}},
	{"internal/redis/redistest", []string{"internal/await"}}, // for tests
	{"internal/redis", []string{"internal/roc"}},
	{"internal/durable", []string{"internal/roc"}},
	{"internal/egress", []string{"internal/roc"}},
	{"internal/secret", []string{"internal/roc"}},
	{"internal/rsaverify", nil},
	{"internal/xsd", nil},
	{"internal/strict", nil},
	{"internal/await", nil}, // for tests
	{"internal/roc", nil},
}

// beyond are the arrows that the table of rooms does not have, each with its
// reason. One that nobody uses fails.
var beyond = map[string]string{
	"nation -> tlsconf/revocation":  "signs the deny list that the demo plays",
	"cmd/rpn -> tlsconf/revocation": "makes and signs a deny list: `rpn deny`",
	"cmd/rpn -> tlsconf/expiry":     "shows what the running RPN says: `rpn certificates`",
	"cmd/rpn -> tlsconf/trust":      "the one chain builder, for the signer of a message: `rpn verify`",
	"nation -> tlsconf/trust":       "the one chain builder, for who signs in the nation",
}

// doors says by which packages each outside library, or standard package that
// must not spread, enters. A library without a door is refused, and so is a
// door that nobody uses.
var doors = map[string][]string{
	"github.com/beevik/etree":             {"internal/xmlsig/second"}, // decides nothing (docs/decisions/0003)
	"github.com/russellhaering/goxmldsig": {"internal/xmlsig/second"}, // decides nothing (docs/decisions/0005)
	"filippo.io/bigmod":                   {"internal/xmlsig"},
	"github.com/prometheus/client_golang": {"indicators/live"},
	"go.yaml.in/yaml/v4":                  {"internal/strict"},
	"github.com/redis/go-redis/v9":        {"internal/redis"},
	"github.com/caddyserver/certmagic":    {"tlsconf/identity", "internal/redis/acme"},
	"github.com/mholt/acmez":              {"tlsconf/identity"},
	"go.uber.org/zap":                     {"tlsconf/identity"}, // certmagic's log, given to ours
	"golang.org/x/crypto":                 {"tlsconf/revocation", "tlsconf/identity", "internal/igc"},
	"software.sslmate.com/src/go-pkcs12":  {"tlsconf/identity"},
	"golang.org/x/time":                   {"limits"},
	"golang.org/x/sys":                    {"internal/rsaverify", "proxy/http1", "journal"},
	"golang.org/x/mod":                    {"journal"},
	"github.com/klauspost/compress":       {"journal"},
	"github.com/spf13/cobra":              {"cmd/rpn", "cmd/demo", "cmd/mutuelle", "cmd/annuaire"},
	"encoding/xml":                        {}, // reads what must be refused (docs/decisions/0003)
	"net/http/httputil":                   {}, // the exchange goes by proxy alone
}

func TestEveryArrowIsInTheMap(t *testing.T) {
	t.Parallel()
	var used []string
	for _, p := range packages(t) {
		for _, to := range p.ours() {
			used = append(used, p.path()+" -> "+to)
		}
	}
	slices.Sort(used)
	if *update {
		if err := os.WriteFile(arrowsFile, []byte(strings.Join(used, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(arrowsFile)
	if err != nil {
		t.Fatal(err)
	}
	listed := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, a := range used {
		if !slices.Contains(listed, a) {
			t.Errorf("%s is a new arrow: go test ./test -run Arrow -update, and tell why in the commit", a)
		}
	}
	for _, a := range listed {
		if !slices.Contains(used, a) {
			t.Errorf("%s is in %s, and nobody uses it: go test ./test -run Arrow -update", a, arrowsFile)
		}
	}
}

func TestEveryArrowFollowsTheTableOfRooms(t *testing.T) {
	t.Parallel()
	unused := maps.Clone(beyond)
	for _, p := range packages(t) {
		from := roomOf(p.path())
		if from < 0 {
			t.Errorf("%s is in no room: give it a line in rooms, and in ARCHITECTURE.md", p.path())
			continue
		}
		for _, to := range p.ours() {
			arrow := p.path() + " -> " + to
			delete(unused, arrow)
			if beyond[arrow] == "" && !allowed(rooms[from].room, rooms[from].may, to) {
				t.Errorf("%s: the room %s may not import it", arrow, rooms[from].room)
			}
		}
	}
	for _, arrow := range slices.Sorted(maps.Keys(unused)) {
		t.Errorf("%s is an exception that nobody uses: remove its line", arrow)
	}
}

// No arrow between two folders of the top goes up: the rooms are listed from
// the roof to the ground.
func TestNoArrowBetweenFoldersRunsUpward(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := roomOf(p.path())
		for _, to := range p.ours() {
			if top(p.path()) != top(to) && roomOf(to) <= from {
				t.Errorf("%s -> %s runs upward", p.path(), to)
			}
		}
	}
}

// The largest folder of the top holds less than a third of the Go code, with
// its tests or without: a room that grows beyond is two.
func TestNoFolderHoldsAThirdOfTheCode(t *testing.T) {
	t.Parallel()
	for name, counted := range map[string]func(file string) bool{
		"all code":      func(string) bool { return true },
		"without tests": func(file string) bool { return !strings.HasSuffix(file, "_test.go") },
	} {
		size, all := map[string]int{}, 0
		for _, folder := range topFolders(t) {
			err := filepath.WalkDir(filepath.Join("..", folder), func(file string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || !counted(file) {
					return err
				}
				text, err := os.ReadFile(file)
				n := strings.Count(string(text), "\n")
				size[folder] += n
				all += n
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for folder, n := range size {
			if 3*n >= all {
				t.Errorf("%s: %s holds %d of %d lines, a third or more", name, folder, n, all)
			}
		}
	}
}

func TestEachLibraryEntersByItsDoor(t *testing.T) {
	t.Parallel()
	unused := map[string]bool{}
	for lib, by := range doors {
		for _, p := range by {
			unused[fmt.Sprintf("%s by %s", lib, p)] = true
		}
	}
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module) {
				continue
			}
			lib, by, ok := door(imp)
			delete(unused, fmt.Sprintf("%s by %s", lib, p.path()))
			switch {
			case ok && !slices.Contains(by, p.path()):
				t.Errorf("%s imports %s, which enters by %s", p.path(), imp, strings.Join(append(by, "no other package"), ", "))
			case !ok && strings.Contains(imp, "."):
				t.Errorf("%s imports %s, a new library; give it a door in doors and a line in docs/decisions/dependencies.md", p.path(), imp)
			}
		}
	}
	for _, d := range slices.Sorted(maps.Keys(unused)) {
		t.Errorf("%s: a door that nobody uses", d)
	}
}

// The national binary holds neither the simulator, nor a certificate
// authority, nor the small nation, nor what serves tests alone.
func TestRPNLinksNothingFictitious(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "./cmd/rpn")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module+"app") {
		t.Fatalf("rpn links no app: %v", linked)
	}
	for _, p := range []string{"nation", "internal/igc", "mutuelle", "annuaire/fictif", "internal/await"} {
		if slices.Contains(linked, module+p) {
			t.Errorf("rpn links %s", p)
		}
	}
	if slices.Contains(linked, "testing") {
		t.Error("rpn links what is for tests")
	}
}

// roomOf is the place in rooms of a package: of the longest name that holds it.
func roomOf(p string) int {
	for ; p != "."; p = path.Dir(p) {
		for i, r := range rooms {
			if r.room == p {
				return i
			}
		}
	}
	return -1
}

// allowed reports whether a room may import a package: what its line says, and
// what is below itself.
func allowed(room string, may []string, to string) bool {
	for _, m := range append([]string{room, room + "/..."}, may...) {
		if below, ok := strings.CutSuffix(m, "..."); m == to || ok && strings.HasPrefix(to, below) {
			return true
		}
	}
	return false
}

func top(p string) string { first, _, _ := strings.Cut(p, "/"); return first }

// door returns the library that imp is of and the packages by which it enters,
// and false when it has none.
func door(imp string) (lib string, by []string, ok bool) {
	for p := imp; p != "." && p != "/"; p = path.Dir(p) {
		if by, ok := doors[p]; ok {
			return p, by, true
		}
	}
	return "", nil, false
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

func (p pkg) ours() (list []string) {
	for _, imp := range p.Imports {
		if to, ok := strings.CutPrefix(imp, module); ok {
			list = append(list, to)
		}
	}
	return list
}

// packages are those of the tree, what is under test left out: test sees
// everything, and so do test files.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatalf("go list -json: %v", err)
		}
		if top(p.path()) != "test" {
			list = append(list, p)
		}
	}
}
