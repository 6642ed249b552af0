package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

// A Query chooses what is read; its zero value chooses everything.
type Query struct {
	Etablissements []roc.FINESS    // by EJ; empty with AMCs empty: everybody
	AMCs           []roc.NumeroAMC // by any of its numbers
	Since          time.Time
}

func (q Query) all() bool { return len(q.Etablissements)+len(q.AMCs) == 0 }

func (q Query) about(ej roc.FINESS, amc roc.NumeroAMC) bool {
	return q.all() || ej != "" && slices.Contains(q.Etablissements, ej) || amc != "" && slices.Contains(q.AMCs, amc)
}

// A Trail is what was read: the entries, the oldest first, each with what the
// query chooses of it, and the lines that are none, by file and number. A
// damaged line stays where it is; the others are read.
type Trail struct {
	Entries []Entry  `json:"entries"`
	Damaged []string `json:"damaged"`
}

// maxLine bounds a line that is read, in bytes: ten times what a reload that
// changes the whole country writes.
const maxLine = 128 << 20

// Read reads the audit trail. A file that is not there has no line.
func Read(file string, q Query) (*Trail, error) {
	t := &Trail{Entries: []Entry{}, Damaged: []string{}}
	for _, name := range Lines(file).Files() {
		if err := t.read(name, q); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Last returns the last entry that put a register in force or followed it, a
// zero Entry when there is none, and the damaged lines that were met.
func Last(file string) (last Entry, damaged []string, err error) {
	names := Lines(file).Files()
	slices.Reverse(names)
	for _, name := range names {
		t := &Trail{}
		if err := t.read(name, Query{}); err != nil {
			return Entry{}, damaged, err
		}
		damaged = append(damaged, t.Damaged...)
		for _, e := range slices.Backward(t.Entries) {
			if e.Event != Refused {
				return e, damaged, nil
			}
		}
	}
	return Entry{}, damaged, nil
}

func (t *Trail) read(name string, q Query) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(r)
		if len(bytes.TrimSpace(line)) > 0 {
			t.add(line, fmt.Sprintf("%s:%d", name, n), q)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
}

func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, errors.New("this line is too long to be one of ours")
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func (t *Trail) add(line []byte, at string, q Query) {
	var e Entry
	if json.Unmarshal(line, &e) != nil || e.V != Version || e.At.IsZero() || e.Event == "" {
		t.Damaged = append(t.Damaged, at)
		return
	}
	if e.At.Before(q.Since) {
		return
	}
	e.Changes = slices.DeleteFunc(e.Changes, func(c Change) bool { return !q.about(c.EJ, c.AMC) })
	e.Dates = slices.DeleteFunc(e.Dates, func(d Date) bool { return !q.about(d.EJ, d.AMC) })
	if q.all() || len(e.Changes)+len(e.Dates) > 0 {
		t.Entries = append(t.Entries, e)
	}
}

// String writes the trail for people.
func (t *Trail) String() string {
	var b strings.Builder
	for i := range t.Entries {
		t.Entries[i].write(&b)
	}
	if len(t.Entries) == 0 {
		b.WriteString("nothing is written down\n")
	}
	for _, at := range t.Damaged {
		fmt.Fprintf(&b, "%s is damaged: it stays as it is, and is not read\n", at)
	}
	return b.String()
}

func (e *Entry) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s %s", words.Instant(e.At), e.Event)
	for _, s := range []string{e.Why, e.Who} {
		if s != "" {
			b.WriteString(", " + s)
		}
	}
	if e.Force {
		b.WriteString(", forced")
	}
	for _, f := range e.Files {
		fmt.Fprintf(b, ", %s %.12s", f.Name, f.SHA256)
	}
	b.WriteByte('\n')
	for _, s := range e.Forced {
		fmt.Fprintf(b, "  forced: %s\n", s)
	}
	if e.Error != "" {
		fmt.Fprintf(b, "  refused: %s\n", e.Error)
	}
	for _, d := range e.Dates {
		fmt.Fprintf(b, "  %s\n", d)
	}
	for _, c := range e.Changes {
		fmt.Fprintf(b, "  %s\n", c)
	}
}

func (d Date) String() string {
	who := string(d.EJ)
	if d.AMC != "" {
		who = "AMC " + string(d.AMC)
	}
	return fmt.Sprintf("from %s: %s %s: %s -> %s%s", words.Instant(d.Depuis), who, d.Nom, d.From, d.To, words.Because(d.Motif))
}

func (c Change) String() string {
	return fmt.Sprintf("%s: %s: %s -> %s", strings.ReplaceAll(c.Kind, "_", " "), strings.TrimSpace(c.Who+" "+c.Nom), c.Before, c.After)
}

// DatesBetween lists the dated changes of state that came into force between
// two instants of one register, by date: after from, and not after to. A clock
// that goes back has none; a list settled for now says what is in force.
func DatesBetween(l *register.List, from, to time.Time) []Date {
	var dates []Date
	for e := range l.Etablissements() {
		for before, next := range e.After(from) {
			if next.Depuis.After(to) {
				break
			}
			dates = append(dates, Date{Depuis: next.Depuis.Time, EJ: e.EJ, Nom: e.Nom, From: words.State(before), To: words.State(next), Motif: next.Motif})
		}
	}
	for a := range l.AMCs() {
		for before, next := range a.After(from) {
			if next.Depuis.After(to) {
				break
			}
			dates = append(dates, Date{Depuis: next.Depuis.Time, AMC: a.Numeros[0], Nom: a.Nom, From: words.AMCState(before.Etat), To: words.AMCState(next.Etat), Motif: next.Motif})
		}
	}
	slices.SortStableFunc(dates, func(a, b Date) int { return a.Depuis.Compare(b.Depuis) })
	return dates
}
