package proxy

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/limits/shares"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
	"github.com/piano-roc/rpn/register"
)

// aMegabyteASecond asks more than who dribbles will ever give, and leaves all
// other times far beyond the end of the test.
func aMegabyteASecond(o *Options) {
	o.MinRate, o.Grace = 1<<20, 50*time.Millisecond
	o.BodyTimeout, o.WriteTimeout, o.Deadline = time.Hour, time.Hour, time.Hour
}

// A body of which a byte comes now and then is given up, although it never
// stops coming.
func TestABodyThatDribblesIsGivenUp(t *testing.T) {
	t.Parallel()
	c := newCountry(t, aMegabyteASecond)
	w := c.call()
	body := good(t)
	head, _, _ := strings.Cut(post(body), "\r\n\r\n")
	w.say(head + "\r\n\r\n")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := range body[:len(body)-1] {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := w.Write(body[i : i+1]); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond) // the attack itself: nothing is awaited
		}
	}()
	if r := w.hear(); r.StatusCode != 408 || !r.Close {
		t.Errorf("status %d", r.StatusCode)
	}
	if rec := c.record(); rec.Outcome != roc.Abandoned || rec.CauseCode != roc.BodyStopped {
		t.Errorf("%s %s", rec.Outcome, rec.CauseCode)
	}
}

// Who does not read its answer holds its memory no longer than the rate allows.
func TestAnAnswerThatNobodyReadsIsGivenUp(t *testing.T) {
	t.Parallel()
	ledger := shares.New(shares.Limit{}, shares.Limit{}, shares.Limit{Total: 1 << 30})
	c := newCountry(t, aMegabyteASecond, func(o *Options) {
		o.AnswerPolicy, o.Shares = AnswersOff, limits.NewShares(ledger)
	})
	long := strings.Replace(http1test.OK, "</", strings.Repeat(" ", 7<<20)+"</", 1)
	c.far.Says(http1test.Raw(200, long))
	w := c.call()
	w.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
	w.say(post(good(t)))
	if rec := c.record(); rec.Outcome != roc.Abandoned || rec.CauseCode != roc.AnswerUnread {
		t.Errorf("%s %s", rec.Outcome, rec.CauseCode)
	}
	if used, _ := ledger.Used(shares.Bytes); used != 0 {
		t.Errorf("%d bytes are still held", used)
	}
}

// An answer takes room as it comes: where there is none, it is dropped and the
// caller told that its message was sent. Nothing stays held.
func TestAnAnswerThatHasNoRoomIsRefused(t *testing.T) {
	t.Parallel()
	ledger := shares.New(shares.Limit{}, shares.Limit{}, shares.Limit{Total: 4 << 20, Small: 4 << 20})
	c := newCountry(t, func(o *Options) { o.AnswerPolicy, o.Shares = AnswersOff, limits.NewShares(ledger) })
	for size, fits := range map[int]bool{1 << 10: true, 400 << 10: true, 1200 << 10: false} { // its share is 1 MiB
		long := strings.Replace(http1test.OK, "</", strings.Repeat(" ", size)+"</", 1)
		for _, answer := range []string{
			http1test.Raw(200, long),
			"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n" + long,
		} {
			c.far.Does(func(conn net.Conn, _ http1test.Got) { io.WriteString(conn, answer); conn.Close() })
			r := c.send(good(t))
			if told := strings.Contains(string(r.body), `<rpn:Cause code="no-room-for-answer"/>`); told == fits || fits && r.StatusCode != 200 {
				t.Errorf("%d bytes: status %d, %.300s", size, r.StatusCode, r.body)
			}
			if rec := c.record(); !fits && (rec.Reason != roc.Overloaded || rec.Responsable() != roc.ByRPN || rec.RequestOut.IsZero()) {
				t.Errorf("%d bytes: %s %s", size, rec.Reason, rec.Responsable())
			}
			await.Until(t, "all is given back", func() bool { used, _ := ledger.Used(shares.Bytes); return used == 0 })
		}
	}
}

