package app

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/journal"
)

// Where dossiers are off, or there is no journal, no key of theirs stays on disk;
// one that cannot be deleted is said.
func TestNoKeyOfDossiersStaysWhereTheyAreOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		journal *journal.Journal
		days    int
	}{"dossiers: 0": {&journal.Journal{}, 0}, "no journal": {nil, 7}} {
		cfg := config.Standard()
		cfg.State, cfg.Indicators.Dossiers = t.TempDir(), c.days
		key := cfg.DossiersFile()
		if err := os.WriteFile(key, []byte("rpn-dossiers 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		a := &App{config: cfg, journal: c.journal, log: slog.New(slog.NewTextHandler(&log, nil)), now: time.Now}
		for range 2 { // the second time there is none
			a.openDossiers()
			if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) || a.dossiers != nil || log.Len() > 0 {
				t.Errorf("%s: %v, %s", name, err, log.String())
			}
		}
		if err := os.MkdirAll(filepath.Join(key, "a folder"), 0o700); err != nil {
			t.Fatal(err)
		}
		if a.openDossiers(); !strings.Contains(log.String(), "dossiers_left") {
			t.Errorf("%s: nothing is said of a file that stays: %s", name, log.String())
		}
	}
}
