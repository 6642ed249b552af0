package http1

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Message is a message on its way out: the bytes that were checked, and
// what profile section 8 lets through of the caller's headers.
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
}

// A Response is what the far end answered, as it came.
type Response struct {
	Status      int
	ContentType string
	Body        roc.Content
}

// Send carries the message to the first of the addresses that can be reached
// and returns its answer. What may have left is never sent again, unless
// m.Again says so; what has not (name, connection, TLS, a kept connection
// found dead before its use) may be tried at once on a fresh connection, then
// at the next address. Refusals: AMCUnreachable, AMCSilent, AMCBadAnswer,
// AnnuaireRefused (an address that the dial guard forbids), Overloaded.
func (s *Upstream) Send(ctx context.Context, rec *roc.Record, urls []string, m Message) (Response, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return Response{}, errors.New("proxy: Send needs a deadline")
	}
	var last error
	for _, u := range urls {
		a, err := s.sendTo(rec, u, m, deadline)
		if err != nil && m.Again && !neverLeft(err) && time.Now().Before(deadline) {
			a, err = s.sendTo(rec, u, m, deadline)
		}
		if err == nil {
			return a, nil
		}
		last = err
		if !neverLeft(err) {
			break
		}
	}
	if last == nil {
		last = errors.New("proxy: no address to send to")
	}
	return Response{}, refusalOfSend(last)
}

// A notSent is a failure before the first byte of the request was written.
type notSent struct{ err error }

func (n *notSent) Error() string { return n.err.Error() }
func (n *notSent) Unwrap() error { return n.err }

func neverLeft(err error) bool {
	var n *notSent
	return errors.As(err, &n)
}

// sendTo makes one attempt at one address.
func (s *Upstream) sendTo(rec *roc.Record, url string, m Message, deadline time.Time) (Response, error) {
	p, err := s.target(url)
	if err != nil {
		return Response{}, &notSent{err}
	}
	rec.Target = p.host
	visit, err := s.o.Breaker.Allow(p.pool.Addr, m.Structure, s.o.Now())
	if err != nil {
		return Response{}, &notSent{err}
	}
	a, err := s.visit(rec, p, m, deadline)
	visit.Done(endOf(a, err), s.o.Now())
	return a, err
}

// visit sends and reads the answer.
func (s *Upstream) visit(rec *roc.Record, p *target, m Message, deadline time.Time) (Response, error) {
	l, err := p.acquire(deadline)
	if err != nil {
		return Response{}, &notSent{err}
	}
	rec.RequestOut = s.o.Now()
	a, reusable, err := l.exchange(p, m, deadline, s.o.AnswerBytes)
	rec.AnswerIn = s.o.Now()
	rec.AMC += rec.AnswerIn.Sub(rec.RequestOut)
	if err != nil {
		rec.AnswerIn = time.Time{}
	}
	p.release(l, reusable && err == nil)
	return a, err
}

// exchange writes the request and reads its answer. reusable: both ends agree
// on where the answer ended.
func (l *upstreamConn) exchange(p *target, m Message, deadline time.Time, limit int) (a Response, reusable bool, err error) {
	l.SetDeadline(deadline)
	if err := l.writeRequest(p, m); err != nil {
		return a, false, fmt.Errorf("sending: %w", err)
	}
	h, err := l.in.readAnswer(l.fields)
	if err != nil {
		return a, false, fmt.Errorf("reading the head of the answer: %w", err)
	}
	l.fields = h.fields
	if e := h.fields.Joined("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return a, false, bad("content-encoding", "")
	}
	if h.fields.Count("Content-Type") > 1 {
		return a, false, bad("two-content-types", "")
	}
	body, err := l.in.readBody(h.framing, limit)
	if err != nil {
		return a, false, fmt.Errorf("reading the body of the answer: %w", err)
	}
	contentType, _ := h.fields.One("Content-Type")
	a = Response{Status: h.status, ContentType: contentType, Body: roc.NewContent(body)}
	return a, !h.last && l.in.buffered() == 0, nil
}

// writeRequest writes the headers of profile section 8 and the body, with its
// length. Nothing else of the caller's headers passes.
func (l *upstreamConn) writeRequest(p *target, m Message) error {
	req := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(req)
	h := &req.Header
	h.DisableNormalizing()
	h.SetNoDefaultContentType(true)
	h.SetMethod(fasthttp.MethodPost)
	h.SetRequestURI(p.path)
	h.SetHost(p.authority)
	h.SetContentType(m.ContentType)
	h.Set("Accept-Encoding", "identity")
	if m.SOAPAction != nil {
		h.Set("SOAPAction", *m.SOAPAction)
	}
	if m.Accept != "" {
		h.Set("Accept", m.Accept)
	}
	h.Set("RPN-Echange", string(m.Exchange))
	h.Set("RPN-Structure", string(m.Structure))
	h.Set("Via", via)
	req.SetBodyRaw(m.Content.Bytes())
	bw := p.pool.AcquireWriter(l)
	defer p.pool.ReleaseWriter(bw)
	if err := req.Write(bw); err != nil {
		return err
	}
	return bw.Flush()
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

// refusalOfSend says which refusal a failure of the far leg is. Causes are
// ours: nothing that the far end wrote is in them.
func refusalOfSend(err error) error {
	var r *roc.Refusal
	var dns *net.DNSError
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, fasthttp.ErrNoFreeConns):
		return roc.Refuse(roc.Overloaded, "every connection to this host is in use").After(time.Second)
	case errors.Is(err, errForbiddenAddress):
		return roc.Refuse(roc.AnnuaireRefused, "the address given for this host is not one we may dial: %w", err)
	case errors.As(err, &dns):
		return roc.Refuse(roc.AMCUnreachable, "the name cannot be resolved: %w", err).After(retrySoon)
	case neverLeft(err):
		return roc.Refuse(roc.AMCUnreachable, "no connection: %w", err).After(retrySoon)
	case isRemoteAlert(err):
		return roc.Refuse(roc.AMCUnreachable, "TLS refused by the far end: %w", err)
	case IsTimeout(err):
		return roc.Refuse(roc.AMCSilent, "no answer within the deadline: %w", err)
	case errors.Is(err, ErrTooLarge):
		return roc.Refuse(roc.AMCBadAnswer, "the answer is larger than the limit")
	case isCut(err):
		return roc.Refuse(roc.AMCBadAnswer, "the connection was cut before the end of the answer: %w", err)
	}
	return roc.Refuse(roc.AMCBadAnswer, "the answer is not HTTP we accept: %w", err)
}

const retrySoon = 10 * time.Second

// isRemoteAlert: the far end ended the connection by a TLS alert, as it does
// in TLS 1.3 to refuse our certificate after our first bytes.
func isRemoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
