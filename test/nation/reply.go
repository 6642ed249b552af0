package nation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/journal"
	inner "github.com/piano-roc/rpn/nation"
)

// A Reply is what an establishment gets for one message.
type Reply struct {
	inner.Outcome
	Sent []byte // what it sent

	t    testing.TB
	n    *Nation
	soap soap.Version
}

// Replies are those to the same message in both versions.
type Replies []*Reply

// WantAnswer wants an answer of the insurer to each.
func (rs Replies) WantAnswer() Replies { return rs.each((*Reply).WantAnswer) }

// WantRefused wants the RPN to refuse each for that reason.
func (rs Replies) WantRefused(reason roc.Reason) Replies {
	return rs.each(func(r *Reply) *Reply { return r.WantRefused(reason) })
}

// WantSaying wants the fault of each to hold that text.
func (rs Replies) WantSaying(text string) Replies {
	return rs.each(func(r *Reply) *Reply { return r.WantSaying(text) })
}

func (rs Replies) each(want func(*Reply) *Reply) Replies {
	for _, r := range rs {
		r.t.Helper()
		want(r)
	}
	return rs
}

// WantAnswer wants an answer of the insurer: HTTP 200, CodeCR 00.
func (r *Reply) WantAnswer() *Reply {
	r.t.Helper()
	if !r.Answered("00") {
		r.t.Fatalf("want an answer 00, got %s", r.Outcome)
	}
	r.wantHeaders()
	r.wantLine("answered", "")
	return r
}

// WantCarried wants this answer of the insurer, byte for byte.
func (r *Reply) WantCarried(status int, contentType string, body []byte) *Reply {
	r.t.Helper()
	switch {
	case r.Err != nil || r.Origin() != roc.FromAMC:
		r.t.Fatalf("want the insurer's answer, got %s", r.Outcome)
	case r.Status != status:
		r.t.Errorf("status %d, the insurer said %d", r.Status, status)
	case r.Header.Get("Content-Type") != contentType:
		r.t.Errorf("Content-Type %q, the insurer said %q", r.Header.Get("Content-Type"), contentType)
	case !bytes.Equal(r.Body.Bytes(), body):
		r.t.Errorf("other bytes than the insurer's: %d, it sent %d", r.Body.Len(), len(body))
	}
	r.wantHeaders()
	outcome := "answered"
	if status > 299 {
		outcome = "far-fault"
	}
	r.wantLine(outcome, "")
	return r
}

// retryHelps are the refusals that must say how long to wait. One of the
// sender may not: waiting does not help (profile section 7).
var retryHelps = []roc.Reason{roc.TooMany, roc.Overloaded, roc.AnnuaireSilent, roc.AMCUnreachable}

// WantRefused wants a fault of the RPN for that reason, as profile sections 7
// and 8 say it, and the exchange written down once.
func (r *Reply) WantRefused(reason roc.Reason) *Reply {
	r.t.Helper()
	m := reason.MeaningWith(r.Cause())
	if !r.Refused(reason) {
		r.t.Fatalf("want %s %s, got %s", m.Code, reason, r.Outcome)
	}
	if r.Status != http.StatusInternalServerError {
		r.t.Errorf("HTTP %d for %s", r.Status, m.Code)
	}
	r.wantHeaders()
	r.wantFault(m)
	wait := r.Header.Get("Retry-After")
	if wait == "" && slices.Contains(retryHelps, reason) {
		r.t.Errorf("%s without Retry-After", m.Code)
	}
	if wait != "" && (m.Sender || !regexp.MustCompile(`^[1-9]\d*$`).MatchString(wait)) {
		r.t.Errorf("%s with Retry-After: %q", m.Code, wait)
	}
	r.wantLine("refused", m.Code)
	return r
}

// wantFault checks the fault itself: the version of the request, the schema,
// who is at fault, the exchange, the remedy.
func (r *Reply) wantFault(m roc.Meaning) {
	r.t.Helper()
	if got := r.Header.Get("Content-Type"); got != r.soap.ContentType() {
		r.t.Errorf("Content-Type %q, want %q", got, r.soap.ContentType())
	}
	messagetest.Valid(r.t, r.Body)
	env, err := soap.Read(r.Body, soap.DefaultLimits)
	if err != nil {
		r.t.Fatal(err)
	}
	if env.Version() != r.soap {
		r.t.Fatalf("the fault is of another SOAP than the request:\n%s", r.Body.Bytes())
	}
	code, detail := r.parts(env.Body().Child(r.soap.Namespace(), "Fault"), m)
	who := map[soap.Version]map[bool]string{
		soap.SOAP11: {true: "Client", false: "Server"}, soap.SOAP12: {true: "Sender", false: "Receiver"},
	}[r.soap][m.Sender]
	if !strings.Contains(code, who) {
		r.t.Errorf("fault code %q, want %s", code, who)
	}
	e := detail.Child(inner.NSError, "Erreur")
	for name, want := range map[string]string{"code": m.Code, "responsable": string(m.Responsable), "echange": string(r.Exchange())} {
		if got, _ := e.Attr("", name); got != want {
			r.t.Errorf("rpn:Erreur/@%s is %q, want %q", name, got, want)
		}
	}
	if remede, _ := e.Child(inner.NSError, "Remede").Text(); remede != m.Remede {
		r.t.Errorf("rpn:Remede is %q, want %q", remede, m.Remede)
	}
	if cause := r.Cause(); cause != "" && cause.Meaning().Reason.Meaning().Code != m.Code {
		r.t.Errorf("rpn:Cause %s is not of %s", cause, m.Code)
	}
}

