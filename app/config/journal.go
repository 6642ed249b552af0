package config

import (
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
)

// Journal is the sealed trace of every exchange (docs/operating/journal.md).
type Journal struct {
	// Folder is where this instance keeps its journal: its own, on a disk of
	// its own where possible. It must be there:
	//
	//	install -d -m 0750 -o rpn -g rpn /var/lib/rpn/journal
	//
	// Default: journal, in the state folder; without a state folder there is
	// no journal.
	Folder string `yaml:"folder"`

	// Origin is the name of the journal, in its checkpoints and receipts: one
	// for each instance, and for ever. "rpn.example/journal/a". Default:
	// rpn/journal/ and the name of the machine.
	Origin string `yaml:"origin"`

	// Key is the file of the private key that signs it:
	//
	//	rpn journal key --origin rpn.example/journal/a > journal.key && chmod 0400 journal.key
	//
	// To change it, put the new key on a line before the old one. Default: a
	// key made at the first start, in the folder.
	Key string `yaml:"key"`

	// Durability is what a record survives before its answer leaves: "relaxed"
	// the death of the process, and within a second the loss of power; "strict"
	// the loss of power, which makes every exchange wait for the disk. Default:
	// relaxed.
	Durability Durability `yaml:"durability"`

	// WhenFull is what happens when there is no room for a record: "refuse"
	// the exchange before it is carried (RPN111), or "continue-counting":
	// carry it, and write in the journal afterwards how many have no record.
	// Default: refuse.
	WhenFull WhenFull `yaml:"when_full"`

	// SegmentBytes is the size of a segment, taken from the disk in advance:
	// two are always there. 64KiB at least. Default: 64MiB.
	SegmentBytes strict.Size `yaml:"segment_bytes" strict:"positive"`

	// SegmentAge is after how long a segment that is not full is closed.
	// Default: 24h.
	SegmentAge time.Duration `yaml:"segment_age" strict:"positive"`

	// Seal is how often a checkpoint is signed. Default: 10s.
	Seal time.Duration `yaml:"seal" strict:"positive"`

	// Keep is how long records are kept. Default: 8784h, twelve months.
	Keep time.Duration `yaml:"keep" strict:"positive"`

	// KeepBytes is how large the closed segments may be together: beyond it the
	// oldest are deleted before their time, with an alarm. Default: 0, no cap.
	KeepBytes strict.Size `yaml:"keep_bytes"`

	// Timestamp has the checkpoint of each day time-stamped. Default: none.
	Timestamp Timestamp `yaml:"timestamp"`

	// Witnesses is a policy file (C2SP tlog-policy): the witnesses that cosign the
	// checkpoints, each with the address where it is asked, and how many of them
	// are enough. They are asked once a minute, and nothing waits for them.
	// Default: none.
	Witnesses string `yaml:"witnesses"`
}

// Timestamp is a time-stamping authority (RFC 3161) that says when a checkpoint
// was there. No exchange and no seal waits for it: it is asked once a day, and
// again after a failure.
type Timestamp struct {
	// URL is where it answers: "http://tsa.example/tsr". Its tokens are signed:
	// plain HTTP will do. It is reached by what network says. Default: none.
	URL string `yaml:"url"`

	// Authority is a PEM file: the certificates with which it signs, and their
	// CAs up to the root. A token of any other certificate is refused: when the
	// authority renews its own, add the new one and keep the old ones.
	// Default: none; required with url.
	Authority string `yaml:"authority"`
}

// A Durability is what a record survives before its answer leaves, and a
// WhenFull what happens to an exchange that finds no room for its record.
type (
	Durability string
	WhenFull   string
)

// The words that the file may hold for each of them.
const (
	Relaxed Durability = "relaxed"
	Strict  Durability = "strict"

	RefuseWhenFull   WhenFull = "refuse"
	ContinueCounting WhenFull = "continue-counting"
)

// Kept reports whether there is a journal.
func (j *Journal) Kept() bool { return j.Folder != "" }

// checkJournal settles where the journal is, and its name.
func (c *Config) checkJournal(doc *strict.Document) {
	j := &c.Journal
	switch {
	case j.Folder != "":
		j.Folder = c.path(j.Folder)
		if info, err := os.Stat(j.Folder); err != nil || !info.IsDir() {
			doc.Refuse(doc.At("journal", "folder"), "make the folder: install -d -m 0750 -o rpn -g rpn "+j.Folder, "%s is not a folder", j.Folder)
		}
	case c.State != "":
		j.Folder = filepath.Join(c.State, "journal") // of the state folder: made when it is missing
	}
	if j.Origin == "" {
		host, err := os.Hostname()
		if err != nil || host == "" {
			host = "local"
		}
		j.Origin = "rpn/journal/" + host
	}
	if j.Key != "" {
		j.Key = c.path(j.Key)
		if _, err := os.Stat(j.Key); err != nil {
			doc.Refuse(doc.At("journal", "key"), "make it: rpn journal key --origin "+j.Origin+" > "+j.Key, "%s", Missing(j.Key, err))
		}
	}
	c.checkTimestamp(doc)
	if j.Witnesses != "" {
		j.Witnesses = c.path(j.Witnesses)
		if _, err := os.Stat(j.Witnesses); err != nil {
			doc.Refuse(doc.At("journal", "witnesses"), "give the file of the policy", "%s", Missing(j.Witnesses, err))
		}
		if !j.Kept() {
			doc.Refuse(doc.At("journal", "witnesses"), "give journal.folder or state, or remove the line", "there is no journal to cosign")
		}
	}
}

func (c *Config) checkTimestamp(doc *strict.Document) {
	t := &c.Journal.Timestamp
	if t.URL == "" && t.Authority == "" {
		return
	}
	if u, err := url.Parse(t.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		doc.Refuse(doc.At("journal", "timestamp", "url"), "write it like http://tsa.example/tsr", "it is not the address of a time-stamping authority")
	}
	if t.Authority = c.path(t.Authority); t.Authority == "" {
		doc.Refuse(doc.At("journal", "timestamp", "authority"), "give the file of its certificates", "without it no token can be verified")
	} else if _, err := os.Stat(t.Authority); err != nil {
		doc.Refuse(doc.At("journal", "timestamp", "authority"), "give the file of its certificates", "%s", Missing(t.Authority, err))
	}
	if !c.Journal.Kept() {
		doc.Refuse(doc.At("journal", "timestamp"), "give journal.folder or state, or remove the section", "there is no journal to time-stamp")
	}
}
