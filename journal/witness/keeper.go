package witness

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/journal"
)

// maxAnswer bounds what a witness may answer, in bytes: a cosignature has 120.
const maxAnswer = 16 << 10

// A Keeper has the checkpoints of a journal cosigned, in the background. Nothing
// waits for it: what fails is tried again with the next checkpoint.
type Keeper struct {
	o     Options
	sizes map[string]uint64 // what each witness cosigned last, as far as known
	done  uint64            // size of the last checkpoint that enough of them cosigned

	mu    sync.Mutex // guards state
	state State
}

// Options are what a Keeper needs, all of it.
type Options struct {
	Dir    string // of the journal
	Policy *Policy
	Client *http.Client // with a timeout
	Every  time.Duration
	Log    *slog.Logger
	Now    func() time.Time
}

// A State is how far a Keeper is.
type State struct {
	At       time.Time // when enough witnesses last cosigned a checkpoint; zero: never yet
	Size     uint64    // of that checkpoint
	Since    time.Time // since when one waits; zero: none does
	Failures uint64    // since the start
	Err      error     // why the last try failed; nil: it did not
}

// NewKeeper makes a Keeper. Call Run.
func NewKeeper(o Options) *Keeper { return &Keeper{o: o, sizes: map[string]uint64{}} }

// State returns how far it is. Safe for concurrent use.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// Run has checkpoints cosigned until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	k.resume()
	for {
		size, err := k.round(ctx)
		if ctx.Err() != nil {
			return
		}
		k.note(size, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.o.Every):
		}
	}
}

// resume reads what was cosigned before this start: when, and how many records.
func (k *Keeper) resume() {
	file := filepath.Join(k.o.Dir, journal.CosignedFile)
	signed, err := os.ReadFile(file)
	if err != nil {
		return
	}
	size, err := k.o.Policy.enough(signed)
	if err != nil { // of another journal, or of other witnesses
		return
	}
	info, err := os.Stat(file)
	if err != nil {
		return
	}
	k.mu.Lock()
	k.state.At, k.state.Size = info.ModTime(), size
	k.mu.Unlock()
}

// round has the last checkpoint cosigned, unless it was. It returns the size of
// the one that was cosigned now; 0: there was nothing to do.
func (k *Keeper) round(ctx context.Context) (uint64, error) {
	l, err := journal.OpenLog(k.o.Dir)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	c, err := l.Checkpoint()
	if errors.Is(err, journal.ErrNotSealed) || err == nil && c.Size == k.done {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	signed := c.Note
	var failed []error
	for _, w := range k.o.Policy.witnesses {
		if w.url == "" {
			continue
		}
		line, err := k.cosign(ctx, l, c, w)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", w.name, err))
			continue
		}
		signed = append(signed[:len(signed):len(signed)], line...)
	}
	if _, err := k.o.Policy.enough(signed); err != nil {
		return 0, errors.Join(append([]error{err}, failed...)...)
	}
	if err := durable.WriteFile(filepath.Join(k.o.Dir, journal.CosignedFile), signed, 0o640); err != nil {
		return 0, err
	}
	k.done = c.Size
	return c.Size, nil
}

// note takes the result of a round. Only the first failure of a series, and its
// end, are logged.
func (k *Keeper) note(size uint64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.state
	failed := s.Err != nil
	s.Err = err
	switch {
	case err != nil:
		if s.Failures++; s.Since.IsZero() {
			s.Since = k.o.Now()
		}
		if !failed {
			k.o.Log.Error("too few witnesses cosign the checkpoints of the journal: they are asked again, and nothing waits for them", "event", "journal_witness_failed", "error", err.Error())
		}
		return
	case failed:
		k.o.Log.Info("enough witnesses cosign the checkpoints of the journal again", "event", "journal_witnessed", "records", size)
	}
	s.Since = time.Time{}
	if size > 0 {
		s.At, s.Size = k.o.Now(), size
	}
}

// cosign asks one witness, from what it cosigned last. It returns its signature
// lines.
func (k *Keeper) cosign(ctx context.Context, l *journal.Log, c *journal.Checkpoint, w peer) ([]byte, error) {
	for try := 0; ; try++ {
		old := k.sizes[w.name]
		if old > c.Size {
			return nil, fmt.Errorf("it has seen %d records, and the journal has %d: records were taken back, or another writes under its name", old, c.Size)
		}
		path, err := l.Consistency(old, c.Size)
		if err != nil {
			return nil, err
		}
		status, kind, body, err := k.post(ctx, w.url+"/add-checkpoint", request(old, path, c.Note))
		if err != nil {
			return nil, err
		}
		switch {
		case status == http.StatusOK:
			lines, err := cosignatures(c.Note, body, w.verifier)
			if err == nil {
				k.sizes[w.name] = c.Size
			}
			return lines, err
		case status == http.StatusConflict && kind == "text/x.tlog.size" && try == 0:
			size, err := strconv.ParseUint(strings.TrimSuffix(string(body), "\n"), 10, 62)
			if err != nil {
				return nil, errors.New("it says a size that is none")
			}
			k.sizes[w.name] = size
		default:
			return nil, fmt.Errorf("HTTP %d: it does not cosign (C2SP tlog-witness)", status)
		}
	}
}

// request is the body of add-checkpoint.
func request(old uint64, path []journal.Hash, checkpoint []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range path {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(checkpoint)
	return b.String()
}

func (k *Keeper) post(ctx context.Context, url, text string) (status int, kind string, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return 0, "", nil, err
	}
	resp, err := k.o.Client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	kind, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return resp.StatusCode, kind, body, err
}

// cosignatures takes from an answer the signatures of this witness, and of nobody
// else.
func cosignatures(checkpoint, answer []byte, v note.Verifier) ([]byte, error) {
	n, err := note.Open(append(checkpoint[:len(checkpoint):len(checkpoint)], answer...), note.VerifierList(v))
	if err != nil {
		return nil, errors.New("what it answers is no cosignature of its key")
	}
	var lines []byte
	for _, s := range n.Sigs {
		lines = fmt.Appendf(lines, "— %s %s\n", s.Name, s.Base64)
	}
	return lines, nil
}
