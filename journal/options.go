package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A Durability is what a record survives before its answer leaves. It always
// survives the death of the process.
type Durability string

// The durabilities.
const (
	Relaxed Durability = "relaxed" // a power loss may take the last second
	Strict  Durability = "strict"  // the answer waits until the record is on the disk; exchanges wait in groups
)

// A FullPolicy decides what happens to an exchange that finds no room for its
// record: the disk is full, read-only or broken.
type FullPolicy string

// The policies.
const (
	Refuse           FullPolicy = "refuse"            // refused before any byte is carried
	ContinueCounting FullPolicy = "continue-counting" // carried without a record, and counted in the journal afterwards
)

// Options are what a Journal needs. What has no default is required.
type Options struct {
	Dir    string // its folder: must exist and be used by one process only
	Origin string // its name in checkpoints and receipts: "rpn.example/journal/a"
	Key    Keys
	Log    *slog.Logger

	SegmentBytes int64         // preallocated
	SegmentAge   time.Duration // a segment is closed after this time
	Durability   Durability
	OnFull       FullPolicy
	SyncEvery    time.Duration // Default: 500 ms
	SealEvery    time.Duration

	// KeepFor is how long records are kept: a segment is deleted when all its
	// records are older. KeepBytes caps the closed segments:
	// the oldest are deleted early, with an alarm. Default: no cap.
	KeepFor   time.Duration
	KeepBytes int64

	Now func() time.Time // Default: time.Now

	allocate func(*os.File, int64) error // for tests; default: allocate
}

func (o *Options) complete() error {
	if o.Dir == "" || o.Origin == "" || o.Log == nil || o.Key.signer == nil || o.Durability == "" || o.OnFull == "" ||
		o.SegmentBytes <= 0 || o.SegmentAge <= 0 || o.SealEvery <= 0 || o.KeepFor <= 0 {
		return errors.New("journal: Dir, Origin, Key, Log, SegmentBytes, SegmentAge, Durability, OnFull, SealEvery and KeepFor are required")
	}
	if err := CheckOrigin(o.Origin); err != nil {
		return err
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = 500 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.allocate == nil {
		o.allocate = allocate
	}
	if n := capacityOf(o.SegmentBytes); n < 16 {
		return fmt.Errorf("journal: a segment of %d bytes holds only %d records: set 64 KiB or more", o.SegmentBytes, n)
	}
	return nil
}

// CheckOrigin says what is wrong with the name of a journal: the name is
// written in signed notes and in a file header.
func CheckOrigin(s string) error {
	if s == "" || len(s) > 200 {
		return errors.New("the name of a journal has 1 to 200 characters")
	}
	for _, c := range s {
		if c <= ' ' || c > '~' || strings.ContainsRune(`+;,"`, c) {
			return fmt.Errorf("the name of a journal, %q, has a character %q: use letters, digits, and . / - _", s, c)
		}
	}
	return nil
}

// Keys are the keys of a journal: the first one signs, all of them are accepted
// when the journal is opened again.
type Keys struct {
	signer    note.Signer
	verifiers []note.Verifier
	public    string // public key of the signer, as a verifier key
}

// Public is the key with which others verify, in the format of C2SP
// signed-note.
func (k Keys) Public() string { return k.public }

// NewKey makes a key for the journal of that name: the private line for its
// key file, and the public one for those who verify.
func NewKey(origin string) (private, public string, err error) {
	if err := CheckOrigin(origin); err != nil {
		return "", "", err
	}
	return note.GenerateKey(nil, origin)
}

// ParseKeys parses a key file: one private key a line, the one in use first;
// empty lines and lines that begin with # are ignored. All must be keys of the
// journal of that name.
func ParseKeys(text, origin string) (Keys, error) {
	var k Keys
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		signer, err := note.NewSigner(line)
		if err != nil {
			return Keys{}, fmt.Errorf("line %d is not a private key of a journal: make one with `rpn journal key --origin %s`", i+1, origin)
		}
		if signer.Name() != origin {
			return Keys{}, fmt.Errorf("line %d is a key of the journal %q, not of %q", i+1, signer.Name(), origin)
		}
		public, err := publicOf(line)
		if err != nil {
			return Keys{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		verifier, err := note.NewVerifier(public)
		if err != nil {
			return Keys{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		if k.signer == nil {
			k.signer, k.public = signer, public
		}
		k.verifiers = append(k.verifiers, verifier)
	}
	if k.signer == nil {
		return Keys{}, fmt.Errorf("no key: make one with `rpn journal key --origin %s`", origin)
	}
	return k, nil
}
