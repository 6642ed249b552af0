package proxy

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/limits/shares"
)

// A memory is a journal that can be told to fail.
type memory struct {
	mu              sync.Mutex
	room, broken    error
	without         bool // no room, and exchanges go on
	records         []roc.Record
	amended, opened int
	panics          string // the method that does
}

func (m *memory) Reserve() (bool, error) {
	m.panicIn("Reserve")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.room != nil || m.without {
		return false, m.room
	}
	m.opened++
	return true, nil
}

func (m *memory) Append(r *roc.Record) (roc.Receipt, error) {
	m.panicIn("Append")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return roc.Receipt{}, m.broken
	}
	m.records = append(m.records, *r)
	return roc.Receipt{Origin: "rpn.example/journal/a", Index: uint64(len(m.records) - 1), Leaf: [32]byte{1}}, nil
}

func (m *memory) Amend(*roc.Record, roc.Receipt, bool, bool) { m.mu.Lock(); m.amended++; m.mu.Unlock() }

func (m *memory) panicIn(method string) {
	if m.panics == method {
		panic("PATIENT-NAME")
	}
}

func (m *memory) Release() { m.mu.Lock(); m.opened--; m.mu.Unlock() }

func TestTheRecordIsWrittenBeforeTheAnswerLeaves(t *testing.T) {
	t.Parallel()
	m := &memory{}
	c := newCountry(t, func(o *Options) { o.Journal = m })
	resp := c.send(good(t))
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.records) != 1 || m.records[0].Outcome != roc.Answered || m.records[0].AnswerOut.IsZero() {
		t.Fatalf("the answer came and the journal holds %+v", m.records)
	}
	if got := resp.Header.Get("RPN-Recu"); !strings.HasPrefix(got, "rpn.example/journal/a; index=0; leaf=AQAA") {
		t.Errorf("RPN-Recu is %q", got)
	}
}

// Fails closed: where nothing can be written down nothing is carried.
func TestWithoutRoomInTheJournalNothingIsCarried(t *testing.T) {
	t.Parallel()
	m := &memory{room: errors.New("full")}
	c := newCountry(t, func(o *Options) { o.Journal = m })
	resp := c.send(good(t))
	body := string(resp.body)
	if !strings.Contains(body, "RPN111") || resp.Header.Get("Retry-After") == "" || len(c.far.Received()) != 0 {
		t.Errorf("got %s\n%s\nor it was sent on", resp.Status, body)
	}
}

func TestByPolicyAnExchangeGoesOnWithoutARecord(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.Journal = &memory{without: true} })
	resp := c.send(good(t))
	if resp.StatusCode != 200 || resp.Header.Get("RPN-Recu") != "" {
		t.Errorf("got %s, receipt %q", resp.Status, resp.Header.Get("RPN-Recu"))
	}
}

// The insurer has acted and nothing of it can be written: the caller is told.
func TestWhatCannotBeWrittenDownIsNotAnswered(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.Journal = &memory{broken: errors.New("the disk is gone")} })
	resp := c.send(good(t))
	body := string(resp.body)
	if !strings.Contains(body, "RPN500") || !strings.Contains(body, "Vérifiez avant de renvoyer") || resp.Header.Get("RPN-Origine") != "rpn" {
		t.Errorf("got %s\n%s", resp.Status, body)
	}
}

// A panic of the journal is one refusal, told like another, and nothing stays
// taken: neither the shares, nor the place in flight, nor the journal's room.
func TestAPanicOfTheJournalGivesEverythingBack(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Reserve", "Append"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			m := &memory{panics: method}
			ledger := shares.New(shares.Limit{}, shares.Limit{}, shares.Limit{Total: 4 << 20, Small: 4 << 20})
			c := newCountry(t, func(o *Options) { o.Journal, o.Shares = m, limits.NewShares(ledger) })
			w := c.call()
			w.say(post(good(t)))
			r := w.hear()
			if r.StatusCode != 500 || r.Header.Get("RPN-Recu") != "" || strings.Contains(string(r.body)+c.logged(), "PATIENT") {
				t.Errorf("got %s\n%s", r.Status, r.body)
			}
			await.Until(t, "nothing is taken", func() bool {
				bytes, _ := ledger.Used(shares.Bytes)
				exchanges, _ := ledger.Used(shares.Exchanges)
				m.mu.Lock()
				defer m.mu.Unlock()
				return c.proxy.InFlight() == 0 && bytes == 0 && exchanges == 0 && m.opened == 0
			})
			rec := c.record()
			if rec.Outcome != roc.Refused || rec.Reason != roc.Internal || rec.AnswerBytes != len(r.body) || r.Header.Get("RPN-Echange") != string(rec.ID) || r.Header.Get("RPN-Origine") != "rpn" {
				t.Errorf("told %s %s, %d bytes", rec.Outcome, rec.Reason, rec.AnswerBytes)
			}
			c.noMore()
		})
	}
}
