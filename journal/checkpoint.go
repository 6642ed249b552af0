package journal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Checkpoint is a signed statement of the content of the whole journal at one
// size (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
	Note   []byte // as signed, with its signatures
}

// signCheckpoint makes the checkpoint of a tree.
func (k Keys) signCheckpoint(origin string, size uint64, root Hash) ([]byte, error) {
	text := origin + "\n" + strconv.FormatUint(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
	return note.Sign(&note.Note{Text: text}, k.signer)
}

// OpenCheckpoint verifies a checkpoint with public keys and parses it. It fails
// closed: one of the keys must have signed it, and the key name must be the
// origin.
func OpenCheckpoint(signed []byte, keys []note.Verifier) (*Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(keys...))
	if err != nil {
		var unverified *note.UnverifiedNoteError
		if errors.As(err, &unverified) {
			return nil, errors.New("the checkpoint is not signed by the key given")
		}
		return nil, fmt.Errorf("invalid checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return nil, err
	}
	for _, sig := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return nil, errors.New("a signature line of the checkpoint is not in its canonical form")
		}
		if sig.Name == c.Origin {
			c.Note = signed
			return c, nil
		}
	}
	return nil, fmt.Errorf("the checkpoint of %q is signed by another journal", c.Origin)
}

func parseCheckpoint(text string) (*Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return nil, errors.New("the checkpoint has fewer than three lines")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return nil, errors.New("the second line of the checkpoint is not a size")
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return nil, fmt.Errorf("the third line of the checkpoint: %w", err)
	}
	return &Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// parseHash accepts one form only: standard base64, strict.
func parseHash(s string) (Hash, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(Hash{}) || strings.ContainsAny(s, "\r\n") {
		return Hash{}, errors.New("not the base64 of a SHA-256 hash")
	}
	return Hash(b), nil
}

// A PublicKey verifies what a journal signed.
type PublicKey = note.Verifier

// ParsePublicKey reads the public key of a journal (`rpn journal key --public`).
func ParsePublicKey(line string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(line))
	if err != nil {
		return nil, errors.New("not the public key of a journal: one line, NAME+HASH+BASE64")
	}
	return v, nil
}

const sealTitle = "rpn-journal-seal v1"

// sealText is the file `seal`: the right edge of the tree, then its signed
// checkpoint, in one file so that they cannot disagree after a crash.
func sealText(f *frontier, signed []byte) []byte {
	var b strings.Builder
	b.WriteString(sealTitle + "\n")
	for _, h := range f.hashes() {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(signed)
	return []byte(b.String())
}

// openSeal parses a seal: one of the keys must have signed it, and its edge
// must be the signed one.
func openSeal(b []byte, keys []note.Verifier) (f frontier, c *Checkpoint, err error) {
	edge, signed, found := strings.Cut(string(b), "\n\n")
	title, edge, more := strings.Cut(edge, "\n")
	if !found || title != sealTitle {
		return f, nil, errors.New("not a seal of a journal")
	}
	if c, err = OpenCheckpoint([]byte(signed), keys); err != nil {
		return f, nil, err
	}
	var hashes []Hash
	for more && edge != "" {
		var line string
		line, edge, _ = strings.Cut(edge, "\n")
		h, err := parseHash(line)
		if err != nil || len(hashes) == 64 {
			return f, nil, errors.New("the edge of the tree is malformed")
		}
		hashes = append(hashes, h)
	}
	f, ok := frontierOf(c.Size, hashes)
	if !ok || f.root() != c.Root {
		return f, nil, errors.New("the edge of the tree is not the one that was signed")
	}
	return f, c, nil
}