// Cause is the rpn:Cause of a fault, "" when it has none.
func (r *Reply) Cause() roc.CauseCode {
	m := regexp.MustCompile(`<rpn:Detail><rpn:Cause code="([a-z-]+)"`).FindSubmatch(r.Body.Bytes())
	if m == nil {
		return ""
	}
	return roc.CauseCode(m[1])
}

// parts are the code and the detail of a fault of either SOAP.
func (r *Reply) parts(fault soap.Node, m roc.Meaning) (string, soap.Node) {
	r.t.Helper()
	if r.soap == soap.SOAP11 {
		code, _ := fault.Path("faultcode").Text()
		return code, fault.Path("detail")
	}
	ns := r.soap.Namespace()
	code, _ := fault.Child(ns, "Code").Child(ns, "Value").Text()
	sub, _ := fault.Child(ns, "Code").Child(ns, "Subcode").Child(ns, "Value").Text()
	if !strings.HasSuffix(sub, ":"+m.Code) {
		r.t.Errorf("Subcode %q, want %s", sub, m.Code)
	}
	return code, fault.Child(ns, "Detail")
}

// WantSaying wants the fault to hold that text.
func (r *Reply) WantSaying(text string) *Reply {
	r.t.Helper()
	if !bytes.Contains(r.Body.Bytes(), []byte(text)) {
		r.t.Errorf("the fault does not say %q:\n%s", text, r.Body.Bytes())
	}
	return r
}

var (
	uuid7  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	timing = regexp.MustCompile(`^read;dur=[\d.]+, check;dur=[\d.]+, annuaire;dur=[\d.]+, connect;dur=[\d.]+, amc;dur=[\d.]+, total;dur=[\d.]+$`)
)

// wantHeaders checks what every answer to an exchange has (profile section 8).
func (r *Reply) wantHeaders() {
	r.t.Helper()
	if !uuid7.MatchString(string(r.Exchange())) {
		r.t.Errorf("RPN-Echange: %q is no UUIDv7", r.Exchange())
	}
	if got := r.Header.Get("Server-Timing"); !timing.MatchString(got) {
		r.t.Errorf("Server-Timing: %q", got)
	}
}

// wantLine waits for the line of the exchange in the log, and checks that it
// says what the caller was told.
func (r *Reply) wantLine(outcome, code string) {
	r.t.Helper()
	l := r.record()
	for key, want := range map[string]string{"outcome": outcome, "code": code, "origine": string(r.Origin())} {
		if got := l.Text("record." + key); got != want {
			r.t.Errorf("the log says %s %q, the caller was told %q", key, got, want)
		}
	}
	sent, back := sha256.Sum256(r.Sent), sha256.Sum256(r.Body.Bytes())
	if got := l.Text("record.request_sha256"); got != "" && got != hex.EncodeToString(sent[:]) {
		r.t.Error("the log has another request_sha256 than that of what was sent")
	}
	if l.Text("record.answer_sha256") != hex.EncodeToString(back[:]) {
		r.t.Error("the log has another answer_sha256 than that of what came back")
	}
}

// record is the record of the exchange: by the log, or by the journal, which has
// each one when refusals that repeat share a line.
func (r *Reply) record() Line {
	r.t.Helper()
	var found Line
	await.Until(r.t, "the exchange is in the log or in the journal", func() bool {
		if lines := r.lines(); len(lines) > 0 {
			found = lines[0]
			return true
		}
		if r.Code == "" {
			return false // only refusals share a line
		}
		var ok bool
		found, ok = r.inJournal()
		return ok
	})
	return found
}

func (r *Reply) inJournal() (Line, bool) {
	l, err := journal.OpenLog(filepath.Join(r.n.StateDir(), "journal"))
	if err != nil {
		return nil, false
	}
	defer l.Close()
	found, err := l.Find(r.t.Context(), journal.Query{ID: r.Exchange()})
	if err != nil || len(found.Matches) != 1 {
		return nil, false
	}
	b, err := found.Matches[0].JSON()
	if err != nil {
		r.t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(b, &record); err != nil {
		r.t.Fatal(err)
	}
	return Line{"record": record}, true
}

// lines are the lines of the exchange in the log.
func (r *Reply) lines() []Line {
	return slices.DeleteFunc(r.n.Lines("exchange"), func(l Line) bool { return l.Text("record.echange") != string(r.Exchange()) })
}

// Line waits for the line of the exchange in the log: the only one.
func (r *Reply) Line() Line {
	r.t.Helper()
	var found []Line
	await.Until(r.t, "the exchange is in the log", func() bool {
		found = r.lines()
		return len(found) > 0
	})
	if len(found) > 1 {
		r.t.Errorf("%d lines for one exchange", len(found))
	}
	return found[0]
}

// WantNoHandshake wants the connection to end without an answer.
func (r *Reply) WantNoHandshake() {
	r.t.Helper()
	if got := (inner.Scened{Outcome: r.Outcome}).Got(); got != inner.Handshake {
		r.t.Errorf("want no handshake, got %s", r.Outcome)
	}
}
