package revocation

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
)

// A kept is what the folder of revocation data remembers of one place: its
// last good list, and when it was obtained. On disk: one line of JSON, then
// the list as it came.
type kept struct {
	Location     string    `json:"location"`
	Fetched      time.Time `json:"fetched"` // or confirmed by 304
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	SHA256       string    `json:"sha256"` // of the list
	body         []byte
}

func keptFile(folder, location string) string {
	sum := sha256.Sum256([]byte(location))
	return filepath.Join(folder, hex.EncodeToString(sum[:12])+".list")
}

// keep writes k so that a crash leaves the old one or the new one whole.
func keep(folder string, k kept) error {
	sum := sha256.Sum256(k.body)
	k.SHA256 = hex.EncodeToString(sum[:])
	head, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return durable.WriteFile(keptFile(folder, k.Location), append(append(head, '\n'), k.body...), 0o600)
}

// readKept reads every list of the folder; a file that is not whole is said
// in the error and left out.
func readKept(folder string, readOnly bool) ([]kept, error) {
	if !readOnly {
		if err := durable.RemoveLeftovers(folder); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []kept
	var problems []error
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".list" {
			continue
		}
		k, err := readOneKept(filepath.Join(folder, e.Name()))
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w: it will be fetched again", filepath.Join(folder, e.Name()), err))
			continue
		}
		all = append(all, k)
	}
	return all, errors.Join(problems...)
}

func readOneKept(file string) (kept, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return kept{}, err
	}
	r := bufio.NewReader(bytes.NewReader(text))
	head, err := r.ReadBytes('\n')
	if err != nil {
		return kept{}, errors.New("is cut")
	}
	var k kept
	if err := json.Unmarshal(head, &k); err != nil {
		return kept{}, errors.New("its first line cannot be read")
	}
	if k.body, err = io.ReadAll(r); err != nil {
		return kept{}, err
	}
	if sum := sha256.Sum256(k.body); hex.EncodeToString(sum[:]) != k.SHA256 {
		return kept{}, errors.New("its content is not what was written")
	}
	return k, nil
}
