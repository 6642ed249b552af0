package journal

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

func encode(r *roc.Record) []byte {
	var b [exchangeSize]byte
	putExchange(&b, r)
	return b[:]
}

// kept is a record as the journal gives it back: what profile section 9 does
// not list is not in it.
func kept(r *roc.Record) roc.Record {
	k := *r
	k.Peer, k.AMCName, k.Target, k.Cause, k.To.CSR = "", "", "", "", ""
	k.Lookup, k.Connect, k.Waited = 0, 0, 0
	for _, t := range []*time.Time{&k.RequestIn, &k.RequestOut, &k.AnswerIn, &k.AnswerOut} {
		if !t.IsZero() {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
	return k
}

func TestARecordComesBackAsItWas(t *testing.T) {
	t.Parallel()
	offset := -1500 * time.Millisecond
	full := sample(1)
	full.ClockOffset, full.Replayed, full.FromMemory, full.Stale, full.AnswerCheck, full.Dossier = &offset, true, true, true, roc.CheckedLater, roc.Dossier{1, 2, 3, 4, 5, 6}
	full.Annuaire = 17 * time.Microsecond
	list := []*roc.Record{full, {RequestIn: testNow}}
	for n := range 500 {
		list = append(list, sample(n))
	}
	for _, r := range roc.Reasons() {
		list = append(list, &roc.Record{RequestIn: testNow, Outcome: roc.Refused, Reason: r, AnswerCheck: string(r)})
	}
	for _, c := range causes {
		list = append(list, &roc.Record{RequestIn: testNow, Outcome: roc.Refused, Reason: roc.Overloaded, CauseCode: c})
	}
	for _, serial := range []string{"0", "1", "a1b2", "abc", strings.Repeat("f", 40)} {
		list = append(list, &roc.Record{RequestIn: testNow, SignerSerial: serial})
	}
	for _, r := range list {
		e, err := Decode(7, encode(r))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := e.Exchange.Record, kept(r); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if e.Exchange.MustAct != r.Responsable() {
			t.Errorf("must act: %q, want %q", e.Exchange.MustAct, r.Responsable())
		}
		if again := encode(&e.Exchange.Record); !bytes.Equal(again, encode(r)) {
			t.Errorf("encoded again it differs:\n%x\n%x", again, encode(r))
		}
	}
}

// The bytes of version 1 never change.
func TestTheBytesOfARecordAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	var amendment [amendmentSize]byte
	putAmendment(&amendment, &Amendment{Exchange: uuidOf(1, 7), Of: 41, At: testNow, Change: AnswerChecked, AnswerCheck: string(roc.BadSignature)})
	var mark [markSize]byte
	putMark(&mark, &Mark{Event: NotRecorded, Count: 3, From: testNow, To: testNow.Add(time.Second)})
	got := hex.EncodeToString(encode(sample(1))) + "\n" + hex.EncodeToString(amendment[:]) + "\n" + hex.EncodeToString(mark[:]) + "\n"
	want, err := os.ReadFile("testdata/version1.hex")
	if err != nil || got != string(want) {
		t.Errorf("the layout of version 1 has changed (%v): records of %d months could not be read any more; make a version 2\n%s", err, 12, got)
	}
}

// A cause that has no number would be written down as none.
func TestEveryCauseHasItsNumber(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/journal.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range causes[1:] {
		list = append(list, "`"+string(c)+"`")
	}
	if want := strings.Join(list, ", "); !strings.Contains(string(text), want) {
		t.Errorf("docs/journal.md does not list the causes in their order: %s", want)
	}
	for _, c := range roc.Causes() {
		if indexOf(causes[:], c) == 0 {
			t.Errorf("%s has no number: give it the next one, at the end of causes, and its line in docs/journal.md", c)
		}
	}
}

// Whatever stands in a record that is not of its type leaves nothing.
func TestNothingButCodesGetsIntoARecord(t *testing.T) {
	t.Parallel()
	const canary = "KANARI-285059912345678-DUPONT"
	r := sample(1)
	r.ID, r.MessageID, r.From, r.To.AMC, r.To.Convention, r.To.Domaine, r.To.CSR = canary, canary, canary, roc.NumeroAMC("x285059912"), "k1", canary, canary
	r.Peer, r.AMCName, r.Target, r.Cause, r.Outcome, r.Origin, r.Reason, r.AnswerCheck, r.CauseCode = canary, canary, canary, canary, canary, canary, canary, canary, canary
	b := encode(r)
	for _, part := range []string{"KANARI", "285059", "5059912", "DUPONT"} {
		if bytes.Contains(b, []byte(part)) {
			t.Errorf("%q is in the record", part)
		}
	}
	for at, size := range map[int]int{4: 16, 20: 16, 92: 3, 96: 15, 111: 10, 121: 2} {
		if !bytes.Equal(b[at:at+size], make([]byte, size)) {
			t.Errorf("the field at %d holds %q", at, b[at:at+size])
		}
	}
}

func TestAJumpOfTheClockDuringAnExchangeChangesNoDuration(t *testing.T) {
	t.Parallel()
	in := time.Now()
	out := in.Add(80 * time.Millisecond) // the monotonic reading moves with it
	e, err := Decode(0, encode(&roc.Record{RequestIn: in, AnswerOut: out}))
	if err != nil || e.Exchange.Total() != 80*time.Millisecond {
		t.Errorf("total %v, %v", e.Exchange.Total(), err)
	}
	// Two wall clocks that disagree, as after a restart of a test's clock.
	e, _ = Decode(0, encode(&roc.Record{RequestIn: testNow, AnswerOut: testNow.Add(-time.Hour)}))
	if e.Exchange.Total() != 0 {
		t.Errorf("a negative time became %v", e.Exchange.Total())
	}
}

func TestARecordIsEncodedWithoutAllocation(t *testing.T) {
	r := sample(1)
	var b slot
	if n := testing.AllocsPerRun(100, func() {
		putExchange((*[exchangeSize]byte)(b[slotRecord:]), r)
		b.finish(exchangeSize)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(sample(1)))
	var a [amendmentSize]byte
	putAmendment(&a, &Amendment{Exchange: uuidOf(1, 7), Of: 1, At: testNow, Change: CallerLeft})
	f.Add(a[:])
	var m [markSize]byte
	putMark(&m, &Mark{Event: Started, From: testNow, To: testNow})
	f.Add(m[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(3, b)
		if err == nil && e.Exchange == nil && e.Amendment == nil && e.Mark == nil {
			t.Error("neither a record nor an error")
		}
		if _, err := e.JSON(); err != nil {
			t.Error(err)
		}
	})
}
