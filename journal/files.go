package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/piano-roc/rpn/internal/durable"
)

func (j *Journal) path(name string) string { return filepath.Join(j.o.Dir, name) }

// writeFile replaces a file whole.
func writeFile(path string, b []byte) error { return durable.WriteFile(path, b, 0o640) }

// segmentFiles lists the files of segments with that ending, by sequence.
func segmentFiles(dir, ending string) ([]string, error) {
	all, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range all {
		if n := e.Name(); strings.HasPrefix(n, "segment-") && strings.HasSuffix(n, ending) && !e.IsDir() {
			list = append(list, filepath.Join(dir, n))
		}
	}
	return list, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
