package journal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const proofTitle = "c2sp.org/tlog-proof@v1"

// ErrNotSealed means that a record has no proof yet.
var ErrNotSealed = errors.New("the record is not sealed yet: the journal seals every few seconds")

// Checkpoint reads the last checkpoint of the folder, without verifying its
// signature: Prove needs its text, and VerifyProof verifies it.
func (l *Log) Checkpoint() (*Checkpoint, error) { return l.readCheckpoint(CheckpointFile) }

func (l *Log) readCheckpoint(name string) (*Checkpoint, error) {
	b, err := os.ReadFile(filepath.Join(l.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotSealed
	}
	if err != nil {
		return nil, err
	}
	text, _, _ := strings.Cut(string(b), "\n\n")
	c, err := parseCheckpoint(text + "\n")
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", filepath.Join(l.dir, name), ErrDamaged, err)
	}
	c.Note = b
	return c, nil
}

// CheckpointFile is the last checkpoint, in the folder of a journal; CosignedFile
// is the last one that enough witnesses cosigned.
const (
	CheckpointFile = "checkpoint"
	CosignedFile   = "checkpoint.cosigned"
)

// Consistency proves that the tree of one size leads to that of another (RFC
// 6962, section 2.1.2); from 0 records, or to the same size, there is nothing to
// prove.
func (l *Log) Consistency(from, to uint64) ([]Hash, error) {
	if from == 0 || from == to {
		return nil, nil
	}
	path, err := tlog.ProveTree(int64(to), int64(from), tlog.HashReaderFunc(l.readHashes))
	list := make([]Hash, len(path))
	for i, h := range path {
		list[i] = Hash(h)
	}
	return list, err
}

// checkpointOf is the checkpoint in which a record is proved: the one that
// witnesses cosigned, if it covers the record, else the last one.
func (l *Log) checkpointOf(index uint64) (*Checkpoint, error) {
	if c, err := l.readCheckpoint(CosignedFile); err == nil && index < c.Size {
		return c, nil
	}
	return l.Checkpoint()
}

// Prove writes the proof of a record (C2SP tlog-proof), with the record itself
// as its extra data. The proof, the journal's public key and the messages are
// all that a verification needs.
func (l *Log) Prove(index uint64) ([]byte, error) {
	c, err := l.checkpointOf(index)
	if err != nil {
		return nil, err
	}
	if index >= c.Size {
		return nil, fmt.Errorf("record %d of %d: %w", index, c.Size, ErrNotSealed)
	}
	if err := l.Refresh(); err != nil {
		return nil, err
	}
	e, err := l.Entry(index)
	if err != nil {
		return nil, err
	}
	path, err := tlog.ProveRecord(int64(c.Size), int64(index), tlog.HashReaderFunc(l.readHashes))
	if err != nil {
		return nil, err
	}
	if tlog.CheckRecord(path, int64(c.Size), tlog.Hash(c.Root), int64(index), tlog.Hash(LeafHash(e.Raw))) != nil {
		return nil, fmt.Errorf("record %d is not the one that was sealed, or its tree is damaged: run `rpn journal verify`", index)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", proofTitle, base64.StdEncoding.EncodeToString(e.Raw), index)
	for _, h := range path {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(c.Note)
	return b.Bytes(), nil
}

// A Proof is the content of a verified proof.
type Proof struct {
	Entry      Entry
	Checkpoint *Checkpoint
}

// maxProof, in bytes, is larger than any proof we write.
const maxProof = 64 << 10

// VerifyProof checks a proof with the public keys of the journal alone: one of
// them signed the checkpoint, and the record in the proof is in the signed
// tree. It fails closed.
func VerifyProof(proof []byte, keys []note.Verifier) (*Proof, error) {
	if len(proof) > maxProof {
		return nil, errors.New("not a proof: it is larger than 64 KiB")
	}
	head, signed, found := strings.Cut(string(proof), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != proofTitle || len(lines) < 3 || len(lines) > 3+64 {
		return nil, fmt.Errorf("not a proof: its first line is %q, then extra, index, hashes, an empty line and the checkpoint", proofTitle)
	}
	extra, ok := strings.CutPrefix(lines[1], "extra ")
	raw, err := base64.StdEncoding.Strict().DecodeString(extra)
	if !ok || err != nil {
		return nil, errors.New("the proof carries no record (line extra)")
	}
	number, ok := strings.CutPrefix(lines[2], "index ")
	index, err := strconv.ParseUint(number, 10, 62)
	if !ok || err != nil || strconv.FormatUint(index, 10) != number {
		return nil, errors.New("the proof has no index (line index)")
	}
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		h, err := parseHash(line)
		if err != nil {
			return nil, fmt.Errorf("a hash of the proof is %w", err)
		}
		path = append(path, tlog.Hash(h))
	}
	c, err := OpenCheckpoint([]byte(signed), keys)
	if err != nil {
		return nil, err
	}
	if index >= c.Size {
		return nil, fmt.Errorf("record %d is not in a journal of %d records", index, c.Size)
	}
	e, err := Decode(index, raw)
	if tlog.CheckRecord(path, int64(c.Size), tlog.Hash(c.Root), int64(index), tlog.Hash(e.Leaf)) != nil {
		return nil, errors.New("the record is not the one that the journal sealed at this index")
	}
	if err != nil {
		return nil, err
	}
	return &Proof{Entry: e, Checkpoint: c}, nil
}
