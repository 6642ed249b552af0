package revocation

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// DenyOptions say where the deny list is and who may sign it.
type DenyOptions struct {
	File    string   // looked at each second. It may be absent until the first list is made
	Signers []string // PEM public keys or certificates; at least one
}

// A deny is the deny list in force. The last good one stays when the file is
// removed, damaged, of a lower sequence or badly signed; it is also kept in
// the folder of revocation data, so a restart does not forget who is out.
type deny struct {
	o       DenyOptions
	signers []crypto.PublicKey
	folder  string
	looks   bool // nothing is written
	log     *slog.Logger
	changed func() // called as soon as another list is in force

	mu      sync.Mutex // one reload at a time; guards stamp, seen
	stamp   string
	seen    string
	current atomic.Pointer[denied]
	problem atomic.Pointer[string]
	refused atomic.Int64
}

// denied is a list made to be looked up in.
type denied struct {
	list         *DenyList
	signed       []byte
	structures   map[roc.StructureID]bool
	serials      map[DeniedSerial]bool
	certificates map[[sha256.Size]byte]bool
}

// A DenyStatus is what the deny list in force holds.
type DenyStatus struct {
	Sequence uint64
	Date     time.Time // zero: no list yet
	Entries  int
	Problem  string // of the file as it is now, or ""
	Refused  int    // files refused since the start
}

func openDeny(o DenyOptions, folder string, readOnly bool, log *slog.Logger, changed func()) (*deny, error) {
	if o.File == "" || len(o.Signers) == 0 {
		return nil, errors.New("a deny list needs its file and who may sign it")
	}
	d := &deny{o: o, folder: folder, looks: readOnly, log: log, changed: changed}
	var err error
	if d.signers, err = ReadDenySigners(o.Signers...); err != nil {
		return nil, fmt.Errorf("the signers of the deny list: %w", err)
	}
	d.current.Store(newDenied(&DenyList{}, nil))
	if signed, err := os.ReadFile(d.lastGood()); err == nil && folder != "" {
		if list, err := ReadDenyList(signed, d.signers); err == nil {
			d.current.Store(newDenied(list, signed))
		} else {
			log.Error("the deny list kept from an earlier run is not used", "event", "deny_kept_refused", "file", d.lastGood(), "error", err.Error())
		}
	}
	if _, err := os.Stat(o.File); err == nil {
		if err := d.reload(); err != nil && d.current.Load().list.Date.IsZero() {
			return nil, err // never start without a list that was meant
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, trust.FileProblem(o.File, err)
	}
	return d, nil
}

func (d *deny) lastGood() string { return filepath.Join(d.folder, "deny.last-good") }

func newDenied(list *DenyList, signed []byte) *denied {
	n := &denied{list: list, signed: signed, structures: map[roc.StructureID]bool{}, serials: map[DeniedSerial]bool{}, certificates: map[[sha256.Size]byte]bool{}}
	for _, s := range list.Structures {
		n.structures[s] = true
	}
	for _, s := range list.Serials {
		n.serials[s] = true
	}
	for _, c := range list.Certificates {
		n.certificates[c] = true
	}
	return n
}

// watch looks at the file each period until ctx ends.
func (d *deny) watch(ctx context.Context, period time.Duration) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := fileStamp(d.o.File)
		d.mu.Lock()
		known, still := now == d.stamp, now == d.seen
		d.seen = now
		d.mu.Unlock()
		if known {
			continue
		}
		if err != nil && d.current.Load().list.Date.IsZero() && errors.Is(err, os.ErrNotExist) {
			continue // no list yet
		}
		d.load(!still)
	}
}

// reload reads the file now.
func (d *deny) reload() error {
	if _, err := os.Stat(d.o.File); errors.Is(err, os.ErrNotExist) && d.current.Load().list.Date.IsZero() {
		return nil // no list yet
	}
	return d.load(false)
}

// load reads the file. A bad one that may still be being written is looked at
// once more before it is called bad.
func (d *deny) load(patient bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, _ := fileStamp(d.o.File)
	signed, err := readBounded(d.o.File, maxDenyBytes)
	if err == nil {
		err = d.take(signed)
	}
	if err != nil && patient {
		return err
	}
	d.stamp = now
	if err == nil {
		d.problem.Store(nil)
		return nil
	}
	d.refused.Add(1)
	text := err.Error()
	d.problem.Store(&text)
	d.log.Error("the deny list is refused: the last good one stays in force", "event", "deny_refused", "file", d.o.File, "error", text,
		"in_force", d.current.Load().list.Sequence, "remedy", "check it with `rpn deny check`, and sign a new one with a higher sequence")
	return fmt.Errorf("deny list %s: %w", d.o.File, err)
}

func (d *deny) take(signed []byte) error {
	old := d.current.Load()
	list, err := ReadDenyList(signed, d.signers)
	switch {
	case err != nil:
		return err
	case bytes.Equal(signed, old.signed):
		return nil
	case list.Sequence < old.list.Sequence:
		return fmt.Errorf("has sequence %d, and %d is in force: somebody may be bringing an old list back", list.Sequence, old.list.Sequence)
	case list.Sequence == old.list.Sequence && !old.list.Date.IsZero():
		return fmt.Errorf("has the sequence %d of the list in force, and says something else", list.Sequence)
	}
	d.current.Store(newDenied(list, signed))
	d.changed() // before the disk: a sync may take seconds
	d.log.Warn("deny list in force", "event", "deny_in_force", "sequence", list.Sequence, "date", list.Date.UTC(), "entries", list.Entries())
	if d.folder == "" || d.looks {
		return nil
	}
	if err := durable.WriteFile(d.lastGood(), signed, 0o600); err != nil {
		d.log.Error("the deny list cannot be kept on disk: a restart will depend on its file alone", "event", "deny_unwritten", "error", err.Error())
	}
	return nil
}

// check says whether a chain is denied. It fails closed: any certificate of
// the chain that is named refuses it.
func (d *deny) check(links []trust.Link) *trust.Failure {
	n := d.current.Load()
	if n.list.Entries() == 0 {
		return nil
	}
	if id := links[0].Structure; id != "" && n.structures[id] {
		return &trust.Failure{Reason: trust.Denied, Detail: "the structure " + string(id) + " is on the emergency deny list"}
	}
	for i := range links {
		l := &links[i]
		yes := n.certificates[l.ID] || slices.ContainsFunc(l.Prints, func(print [sha256.Size]byte) bool { return n.certificates[print] })
		if !yes && len(n.serials) > 0 && l.Issuer != nil {
			yes = n.serials[DeniedSerial{Serial: l.SerialText}] || n.serials[DeniedSerial{Serial: l.SerialText, Issuer: l.IssuerPIN}]
		}
		if yes {
			return &trust.Failure{Reason: trust.Denied, Detail: trust.Whose(i, l.Cert) + " is on the emergency deny list"}
		}
	}
	return nil
}

func (d *deny) status() DenyStatus {
	list := d.current.Load().list
	s := DenyStatus{Sequence: list.Sequence, Date: list.Date, Entries: list.Entries(), Refused: int(d.refused.Load())}
	if p := d.problem.Load(); p != nil {
		s.Problem = *p
	}
	return s
}
