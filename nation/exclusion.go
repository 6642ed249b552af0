package nation

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// DenyFiles are the files of the emergency deny list: who signs it, by which
// key the RPN believes it, and the list.
func (n *Nation) DenyFiles() (key, signer, list string) {
	d := filepath.Join(n.Dir, "exclusion")
	return filepath.Join(d, "deny.key"), filepath.Join(d, "deny-signer.pem"), filepath.Join(d, "deny.list")
}

// revocationSection is what rpn.yaml says of the deny list.
const revocationSection = "deny: exclusion/deny.list\ndeny_signers: [exclusion/deny-signer.pem]"

// openExclusion makes the key of the deny list, unless an earlier nation left
// one, and a list of nobody: a day begins with everybody in. Where the RPN is
// run by hand, its list is its operator's.
func (n *Nation) openExclusion() error {
	keyFile, signerFile, list := n.DenyFiles()
	if _, err := os.Stat(keyFile); errors.Is(err, fs.ErrNotExist) {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		key, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return err
		}
		signer, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return err
		}
		err = errors.Join(
			writeFile(signerFile, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: signer}))),
			os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
		if err != nil {
			return err
		}
	}
	if _, err := os.Stat(list); err == nil && n.opts.WithoutRPN {
		return nil
	}
	_, err := n.writeDenyList()
	return err
}

// writeDenyList signs and puts in place a list of these structures, and
// returns its sequence: one more than that of the list that is there, and of
// the one that the RPN remembers.
func (n *Nation) writeDenyList(out ...roc.StructureID) (sequence uint64, err error) {
	keyFile, signerFile, file := n.DenyFiles()
	key, err := trust.ReadKey(keyFile)
	if err != nil {
		return 0, err
	}
	signers, err := revocation.ReadDenySigners(signerFile)
	if err != nil {
		return 0, err
	}
	for _, earlier := range []string{file, filepath.Join(n.StateDir(), "revocation", "deny.last-good")} {
		if text, err := os.ReadFile(earlier); err == nil {
			if l, err := revocation.ReadDenyList(text, signers); err == nil {
				sequence = max(sequence, l.Sequence)
			}
		}
	}
	sequence++
	var lines strings.Builder
	for _, id := range out {
		fmt.Fprintf(&lines, "structure %s\n", id)
	}
	signed, err := revocation.SignDenyList([]byte(lines.String()), sequence, n.now(), key)
	if err != nil {
		return 0, err
	}
	return sequence, durable.WriteFile(file, signed, 0o644)
}

// patience is how long a story waits for what takes a second.
const patience = time.Minute

// exclude puts an establishment on the deny list while its connection is open,
// and waits until the RPN has closed it. Nobody else's may close.
func exclude(id string) func(context.Context, *Nation) error {
	return func(ctx context.Context, n *Nation) error {
		e, ok := n.Etablissement(id)
		if !ok || e.Open() == 0 {
			return fmt.Errorf("%s has no open connection: there is nothing to cut", id)
		}
		others := n.openOthers(id)
		if _, err := n.deny(ctx, roc.StructureOf(e.EJ)); err != nil {
			return err
		}
		if err := eventually(ctx, "its connection is closed", func() (bool, error) { return e.Open() == 0, nil }); err != nil {
			return err
		}
		if still := n.openOthers(id); still < others {
			return fmt.Errorf("%d connections of others were closed with it", others-still)
		}
		return nil
	}
}

// admit lets everybody in again.
func admit(ctx context.Context, n *Nation) error {
	_, err := n.deny(ctx)
	return err
}

// Exclude puts these establishments on the deny list, and nobody else, and waits
// until it is in force.
func (n *Nation) Exclude(ctx context.Context, ids ...string) error {
	var out []roc.StructureID
	for _, id := range ids {
		e, ok := n.Etablissement(id)
		if !ok {
			return fmt.Errorf("the nation has no establishment %q", id)
		}
		out = append(out, roc.StructureOf(e.EJ))
	}
	_, err := n.deny(ctx, out...)
	return err
}

// deny puts a list of these structures in place, and waits until it is in
// force.
func (n *Nation) deny(ctx context.Context, out ...roc.StructureID) (uint64, error) {
	if n.App == nil {
		return 0, errors.New("the RPN does not run here")
	}
	sequence, err := n.writeDenyList(out...)
	if err != nil {
		return 0, err
	}
	if err := n.App.Reload(); err != nil {
		return 0, err
	}
	return sequence, eventually(ctx, "the deny list is in force", func() (bool, error) {
		now, err := n.metric(ctx, "rpn_deny_list_sequence")
		return now == fmt.Sprint(sequence), err
	})
}

// metric reads a metric without labels, as an operator does.
func (n *Nation) metric(ctx context.Context, name string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.AdminURL()+"/metrics", nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("/metrics has no %s", name)
}

// openOthers counts the connections of everybody but one.
func (n *Nation) openOthers(id string) (open int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other, e := range n.people {
		if other != id {
			open += e.Open()
		}
	}
	return open
}

func eventually(ctx context.Context, what string, f func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
