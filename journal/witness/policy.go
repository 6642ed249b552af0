// Package witness has others confirm the checkpoints of a journal, and says
// whether enough of them did (C2SP tlog-witness, tlog-cosignature, tlog-policy).
//
// A witness cosigns a checkpoint when it leads on from the last one that it
// cosigned: whoever holds the journal and its key can then not show one history
// to some and another to others without every witness of a quorum.
package witness

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/piano-roc/rpn/journal"
)

// maxPolicy bounds a policy file, in bytes.
const maxPolicy = 64 << 10

// A Policy says which journals count, which witnesses, and how many of them must
// have cosigned.
type Policy struct {
	policy    torchwood.Policy
	witnesses []peer
}

// A peer is one witness.
type peer struct {
	name     string
	verifier note.Verifier
	url      string // its submission prefix; "": it is not asked
}

// ParsePolicy reads a policy file (C2SP tlog-policy): lines log, witness, group
// and quorum. The URL of a witness is its submission prefix.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("a policy has at most %d bytes", maxPolicy)
	}
	policy, err := torchwood.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("not a policy (C2SP tlog-policy): %w", err)
	}
	p := &Policy{policy: policy}
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "witness" {
			continue
		}
		v, err := torchwood.NewCosignatureVerifier(f[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		w := peer{name: f[1], verifier: v}
		if len(f) > 3 {
			u, err := url.Parse(f[3])
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
				return nil, fmt.Errorf("line %d: %q is not the address of a witness", i+1, f[3])
			}
			w.url = strings.TrimSuffix(f[3], "/")
		}
		p.witnesses = append(p.witnesses, w)
	}
	return p, nil
}

// Asked reports whether some witness has an address.
func (p *Policy) Asked() bool {
	for _, w := range p.witnesses {
		if w.url != "" {
			return true
		}
	}
	return false
}

// VerifyProof checks a proof (tlog-proof) of a record: a journal of the policy
// signed its checkpoint, and a quorum of the witnesses cosigned it. It fails
// closed.
func (p *Policy) VerifyProof(proof []byte, leaf journal.Hash) error {
	err := torchwood.VerifyProof(p.policy, tlog.Hash(leaf), proof)
	if u := new(note.UnverifiedNoteError); errors.As(err, &u) {
		return errors.New("the checkpoint is not signed by a journal of the policy, or not cosigned by a quorum of its witnesses")
	}
	return err
}

// enough checks that a checkpoint satisfies the policy, and returns its size.
func (p *Policy) enough(signed []byte) (size uint64, err error) {
	c, _, err := torchwood.VerifyCheckpoint(signed, p.policy)
	if err != nil {
		return 0, err
	}
	return uint64(c.N), nil
}
