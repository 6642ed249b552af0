// Package history is the audit trail of the register: what each reload changed,
// who asked for it and what was forced, and each dated change that came into
// force by the clock. It is one file of JSON lines, appended to and never
// changed; docs/operating/register.md says its format.
package history

import (
	"encoding/json"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// Version is the version of the format of a line.
const Version = 1

// An Event is what a line is about.
type Event string

// The events.
const (
	Started  Event = "start"   // the RPN started with these files
	Reloaded Event = "reload"  // these files came into force
	Refused  Event = "refused" // these files did not: Error says why
	Dated    Event = "date"    // the clock reached dates of the files in force
)

// An Entry is one line.
type Entry struct {
	V     int       `json:"v"` // Version
	At    time.Time `json:"at"`
	Event Event     `json:"event"`
	Why   string    `json:"why,omitzero"` // "asked", "a file changed", "signal"
	Who   string    `json:"who,omitzero"` // who asked, as the operator's listener knows it; "": nobody did

	// Force is whether the reload was to take whatever the register loses, and
	// Forced what that let pass, in words: empty, nothing needed it.
	Force  bool     `json:"force,omitzero"`
	Forced []string `json:"forced,omitzero"`

	Error string `json:"error,omitzero"`
	Files []File `json:"files"` // the list of establishments, the list of AMCs

	Dates   []Date   `json:"dates,omitzero"`   // dated changes that came into force
	Changes []Change `json:"changes,omitzero"` // who gained and lost what
}

// A File is one of the two lists, as it was read.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // 64 hexadecimal digits, as sha256sum says
}

// A Date is one dated change of state that came into force.
type Date struct {
	Depuis time.Time     `json:"depuis"`
	EJ     roc.FINESS    `json:"finess_ej,omitzero"` // of an establishment
	AMC    roc.NumeroAMC `json:"amc,omitzero"`       // of an AMC, its first number
	Nom    string        `json:"nom"`
	From   string        `json:"from"`
	To     string        `json:"to"`
	Motif  string        `json:"motif,omitzero"`
}

// A Change is what became of one establishment, site or AMC. Kind is one of the
// names that `rpn register diff --json` gives to the lists of changes.
type Change struct {
	Kind   string        `json:"kind"`
	EJ     roc.FINESS    `json:"finess_ej,omitzero"` // whose establishment it is about
	AMC    roc.NumeroAMC `json:"amc,omitzero"`       // which AMC it is about
	Who    string        `json:"who"`
	Nom    string        `json:"nom,omitzero"`
	Before string        `json:"before"`
	After  string        `json:"after"`
}

// Lines says how the file is kept: files of 16 MiB, eleven in all.
func Lines(file string) durable.Lines {
	return durable.Lines{File: file, Bytes: 16 << 20, Keep: 10, Mode: 0o640}
}

// Append writes an entry, and returns once it is on disk.
func Append(file string, e Entry) error {
	e.V = Version
	line, err := json.Marshal(&e)
	if err != nil {
		return err
	}
	return Lines(file).Append(line)
}
