package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Entry is one record of the journal, with its index. Exactly one of the
// three pointers is set.
type Entry struct {
	Index uint64
	Leaf  Hash
	Raw   []byte // the bytes of the record, as they were hashed

	Exchange  *Exchange
	Amendment *Amendment
	Mark      *Mark
}

// A Change is what an amending record says.
type Change byte

// The changes.
const (
	WriteFailed   Change = 1 // the answer could not be written to the caller
	CallerLeft    Change = 2 // the caller had left when its answer was ready
	AnswerChecked Change = 3 // the signature of the AMC's answer was checked and is not good
)

var changes = [...]string{WriteFailed: "write-failed", CallerLeft: "caller-left", AnswerChecked: "answer-checked"}

// String is the name of the change in JSON.
func (c Change) String() string { return at(changes[:], byte(c)) }

// An Amendment holds what became known of an exchange after its record was
// written. It never replaces the record: readers apply it.
type Amendment struct {
	Exchange    roc.ExchangeID
	Of          uint64 // index of the record that it amends
	At          time.Time
	Change      Change
	AnswerCheck string // of AnswerChecked
}

// Libelle is what it says, in French.
func (a *Amendment) Libelle() string {
	switch a.Change {
	case WriteFailed:
		return "la réponse n'a pas pu être écrite à l'appelant"
	case CallerLeft:
		return "l'appelant était parti quand sa réponse était prête"
	case AnswerChecked:
		return "la signature de la réponse n'est pas bonne : " + a.AnswerCheck
	}
	return a.Change.String()
}

const amendmentSize = 40

func putAmendment(b *[amendmentSize]byte, a *Amendment) {
	be := binary.BigEndian
	*b = [amendmentSize]byte{0: kindAmendment, 1: version, 2: byte(a.Change)}
	putUUID(b[4:20], string(a.Exchange))
	be.PutUint64(b[20:], uint64(a.At.UnixMicro()))
	be.PutUint64(b[28:], a.Of)
	be.PutUint16(b[36:], checkCode(a.AnswerCheck))
}

func decodeAmendment(b []byte) (*Amendment, error) {
	if len(b) != amendmentSize {
		return nil, fmt.Errorf("an amending record has %d bytes, not %d", amendmentSize, len(b))
	}
	be := binary.BigEndian
	return &Amendment{
		Change: Change(b[2]), Exchange: roc.ExchangeID(uuidText(b[4:20])),
		At: time.UnixMicro(int64(be.Uint64(b[20:]))).UTC(), Of: be.Uint64(b[28:]), AnswerCheck: checkText(be.Uint16(b[36:])),
	}, nil
}

// An Event is what a mark reports about the journal itself.
type Event byte

// The events.
const (
	Started     Event = 1 // the process opened the journal
	Stopped     Event = 2 // the process closed the journal
	NotRecorded Event = 3 // Count exchanges were carried without a record (continue-counting)
	TurnedAway  Event = 4 // Count exchanges were refused because there was no room (refuse)
	Recovered   Event = 5 // Count records were found incomplete after a crash, none of them answered
	Void        Event = 6 // a record was unreadable at recovery; its remaining bytes are in a separate file
	NotAmended  Event = 7 // Count amending records found no room
)

var events = [...]string{Started: "started", Stopped: "stopped", NotRecorded: "not-recorded", TurnedAway: "turned-away", Recovered: "recovered", Void: "void", NotAmended: "not-amended"}

// String is the name of the event in JSON.
func (e Event) String() string { return at(events[:], byte(e)) }

// A Mark is a record about the journal itself, so that the journal itself
// states what is missing from it.
type Mark struct {
	Event    Event
	Count    uint64
	From, To time.Time
}

const markSize = 28

func putMark(b *[markSize]byte, m *Mark) {
	be := binary.BigEndian
	*b = [markSize]byte{0: kindMark, 1: version, 2: byte(m.Event)}
	be.PutUint64(b[4:], m.Count)
	be.PutUint64(b[12:], uint64(m.From.UnixMicro()))
	be.PutUint64(b[20:], uint64(m.To.UnixMicro()))
}

func decodeMark(b []byte) (*Mark, error) {
	if len(b) != markSize {
		return nil, fmt.Errorf("a mark has %d bytes, not %d", markSize, len(b))
	}
	be := binary.BigEndian
	return &Mark{
		Event: Event(b[2]), Count: be.Uint64(b[4:]),
		From: time.UnixMicro(int64(be.Uint64(b[12:]))).UTC(), To: time.UnixMicro(int64(be.Uint64(b[20:]))).UTC(),
	}, nil
}

var errLayout = errors.New("the layout of the record is not known to this version of rpn: read it with a newer one")

// Decode reads the bytes of a record.
func Decode(index uint64, raw []byte) (e Entry, err error) {
	e = Entry{Index: index, Leaf: LeafHash(raw), Raw: raw}
	if len(raw) < 2 || raw[1] != version {
		return e, errLayout
	}
	switch raw[0] {
	case kindExchange:
		e.Exchange, err = decodeExchange(raw)
	case kindAmendment:
		e.Amendment, err = decodeAmendment(raw)
	case kindMark:
		e.Mark, err = decodeMark(raw)
	default:
		err = errLayout
	}
	return e, err
}

// At is the instant of the entry: of an exchange, when its request came.
func (e *Entry) At() time.Time {
	switch {
	case e.Exchange != nil:
		return e.Exchange.RequestIn
	case e.Amendment != nil:
		return e.Amendment.At
	case e.Mark != nil:
		return e.Mark.To
	}
	return time.Time{}
}
