package annuaire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// An Act is what an operator decided about an insurer and a host: one line of
// the file of Acts, JSON.
//
//	{"at":"2026-11-28T09:00:00Z","act":"approve","amc":"0075500025","host":"roc.new.example","who":"root","why":"call 1234"}
type Act struct {
	At   time.Time     `json:"at"`
	Act  string        `json:"act"` // Approve or Reject
	AMC  roc.NumeroAMC `json:"amc"`
	Host string        `json:"host"` // "": that the annuaire removes its routes
	Who  string        `json:"who"`
	Why  string        `json:"why"`
}

// The two acts.
const (
	Approve = "approve"
	Reject  = "reject"
)

// decisions are the last act about each insurer and host.
type decisions map[decided]Act

type decided struct {
	amc  roc.NumeroAMC
	host string
}

// approved reports whether a move to that host may pass without being counted:
// for a day from an approval. A clock that went back makes it none.
func (d decisions) approved(amc roc.NumeroAMC, host string, now time.Time) bool {
	a := d[decided{amc, host}]
	age := now.Sub(a.At)
	return a.Act == Approve && age >= 0 && age < approvedFor
}

// rejected reports whether that host must not be used, until it is approved.
func (d decisions) rejected(amc roc.NumeroAMC, host string) bool {
	return d[decided{amc, host}].Act == Reject
}

// Acts keeps what operators decided, over restarts: who, when and why. It is
// safe for concurrent use.
type Acts struct {
	path string

	mu   sync.Mutex // guards last, and one write at a time
	last decisions
}

// maxActs bounds how many insurers and hosts a file of Acts may be about.
const maxActs = 20_000

// OpenActs reads the file of Acts, which need not be there yet. A line that a
// full disk has cut is of an act that was not done: it is logged and skipped.
// With path "" nothing is kept on disk.
func OpenActs(path string, log *slog.Logger) (*Acts, error) {
	a := &Acts{path: path, last: decisions{}}
	if path == "" {
		return a, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	r := bufio.NewScanner(bytes.NewReader(data))
	for line := 1; r.Scan(); line++ {
		var x Act
		if !json.Valid(r.Bytes()) {
			log.Error("a line of the acts about the annuaire was cut while it was written: that act was not done, and is skipped", "event", "annuaire_act_cut", "file", path, "line", line)
			continue
		}
		if err := json.Unmarshal(r.Bytes(), &x); err != nil || x.AMC == "" || x.Act != Approve && x.Act != Reject {
			return nil, fmt.Errorf("%s:%d: not an act of an operator about the annuaire; correct the line, or move the file away to begin with none", path, line)
		}
		if _, there := a.last[decided{x.AMC, x.Host}]; there || len(a.last) < maxActs {
			a.last[decided{x.AMC, x.Host}] = x
		}
	}
	return a, r.Err()
}

// add writes an act down, then keeps it: what is not written is not done.
func (a *Acts) add(x Act) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, there := a.last[decided{x.AMC, x.Host}]; !there && len(a.last) >= maxActs {
		return fmt.Errorf("there are acts about %d insurers and hosts already", maxActs)
	}
	if a.path != "" {
		if err := a.write(x); err != nil {
			return fmt.Errorf("the act cannot be written down, and is not done: %w", err)
		}
	}
	a.last[decided{x.AMC, x.Host}] = x
	return nil
}

func (a *Acts) write(x Act) error {
	line, err := json.Marshal(x)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(a.path), 0o700); err != nil {
		return err
	}
	return durable.Lines{File: a.path, Bytes: math.MaxInt64, Mode: 0o600}.Append(line)
}

// Approved reports whether an operator has let an AMC be reached at that host,
// and has not taken it back.
func (a *Acts) Approved(amc roc.NumeroAMC, host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[decided{amc, host}].Act == Approve
}

// all returns a copy.
func (a *Acts) all() decisions {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := make(decisions, len(a.last))
	for k, x := range a.last {
		d[k] = x
	}
	return d
}
