// Package acts keeps what people do at the portal (invitations, proposals,
// incidents): every act is one line that is added to a file and is on disk before
// it is done. What is not written is not done.
package acts

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/piano-roc/rpn/internal/durable"
)

// LongestLine bounds a line, in bytes: what is longer is not written, and not read.
const LongestLine = 8 << 10

// A File holds the acts of one kind, of type A. Safe for one goroutine at a time, of
// one process.
type File[A any] struct {
	Name string // "": the acts are in memory alone
	Of   string // what the acts are about, for people: "invitations"

	// Cut is told of each line that a crash has cut: an act that was not done.
	Cut func(line int)
}

// Read reads the acts, in their order, and has apply do each. A line that a crash has
// cut is an act that was not done: it is skipped, and Cut is told. Any other line that
// apply does not take is an error.
func (f *File[A]) Read(apply func(*A) bool) (read []A, err error) {
	if f.Name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, LongestLine)
	for n := 1; lines.Scan(); n++ {
		var a A
		if errors.Is(json.NewDecoder(bytes.NewReader(lines.Bytes())).Decode(&a), io.ErrUnexpectedEOF) {
			f.Cut(n)
			continue
		}
		a = *new(A)
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil || !apply(&a) {
			return nil, fmt.Errorf("%s:%d: not an act about %s; correct the line, or move the file away to begin with none", f.Name, n, f.Of)
		}
		read = append(read, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return read, nil
}

// Append writes an act down.
func (f *File[A]) Append(a *A) error {
	line, err := json.Marshal(a)
	if err == nil && len(line) >= LongestLine {
		err = fmt.Errorf("an act of %d bytes is not written: %d can be read", len(line), LongestLine)
	}
	if err != nil || f.Name == "" {
		return err
	}
	return durable.Lines{File: f.Name, Bytes: math.MaxInt64, Mode: 0o600}.Append(line)
}

// Keep leaves the acts that are not kept out of the file, if there are any.
func (f *File[A]) Keep(read []A, kept func(*A) bool) error {
	before := len(read)
	read = slices.DeleteFunc(read, func(a A) bool { return !kept(&a) })
	if len(read) == before {
		return nil
	}
	var text bytes.Buffer
	for i := range read {
		line, err := json.Marshal(&read[i])
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	return durable.WriteFile(f.Name, text.Bytes(), 0o600)
}

// IsLine reports whether a text that a person wrote is one line of so many bytes at
// most, not empty, without what would have it read otherwise than it is written: pages,
// feeds and logs show it again.
func IsLine(text string, longest int) bool {
	if text == "" || len(text) > longest || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}
