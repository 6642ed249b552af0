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

var update = flag.Bool("update", false, "write imports.txt again; its diff is for a reader")

// arrowsFile holds every arrow of the import map, one a line. It is exact: an
// arrow that is not in it fails, and so does one that nobody uses.
//
//	go test ./test -run Arrow -update
const arrowsFile = "imports.txt"

// roomsFile has the table of rooms: each room, what it is for and what it may
// import of ours, beside itself and what is below it, the roof first. An arrow
// to a room that stands higher is refused however it is listed, and so is a
// permission that nobody uses. "internal/..." is everything of the ground.
const roomsFile = "../docs/decisions/0016-rooms.md"

// A room is one row of that table.
type room struct {
	name string
	may  []string
}

// rooms reads the table.
func rooms(t *testing.T) (list []room) {
	t.Helper()
	text, err := os.ReadFile(roomsFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || !strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			continue
		}
		r := room{name: strings.Trim(strings.TrimSpace(cells[0]), "`")}
		for _, m := range strings.Fields(cells[2]) {
			if m = strings.Trim(m, "`,"); m != "nothing" {
				r.may = append(r.may, m)
			}
		}
		list = append(list, r)
	}
	if len(list) < 30 {
		t.Fatalf("%s has %d rooms", roomsFile, len(list))
	}
	return list
}

// doors says by which packages each outside library, or standard package that
// must not spread, enters. A library without a door is refused, and so is a
// door that nobody uses.
var doors = map[string][]string{
	"github.com/beevik/etree":                   {"internal/xmlsig/second"}, // decides nothing (docs/decisions/0003)
	"github.com/russellhaering/goxmldsig":       {"internal/xmlsig/second"}, // decides nothing (docs/decisions/0005)
	"filippo.io/bigmod":                         {"internal/xmlsig"},
	"github.com/prometheus/client_golang":       {"indicators/live"},
	"github.com/grafana/grafana-foundation-sdk": {"dashboards"},
	"go.yaml.in/yaml/v4":                        {"internal/strict"},
	"modernc.org/sqlite":                        {"indicators/store"},
	"github.com/jackc/pgx/v5":                   {"indicators/store"},
	"github.com/wneessen/go-mail":               {"indicators/mail"},
	"github.com/redis/go-redis/v9":              {"internal/redis"},
	"github.com/caddyserver/certmagic":          {"tlsconf/identity", "internal/redis/acme"},
	"github.com/mholt/acmez":                    {"tlsconf/identity"},
	"go.uber.org/zap":                           {"tlsconf/identity"}, // certmagic's log, given to ours
	"golang.org/x/crypto":                       {"tlsconf/trust", "tlsconf/revocation", "tlsconf/identity", "internal/igc"},
	"software.sslmate.com/src/go-pkcs12":        {"tlsconf/identity", "internal/igc"},
	"golang.org/x/time":                         {"limits"},
	"golang.org/x/sys":                          {"internal/rsaverify", "proxy/http1", "journal"},
	"golang.org/x/mod":                          {"journal", "journal/witness"},
	"github.com/klauspost/compress":             {"journal"},
	"github.com/smallstep/pkcs7":                {"journal/timestamp"},
	"filippo.io/torchwood":                      {"journal/witness"},
	"github.com/spf13/cobra":                    {"cmd/rpn", "cmd/demo", "cmd/mutuelle", "cmd/annuaire"},
	"golang.org/x/term":                         {"cmd/rpn"},
	"github.com/coreos/go-oidc/v3":              {"portal/login"},
	"golang.org/x/oauth2":                       {"portal/login"},
	"github.com/zitadel/oidc/v3":                {"portal/login/logintest"}, // for tests: rpn does not link it
	"github.com/go-jose/go-jose/v4":             {"portal/login/logintest"}, // go-oidc uses it by itself
	"encoding/xml":                              {},                         // reads what must be refused (docs/decisions/0003)
	"net/http/httputil":                         {},                         // the exchange goes by proxy alone
	"github.com/coreos/go-systemd/v22":          {"app/systemd"},
	"net/rpc":                                   {"app/handover"}, // between two processes of one RPN, by a socket that nobody else has
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
	rooms := rooms(t)
	unused := map[string]bool{} // "room -> permission", of the rooms that are there
	for _, p := range packages(t) {
		from := roomOf(rooms, p.path())
		if from < 0 {
			t.Errorf("%s is in no room: give it a line in %s, and in ARCHITECTURE.md", p.path(), roomsFile)
			continue
		}
		r := rooms[from]
		for _, m := range r.may {
			if _, seen := unused[r.name+" -> "+m]; !seen {
				unused[r.name+" -> "+m] = true
			}
		}
		for _, to := range p.ours() {
			below := allowed([]string{r.name, r.name + "/..."}, to)
			for _, m := range r.may {
				if allowed([]string{m}, to) {
					unused[r.name+" -> "+m], below = false, true
				}
			}
			if !below {
				t.Errorf("%s -> %s: the room %s may not import it", p.path(), to, r.name)
			}
		}
	}
	for _, m := range slices.Sorted(maps.Keys(unused)) {
		if unused[m] {
			t.Errorf("%s is allowed, and nobody uses it: remove it from %s", m, roomsFile)
		}
	}
}

// No arrow between two folders of the top goes up: the rooms are listed from
// the roof to the ground.
func TestNoArrowBetweenFoldersRunsUpward(t *testing.T) {
	t.Parallel()
	rooms := rooms(t)
	for _, p := range packages(t) {
		from := roomOf(rooms, p.path())
		for _, to := range p.ours() {
			if top(p.path()) != top(to) && roomOf(rooms, to) <= from {
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
	for _, p := range []string{"nation", "internal/igc", "mutuelle", "annuaire/fictif", "internal/await", "portal/login/logintest"} {
		if slices.Contains(linked, module+p) {
			t.Errorf("rpn links %s", p)
		}
	}
	if slices.ContainsFunc(linked, func(p string) bool { return strings.HasPrefix(p, "github.com/zitadel/") }) {
		t.Error("rpn links the provider of identities of the tests")
	}
	if slices.Contains(linked, "testing") {
		t.Error("rpn links what is for tests")
	}
}

// roomOf is the place in rooms of a package: of the longest name that holds it.
func roomOf(rooms []room, p string) int {
	for ; p != "."; p = path.Dir(p) {
		if i := slices.IndexFunc(rooms, func(r room) bool { return r.name == p }); i >= 0 {
			return i
		}
	}
	return -1
}

// allowed reports whether one of may is a package, or a room that holds it.
func allowed(may []string, to string) bool {
	return slices.ContainsFunc(may, func(m string) bool {
		below, ok := strings.CutSuffix(m, "...")
		return m == to || ok && strings.HasPrefix(to, below)
	})
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
