package annuaire

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Host is one that the annuaire has named for an AMC: one line of the file of
// Hosts, JSON.
//
//	{"amc":"0075500025","hote":"roc.amc.example","premiere":"2026-11-01T08:00:00Z","derniere":"2026-11-21T09:30:00Z"}
type Host struct {
	AMC   roc.NumeroAMC `json:"amc"`
	Name  string        `json:"hote"`     // lower case, without a port
	First time.Time     `json:"premiere"` // when the annuaire first named it
	Last  time.Time     `json:"derniere"` // and last
}

// Hosts remembers which hosts the annuaire has named for which AMC, and from
// when to when, over restarts. It holds what the annuaire said, not what was
// used: the egress filter sees it at the dial. It is safe for concurrent use.
type Hosts struct {
	path string

	mu      sync.Mutex // guards all below
	seen    map[hostKey]*span
	changed bool
	saving  sync.Mutex // one Save at a time
}

type hostKey struct {
	amc  roc.NumeroAMC
	name string
}

type span struct{ first, last time.Time }

// maxHosts bounds what an annuaire that invents hosts can make us keep.
const maxHosts = 20_000

// OpenHosts reads the file of Hosts, which need not be there yet. With path ""
// nothing is kept on disk.
func OpenHosts(path string) (*Hosts, error) {
	h := &Hosts{path: path, seen: map[hostKey]*span{}}
	if path == "" {
		return h, nil
	}
	list, err := ReadHosts(path)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		h.seen[hostKey{x.AMC, x.Name}] = &span{x.First, x.Last}
	}
	return h, nil
}

// Note remembers the hosts of an answer, asked at that instant.
func (h *Hosts) Note(e Entry, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range e.Adresses {
		u, err := url.Parse(a.URL)
		if err != nil || u.Hostname() == "" || len(u.Hostname()) > 253 {
			continue
		}
		k := hostKey{e.AMC, strings.ToLower(u.Hostname())}
		s := h.seen[k]
		switch {
		case s != nil && at.After(s.last):
			s.last = at
		case s == nil && len(h.seen) < maxHosts:
			h.seen[k] = &span{at, at}
		default:
			continue
		}
		h.changed = true
	}
}

// List returns what is remembered, by AMC then by name.
func (h *Hosts) List() []Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Host, 0, len(h.seen))
	for k, s := range h.seen {
		list = append(list, Host{k.amc, k.name, s.first.UTC(), s.last.UTC()})
	}
	slices.SortFunc(list, func(a, b Host) int { return cmp.Or(cmp.Compare(a.AMC, b.AMC), cmp.Compare(a.Name, b.Name)) })
	return list
}

// Save writes the file when something has changed since the last time: whole,
// beside the old one, then in its place.
func (h *Hosts) Save() error {
	h.saving.Lock()
	defer h.saving.Unlock()
	h.mu.Lock()
	changed := h.changed
	h.changed = false
	h.mu.Unlock()
	if h.path == "" || !changed {
		return nil
	}
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	for _, x := range h.List() {
		if err := w.Encode(x); err != nil {
			return err
		}
	}
	err := durable.WriteFile(h.path, b.Bytes(), 0o640)
	if err != nil {
		h.mu.Lock()
		h.changed = true // the next Save tries again
		h.mu.Unlock()
	}
	return err
}

// ReadHosts reads a file of Hosts. One that is not there holds none.
func ReadHosts(path string) ([]Host, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []Host
	r := bufio.NewScanner(f)
	for line := 1; r.Scan(); line++ {
		var x Host
		if err := json.Unmarshal(r.Bytes(), &x); err != nil || x.AMC == "" || x.Name == "" {
			return nil, fmt.Errorf("%s:%d: not a line of the hosts that the annuaire has named; remove the file to start again", path, line)
		}
		list = append(list, x)
	}
	return list, r.Err()
}
