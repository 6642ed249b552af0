package attempts

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Query chooses attempts; its zero value chooses all of them.
type Query struct {
	Etablissement roc.StructureID // "": every establishment
	Since         time.Time       // by RequestIn
}

// Read returns the attempts kept in a folder, by establishment then by time,
// and how many lines could not be read: the end of a file after a crash. A
// missing folder holds no attempt. It may be read while a Store writes in it.
func Read(dir string, q Query) (attempts []Attempt, unread int, err error) {
	who, err := establishments(dir)
	if err != nil {
		return nil, 0, err
	}
	for _, w := range who {
		if q.Etablissement != "" && w != q.Etablissement {
			continue
		}
		// The current file before the previous one: one that is renamed in
		// between is then read twice, and not missed.
		seen := map[roc.ExchangeID]bool{}
		var of []Attempt
		for _, path := range []string{current(dir, w), previous(dir, w)} {
			n, err := readFile(path, func(a Attempt) {
				if !seen[a.Echange] && !a.RequestIn.Before(q.Since) {
					seen[a.Echange] = true
					of = append(of, a)
				}
			})
			if err != nil {
				return nil, 0, err
			}
			unread += n
		}
		slices.SortStableFunc(of, func(a, b Attempt) int { return a.RequestIn.Compare(b.RequestIn) })
		attempts = append(attempts, of...)
	}
	return attempts, unread, nil
}

// establishments lists those that have a file, in order.
func establishments(dir string) ([]roc.StructureID, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var who []roc.StructureID
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		if id, err := roc.ParseStructureID(strings.TrimSuffix(name, ".1")); err == nil && !slices.Contains(who, id) {
			who = append(who, id)
		}
	}
	slices.Sort(who)
	return who, nil
}

func readFile(path string, each func(Attempt)) (unread int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var a Attempt
			if json.Unmarshal(line, &a) != nil || a.Echange == "" {
				unread++
			} else {
				each(a)
			}
		}
		if err == io.EOF {
			return unread, nil
		}
		if err != nil {
			return unread, err
		}
	}
}
