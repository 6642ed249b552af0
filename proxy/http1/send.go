package http1

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Message is a message on its way out: the bytes that were checked, and what
// profile section 8 lets through of the caller's headers.
type Message struct {
	Content     roc.Content
	ContentType string
	SOAPAction  *string // nil: the caller sent none; "" is not the same
	Accept      string

	Exchange  roc.ExchangeID
	Structure roc.StructureID

	// Again allows one more attempt after the bytes have left: reads only
	// (profile section 1).
	Again bool

	// Left reports, just before the first byte leaves, that nobody waits for the
	// answer any more: then nothing is sent. May be nil.
	Left func() bool

	// Hold is asked before n more bytes of the answer are held in memory; with an
	// error, which is what Send returns, the answer is dropped. May be nil.
	Hold func(n int) error

	// Allowed is how long the exchange may take by what its service, its AMC and
	// the RPN allow; 0: as long as is usual.
	Allowed time.Duration

	// Stated says that the deadline is the one that the caller stated, which is
	// shorter than what is allowed.
	Stated bool

	// Classic asks for a connection without post-quantum key exchange: an old
	// front may not read a ClientHello of more than 1 500 bytes.
	Classic bool
}

// A Response is what the far end answered, as it came.
type Response struct {
	Status      int
	ContentType string
	Body        roc.Content
	RetryAfter  string // as it came, or ""

	// UntilClose: no length was stated, and the body ended with its connection.
	// Whether it is whole is to be seen in it. Cut: the end was not even clean.
	UntilClose, Cut bool
}

// Send carries the message to the first of the addresses that can be reached
// and returns its answer. What may have left is never sent again, unless
// m.Again says so; what has not (name, connection, TLS, a kept connection
// found dead before its use) may be tried at once on a fresh connection, then
// at the next address. Refusals: AMCUnreachable, AMCSilent, AMCBadAnswer,
// AnnuaireRefused (an address that the egress filter forbids), Overloaded. The
// error ErrCallerLeft is none.
func (s *Upstream) Send(ctx context.Context, rec *roc.Record, urls []string, m Message) (Response, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return Response{}, errors.New("http1: Send needs a deadline")
	}
	var last error
	for _, u := range urls {
		a, err := s.sendTo(ctx, rec, u, &m, deadline)
		if err != nil && m.Again && !neverLeft(err) && time.Now().Before(deadline) {
			a, err = s.sendTo(ctx, rec, u, &m, deadline)
		}
		if err == nil {
			return a, nil
		}
		if last == nil || !ranOut(err) { // an address that had its time and failed is why there was none for the next
			last = err
		}
		if !neverLeft(err) || errors.Is(err, ErrCallerLeft) {
			break
		}
	}
	if last == nil {
		last = errors.New("http1: no address to send to")
	}
	return Response{}, refusalOf(last)
}

// sendTo makes one attempt at one URL.
func (s *Upstream) sendTo(ctx context.Context, rec *roc.Record, url string, m *Message, deadline time.Time) (Response, error) {
	t, err := s.target(url, m.Classic)
	if err != nil {
		return Response{}, &notSent{err}
	}
	rec.Target = t.host
	begun := s.o.Now()
	visit, err := s.o.Breaker.Allow(t.pool.address(), m.Structure, begun)
	if err != nil {
		return Response{}, &notSent{err}
	}
	a, err := s.visit(ctx, rec, t, m, deadline)
	ended := s.o.Now()
	err = s.ours(s.owned(err, ended.Sub(begun), m, deadline))
	if err == nil && a.Status == http.StatusServiceUnavailable {
		if wait := RetryAfter(a.RetryAfter, ended); wait > 0 {
			visit.Announced(ended.Add(wait), ended)
		}
	}
	visit.Done(endOf(a, err, ended.Sub(begun), m.Allowed), ended)
	return a, err
}

// visit sends and reads the answer.
func (s *Upstream) visit(ctx context.Context, rec *roc.Record, t *target, m *Message, deadline time.Time) (Response, error) {
	var spent attempt
	c, err := t.pool.acquire(ctx, m.Structure, deadline, &spent)
	rec.Lookup += spent.lookup
	rec.Connect += spent.connect
	rec.AMC += spent.connect
	if err != nil {
		return Response{}, &notSent{err}
	}
	if m.Left != nil && m.Left() { // connecting may have taken a while
		t.pool.release(c, m.Structure, true)
		return Response{}, &notSent{ErrCallerLeft}
	}
	rec.RequestOut = s.o.Now()
	a, reusable, err := c.exchange(t, m, deadline, s.o.AnswerBytes)
	rec.AnswerIn = s.o.Now()
	rec.AMC += rec.AnswerIn.Sub(rec.RequestOut)
	if err != nil {
		rec.AnswerIn = time.Time{}
	}
	if err == nil && c.in.buffered() > 0 { // more than was asked, in the same breath
		t.pool.foul()
		reusable = false
	}
	if IsTimeout(err) && errors.Is(err, errHead) && c.in.buffered() == 0 && s.o.Now().Sub(rec.RequestOut) >= longWait(m.Allowed) {
		s.awaitLate(c, t.pool, rec)
		return a, err
	}
	t.pool.release(c, m.Structure, reusable && err == nil)
	return a, err
}

// acquire returns a connection that is known alive: a kept one that the far
// end has not closed and on which nothing waits, or a fresh one.
func (p *pool) acquire(ctx context.Context, owner roc.StructureID, deadline time.Time, spent *attempt) (*upstreamConn, error) {
	for {
		if !time.Now().Before(deadline) {
			return nil, errRanOut
		}
		c, closing, err := p.take(owner, p.up.o.Now())
		for _, old := range closing {
			p.up.drop(old)
		}
		if err != nil {
			return nil, err
		}
		if c == nil {
			c, err = p.dial(ctx, spent)
			if err == nil {
				return c, nil
			}
			p.lost()
			return nil, err
		}
		switch c.look() {
		case sound:
			return c, nil
		case unsolicited:
			p.foul()
		}
		p.lost()
		p.up.drop(c)
	}
}

// release gives a connection back, or closes it.
func (p *pool) release(c *upstreamConn, owner roc.StructureID, reusable bool) {
	if now := p.up.o.Now(); reusable && now.Sub(c.made) < p.up.o.LifeTime && p.put(c, owner, now) {
		return
	}
	p.lost()
	p.up.drop(c)
}

// foul ends every idle connection to the host: it said more than it was asked,
// and which of them it will do that on next, nobody knows.
//
// From now on each establishment has connections of its own there.
func (p *pool) foul() {
	say := p.distrust(p.up.o.Now())
	closing := p.empty()
	for _, c := range closing {
		p.up.drop(c)
	}
	p.up.toldUnsolicited(p, len(closing), say)
}

const (
	viaName = "rpn"
	via     = "1.1 " + viaName
)

// Loops reports whether the message has already passed here (profile section 8).
func (fs Fields) Loops() bool {
	for i := range fs {
		if !strings.EqualFold(fs[i].Name, "Via") {
			continue
		}
		for hop := range strings.SplitSeq(fs[i].Value, ",") {
			// received-protocol SP received-by [ SP comment ]
			if words := strings.Fields(hop); len(words) >= 2 && strings.EqualFold(words[1], viaName) {
				return true
			}
		}
	}
	return false
}
