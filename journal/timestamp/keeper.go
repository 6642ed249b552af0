package timestamp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/journal"
)

// folder is where the tokens of a journal are, in its own folder: for each day
// the checkpoint DAY.checkpoint and the response of the authority DAY.tsr, as
// `openssl ts -verify` takes them.
const folder = "timestamps"

// A Keeper has one checkpoint of a journal time-stamped each day (UTC), in the
// background. Nothing waits for it: what fails is tried again.
type Keeper struct {
	o Options

	mu    sync.Mutex // guards state
	state State
}

// Options are what a Keeper needs, all of it.
type Options struct {
	Dir       string // of the journal
	URL       string // where the authority answers
	Authority *Authority
	Client    *http.Client  // with a timeout
	Retry     time.Duration // after a failure
	Look      time.Duration // how often the date is looked at
	Log       *slog.Logger
	Now       func() time.Time
}

// A State is how far a Keeper is.
type State struct {
	At       time.Time // of the last token; zero: there is none
	Since    time.Time // since when a checkpoint waits for a token; zero: none does
	Failures uint64    // since the start
	Err      error     // why the last try failed; nil: it did not
}

// NewKeeper makes a Keeper. Call Run.
func NewKeeper(o Options) *Keeper { return &Keeper{o: o} }

// State returns how far it is. Safe for concurrent use.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// Run asks for a token each day until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	if list, err := Kept(k.o.Dir); err == nil && len(list) > 0 {
		if t, err := k.o.Authority.Verify(list[len(list)-1].Response, list[len(list)-1].Checkpoint); err == nil {
			k.mu.Lock()
			k.state.At = t.At
			k.mu.Unlock()
		}
	}
	for {
		wait := k.o.Look
		if err := k.today(ctx); err != nil && ctx.Err() == nil {
			wait = k.o.Retry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// today sees to the token of today.
func (k *Keeper) today(ctx context.Context) error {
	base := filepath.Join(k.o.Dir, folder, k.o.Now().UTC().Format(time.DateOnly))
	if _, err := os.Stat(base + ".tsr"); err == nil {
		return nil
	}
	checkpoint, err := os.ReadFile(filepath.Join(k.o.Dir, journal.CheckpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is sealed yet
	}
	var t *Token
	var response []byte
	if err == nil {
		t, response, err = k.ask(ctx, checkpoint)
	}
	if err == nil {
		err = keep(base, checkpoint, response)
	}
	if ctx.Err() != nil {
		return err
	}
	k.note(t, err)
	return err
}

// keep writes the checkpoint first: the token counts from when it is there.
func keep(base string, checkpoint, response []byte) error {
	if err := os.MkdirAll(filepath.Dir(base), 0o750); err != nil {
		return err
	}
	if err := durable.WriteFile(base+".checkpoint", checkpoint, 0o640); err != nil {
		return err
	}
	return durable.WriteFile(base+".tsr", response, 0o640)
}

// note takes the result of a try. Only the first failure of a series, and its
// end, are logged.
func (k *Keeper) note(t *Token, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.state
	failed := s.Err != nil
	s.Err = err
	if err != nil {
		s.Failures++
		if s.Since.IsZero() {
			s.Since = k.o.Now()
		}
		if !failed {
			k.o.Log.Error("the checkpoint of the day has no time-stamp: it is asked for again, and nothing waits for it", "event", "journal_timestamp_failed", "error", err.Error())
		}
		return
	}
	s.At, s.Since = t.At, time.Time{}
	k.o.Log.Info("the checkpoint of the day is time-stamped", "event", "journal_timestamped", "at", t.At.Format(time.RFC3339), "by", t.By, "serial", t.Serial)
}

// ask asks the authority for a token of data, and verifies it.
func (k *Keeper) ask(ctx context.Context, data []byte) (*Token, []byte, error) {
	r, err := NewRequest(data)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.o.URL, bytes.NewReader(r.DER))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	resp, err := k.o.Client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "application/timestamp-reply" {
		return nil, nil, fmt.Errorf("%s answers HTTP %d with %q: not as a time-stamping authority does", k.o.URL, resp.StatusCode, kind)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return nil, nil, err
	}
	t, err := k.o.Authority.Answer(r, body, data)
	return t, body, err
}

// A Stamped is one checkpoint with the response that time-stamps it, as they are
// kept: nothing of it is verified.
type Stamped struct {
	Day                  string // 2026-11-29
	Checkpoint, Response []byte
}

// Kept reads what is time-stamped of a journal, in the order of the days.
func Kept(dir string) ([]Stamped, error) {
	all, err := os.ReadDir(filepath.Join(dir, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Stamped
	for _, e := range all {
		day, ok := strings.CutSuffix(e.Name(), ".tsr")
		if !ok {
			continue
		}
		s := Stamped{Day: day}
		base := filepath.Join(dir, folder, day)
		if s.Response, err = os.ReadFile(base + ".tsr"); err != nil {
			return nil, err
		}
		if s.Checkpoint, err = os.ReadFile(base + ".checkpoint"); err != nil && !errors.Is(err, fs.ErrNotExist) { // missing: it verifies as none
			return nil, err
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Stamped) int { return strings.Compare(a.Day, b.Day) })
	return list, nil
}