// Where there is no room even for a usual answer, nothing is sent.
func TestWithoutRoomForAnAnswerNothingIsSent(t *testing.T) {
	t.Parallel()
	ledger := shares.New(shares.Limit{}, shares.Limit{}, shares.Limit{Total: 60 << 10, Share: 60 << 10, Small: 60 << 10})
	c := newCountry(t, func(o *Options) { o.Shares = limits.NewShares(ledger) })
	if r := c.send(good(t)); !strings.Contains(string(r.body), "RPN11") || r.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, %.300s", r.StatusCode, r.body)
	}
	if n := len(c.far.Received()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// A body that took all the time that its service has is its sender's delay: it is
// not checked, and no insurer is blamed.
func TestABodyThatTakesAllTheTimeOfItsServiceIsGivenUp(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.Deadlines.IDB = time.Nanosecond })
	if r := c.send(good(t)); r.StatusCode != 408 {
		t.Errorf("status %d, %s", r.StatusCode, r.body)
	}
	if rec := c.record(); rec.Outcome != roc.Abandoned || rec.CauseCode != roc.BodyStopped || rec.Check != 0 {
		t.Errorf("%s %s, checked for %v", rec.Outcome, rec.CauseCode, rec.Check)
	}
	if len(c.far.Received()) != 0 {
		t.Error("it was sent")
	}
}

// slowSeat has a free seat after a while.
type slowSeat struct{ unlimited }

func (s slowSeat) Enter(ctx context.Context, amc *register.AMC, host string, es *register.Etablissement, at time.Time) (func(time.Time), error) {
	time.Sleep(takesItsTime) // the insurer is busy: nothing is awaited
	return s.unlimited.Enter(ctx, amc, host, es, at)
}

const takesItsTime = 300 * time.Millisecond

// The time that a caller takes for its body, and an insurer for a free seat, is
// not what the RPN adds.
func TestWaitingForOthersIsNotWhatTheRPNAdds(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.AMCAccess = slowSeat{} })
	w := c.call()
	body := good(t)
	head, _, _ := strings.Cut(post(body, "Expect: 100-continue"), "\r\n\r\n")
	w.say(head + "\r\n\r\n")
	for range 2 { // from here on, the body is being read
		if _, err := w.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(takesItsTime) // a caller on a slow line: nothing is awaited
	w.say(string(body))
	if r := w.hear(); r.StatusCode != 200 {
		t.Fatalf("status %d, %s", r.StatusCode, r.body)
	}
	if rec := c.record(); rec.Waited < 2*takesItsTime || rec.Total()-rec.Added() < rec.Waited {
		t.Errorf("waited %s, added %s of %s", rec.Waited, rec.Added(), rec.Total())
	}
}

// slowCredit has the credit of a message, and of its bytes, after a while.
type slowCredit struct{}

func (slowCredit) Allow(context.Context, roc.StructureID, register.Limite, time.Time) error {
	time.Sleep(takesItsTime) // the establishment is beyond its limit: nothing is awaited
	return nil
}

func (slowCredit) AllowBytes(context.Context, roc.StructureID, register.Limite, int, time.Time) error {
	time.Sleep(takesItsTime) // the same of its bytes: nothing is awaited
	return nil
}

func (slowCredit) Shapes(register.Limite) bool { return true }

// The time that a shaped message waits for the credit of its establishment is not
// what the RPN adds.
func TestWaitingForItsOwnCreditIsNotWhatTheRPNAdds(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.Limiter = slowCredit{} })
	if r := c.send(good(t)); r.StatusCode != 200 {
		t.Fatalf("status %d, %s", r.StatusCode, r.body)
	}
	if rec := c.record(); rec.Waited < 2*takesItsTime || rec.Read < 2*takesItsTime || rec.Total()-rec.Added() < rec.Waited {
		t.Errorf("waited %s, read for %s, added %s of %s", rec.Waited, rec.Read, rec.Added(), rec.Total())
	}
}
