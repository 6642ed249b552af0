package expiry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// keptCertificate is one seenCertificate on disk, a line of JSON.
type keptCertificate struct {
	Kind        Kind       `json:"nature"`
	Owner       string     `json:"proprietaire"`
	Certificate []byte     `json:"certificat"` // DER
	Chain       [][]byte   `json:"chaine"`
	Last        time.Time  `json:"vu"`
	Hours       [24]uint32 `json:"heures"`
	Hour        int64      `json:"heure"`
}

const (
	keptFor      = 60 * 24 * time.Hour // not seen for so long: forgotten at a restart
	maxKeptBytes = 1 << 20             // of a line: a certificate and its chain
)

// Save keeps in a file what was seen, for Load. It replaces the file at once.
func (h *Inventory) Save(file string) error {
	h.mu.Lock()
	all := make([]keptCertificate, 0, len(h.seen))
	for _, s := range h.seen {
		k := keptCertificate{s.kind, s.owner, s.certificate.Raw, nil, s.last, s.hours, s.hour}
		for _, c := range s.chain {
			k.Chain = append(k.Chain, c.Raw)
		}
		all = append(all, k)
	}
	h.mu.Unlock()
	slices.SortFunc(all, func(a, b keptCertificate) int { return a.Last.Compare(b.Last) })
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	for _, k := range all {
		if err := out.Encode(k); err != nil {
			return err
		}
	}
	return durable.WriteFile(file, text.Bytes(), 0o600)
}

// Load adds what an earlier run saw; no file is not an error. Nobody is let in
// for what it holds: who can write it can hide a certificate from the view of
// the operator, or keep an authority from being removed without force. A line
// that cannot be read is left out and told.
func (h *Inventory) Load(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxKeptBytes)
	bad, n := 0, 0
	for lines.Scan() && n < maxSeen {
		n++
		if !h.restore(lines.Bytes()) {
			bad++
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: line %d: %w", file, n+1, err)
	}
	if bad > 0 {
		return fmt.Errorf("%s: %d of %d lines are not understood and left out", file, bad, n)
	}
	return nil
}

func (h *Inventory) restore(line []byte) bool {
	var k keptCertificate
	if json.Unmarshal(line, &k) != nil || !slices.Contains(Kinds(), k.Kind) || k.Last.After(h.now().Add(time.Hour)) {
		return false
	}
	s := &seenCertificate{kind: k.Kind, owner: k.Owner, last: k.Last, hours: k.Hours, hour: k.Hour}
	var err error
	if s.certificate, err = roc.ParseCertificate(k.Certificate); err != nil {
		return false
	}
	for _, der := range k.Chain {
		c, err := roc.ParseCertificate(der)
		if err != nil {
			return false
		}
		s.chain = append(s.chain, c)
	}
	if h.now().Sub(k.Last) > keptFor {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	print := printOf(s.kind, s.certificate)
	if h.seen[print] == nil { // what was seen since is newer
		h.add(print, s)
		h.count(s)
	}
	return true
}
