package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
)

// clockTrust is how long a segment must have been seen as too old, in one life
// of the process and by its monotonic clock, before it is deleted: a clock that
// jumps ahead for a while deletes nothing.
const clockTrust = 6 * time.Hour

// A closedFile is one closed segment on disk.
type closedFile struct {
	base   string // without .zst
	size   int64
	footer *footer
}

func (j *Journal) closedFiles() ([]closedFile, error) {
	names, err := segmentFiles(j.o.Dir, ".zst")
	if err != nil {
		return nil, err
	}
	var list []closedFile
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		t, size, err := readFooter(f)
		f.Close()
		if err != nil {
			return list, fmt.Errorf("%s: %w", name, err) // never past a segment that cannot be read
		}
		list = append(list, closedFile{strings.TrimSuffix(name, ".zst"), size, t})
	}
	return list, nil
}

// prune deletes the segments past their retention period, and the oldest ones
// beyond the size cap. This function is the pruning policy; docs/journal.md
// describes it.
func (j *Journal) prune() {
	if j.pruned.at.IsZero() {
		j.pruned.at = time.Now()
	} else if time.Since(j.pruned.at) < j.pruned.every {
		return
	}
	j.pruned.at = time.Now()
	list, err := j.closedFiles()
	switch {
	case errors.Is(err, ErrDamaged):
		j.o.Log.Error("a closed segment of the journal is damaged: it and those after it are not deleted", "event", "journal_damaged", "error", err.Error())
	case err != nil:
		j.o.Log.Error("a closed segment of the journal cannot be read for now: it and those after it are not deleted", "event", "journal_unreadable", "error", err.Error())
	}
	limit := j.o.Now().Add(-j.o.KeepFor)
	total := int64(0)
	for _, c := range list {
		total += c.size
	}
	trusted := true
	for n, c := range list {
		old := c.footer.To.Before(limit)
		// Ask about each of them, so that their waiting times run in parallel;
		// only a series at the beginning is deleted.
		trusted = old && j.pruned.trusted(c.base) && trusted
		tooMuch := j.o.KeepBytes > 0 && total > j.o.KeepBytes && n < len(list)-1
		if !trusted && !tooMuch {
			if old {
				continue
			}
			break
		}
		if err := j.remove(c, trusted); err != nil {
			j.o.Log.Error("an old segment of the journal could not be deleted", "event", "journal_prune_failed", "file", c.base, "error", err.Error())
			return
		}
		total -= c.size
	}
}

func (j *Journal) remove(c closedFile, tooOld bool) error {
	attrs := []any{"records", c.footer.Count, "first", c.footer.First,
		"from", c.footer.From.Format(time.RFC3339), "to", c.footer.To.Format(time.RFC3339)}
	if tooOld {
		j.o.Log.Info("a segment of the journal was deleted at the end of its retention period", append(attrs, "event", "journal_pruned")...)
	} else {
		j.o.Log.Error("a segment of the journal was deleted early: the journal is larger than journal.keep_bytes", append(attrs, "event", "journal_pruned_early")...)
	}
	for _, ending := range []string{".idx", ".zst"} {
		if err := os.Remove(c.base + ending); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	// Only the lowest level of the tree's tiles is deleted; the levels above
	// prove what is kept.
	for n := c.footer.First / tileWidth; (n+1)*tileWidth <= c.footer.end(); n++ {
		os.Remove(filepath.Join(j.path("tiles"), tilePath(0, n, 0)))
	}
	j.stats.pruned.Add(1)
	j.stats.closedBytes.Add(-c.size)
	j.stats.closedSegments.Add(-1)
	return durable.SyncDir(j.o.Dir)
}

// pruner remembers since when each segment is too old.
type pruner struct {
	at    time.Time
	every time.Duration // zero: no waiting
	since map[string]time.Time
	trust time.Duration
}

func (p *pruner) trusted(base string) bool {
	if p.since == nil {
		p.since = map[string]time.Time{}
	}
	first, known := p.since[base]
	if !known {
		first = time.Now() // monotonic
		p.since[base] = first
	}
	return time.Since(first) >= p.trust
}
