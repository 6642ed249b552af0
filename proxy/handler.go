package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/proxy/http1"
)

// Path is the one address of every establishment (profile section 1).
const Path = "/roc"

// A Proxy carries exchanges. Make it with New, give it listeners with Serve,
// end it with Shutdown.
type Proxy struct {
	o        Options
	server   *http1.Server
	inFlight atomic.Int64

	descriptions *message.Descriptions

	// ctx ends when Shutdown cuts what is left.
	ctx  context.Context
	stop context.CancelCauseFunc
}

// New makes a Proxy.
func New(o Options) (*Proxy, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Proxy{o: o, descriptions: message.NewDescriptions()}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	p.server = http1.NewServer(http1.ServerOptions{
		Handle:       p.handle,
		Abort:        p.abort,
		Admit:        p.place,
		OnTurnedAway: func(owner string) { o.OnTurnedAway(roc.StructureID(owner)) },
		MinRate:      o.MinRate,
		Grace:        o.Grace,
		IdleTimeout:  o.IdleTimeout,
		HeadTimeout:  o.HeadTimeout,
		BodyTimeout:  o.BodyTimeout,
		WriteTimeout: o.WriteTimeout,
		DrainIdle:    o.DrainIdle,
		Now:          o.Now,
		Log:          o.Log,
	})
	return p, nil
}

// place counts a connection as its establishment's. Those that may not call are
// one owner: they are refused anyway.
func (p *Proxy) place(leaf *x509.Certificate) http1.Place {
	id, _ := roc.StructureOfCertificate(leaf)
	es, err := p.o.List().Caller(leaf)
	if err != nil {
		es = nil
	}
	place := http1.Place{Owner: string(id), Full: p.o.Shares.EnterConnection(es), Leave: func() {}}
	if place.Full == nil {
		place.Leave = func() { p.o.Shares.LeaveConnection(es) }
	}
	return place
}

// Serve serves the connections of a listener until Shutdown. Each must be
// verified TLS and have Leaf() *x509.Certificate (tlsconf.Conn).
func (p *Proxy) Serve(ln net.Listener) error { return p.server.Serve(ln) }

// Shutdown stops accepting and lets the exchanges in flight finish. When ctx
// ends first it cuts them, and says how many connections that were. The
// Upstreams are the caller's to close, afterwards.
func (p *Proxy) Shutdown(ctx context.Context) error {
	defer p.stop(errStopped)
	return p.server.Shutdown(ctx)
}

// Leave is Shutdown for a process that another one has succeeded: connections
// may stay idle for that long before they are ended, since callers are served
// all the while.
func (p *Proxy) Leave(ctx context.Context, idle time.Duration) error {
	defer p.stop(errStopped)
	return p.server.ShutdownIdle(ctx, idle)
}

// InFlight is the number of exchanges whose answer is not written yet.
func (p *Proxy) InFlight() int { return int(p.inFlight.Load()) }

// abort ends what the exchanges in flight wait for.
func (p *Proxy) abort() {
	p.stop(errStopped)
	p.o.AMC.Close()
	p.o.Annuaire.Close()
}

// LogRecord returns the observer that writes each record as one line
// (docs/record.md). The handler of log keeps no attribute of a line once it has
// written it.
func LogRecord(log *slog.Logger) func(*roc.Record) {
	attrs := sync.Pool{New: func() any { return new([]slog.Attr) }}
	return func(rec *roc.Record) {
		a := attrs.Get().(*[]slog.Attr)
		*a = rec.AppendAttrs((*a)[:0])
		log.LogAttrs(context.Background(), slog.LevelInfo, "exchange", slog.String("event", "exchange"), slog.Attr{Key: "record", Value: slog.GroupValue(*a...)})
		clear(*a)
		attrs.Put(a)
	}
}

// handle answers one request, whatever it is and whatever happens.
func (p *Proxy) handle(q *http1.Request) (http1.Answer, func(writeErr error)) {
	a, done := p.reply(q)
	return a.wire(), done
}

// reply is handle, in our words. There is one entrance: whatever is asked, the
// caller is identified, limited, counted and recorded alike (admit, in carry).
func (p *Proxy) reply(q *http1.Request) (a answer, done func(writeErr error)) {
	defer func() {
		if v := recover(); v != nil {
			p.logPanic("", v)
			a = internalPage()
		}
	}()
	return p.exchange(q)
}

// describe answers GET /roc?wsdl and GET /roc?xsd=NAME, when that is what is
// asked. A description is no exchange: it is counted, and has no record.
func (x *exchange) describe() (http1.Response, bool) {
	if x.q.Method() != "GET" && x.q.Method() != "HEAD" {
		return http1.Response{}, false
	}
	path, query, _ := strings.Cut(x.q.Target(), "?")
	if path != Path {
		return http1.Response{}, false
	}
	body, contentType, ok := x.proxy.descriptions.Find(query, x.proxy.endpoint(x.q))
	x.described = ok
	return http1.Response{Status: 200, ContentType: contentType, Body: roc.NewContent(body)}, ok
}

// endpoint is the address that the description gives: the configured one, else
// that of a name of our certificate, at the port that the caller used. What a
// caller writes in Host is never repeated.
func (p *Proxy) endpoint(q *http1.Request) string {
	if p.o.Endpoint != "" {
		return p.o.Endpoint
	}
	name, port := "localhost", ""
	if p.o.ServerName != nil {
		if n := p.o.ServerName(); n != "" {
			name = n
		}
	}
	if _, stated, err := net.SplitHostPort(q.Host()); err == nil && stated != "" && stated != "443" {
		port = ":" + stated
	}
	return "https://" + name + port + Path
}

// exchange opens a record, carries, answers. The returned func closes the
// record and tells the observers, once, when the answer is written. From the
// moment that there is something to give back, no panic keeps it from the caller.
func (p *Proxy) exchange(q *http1.Request) (answer, func(error)) {
	rec := &roc.Record{ID: roc.NewExchangeID(q.Arrived()), RequestIn: q.Arrived(), Peer: q.Peer()}
	begun := time.Now()
	patience, stated := p.patience(q.Header("RPN-Delai-Ms"))
	ctx, cancel := context.WithDeadline(p.ctx, begun.Add(patience))
	x := &exchange{proxy: p, q: q, rec: rec, begun: begun, ctx: ctx, cancel: cancel, allowed: p.o.Deadline, stated: stated, contentType: q.Header("Content-Type")}
	defer func() { x.cancel() }()
	p.inFlight.Add(1)
	a := p.recorded(x)
	if x.env != nil { // the answer and the record hold nothing of it
		x.env.Release()
	}
	hungUp := q.Gone()
	ready := p.o.Now()
	return a, func(writeErr error) {
		rec.Waited += p.o.Now().Sub(ready) // the caller takes the answer
		if rec.Outcome != roc.Refused && rec.Outcome != roc.Abandoned {
			switch {
			case hungUp:
				rec.Outcome, rec.CauseCode, rec.Cause = roc.Abandoned, roc.CallerLeft, errAbandoned.Error()
			case writeErr != nil:
				rec.Outcome, rec.CauseCode, rec.Cause = roc.Abandoned, roc.AnswerUnread, "the answer could not be written"
			}
		}
		p.close(x)
	}
}

// recorded is the answer whose record is in the journal, where there is one.
// After a panic there is neither: our own fault leaves, and the observers hear.
func (p *Proxy) recorded(x *exchange) (a answer) {
	defer func() {
		if v := recover(); v != nil {
			a = p.broken(x, v)
			x.stamp(&a)
		}
	}()
	a = p.traced(x)
	a.free = !x.admitted && x.rec.Outcome == roc.Refused
	if !x.described {
		x.stamp(&a)
		a.timing = timingOf(x.rec, p.o.Now().Sub(x.rec.RequestIn))
		x.writeDown(&a)
	}
	return a
}

// stamp has the answer say whose it is, and the record what leaves.
func (x *exchange) stamp(a *answer) {
	a.exchange, a.origin = x.rec.ID, x.rec.Origin
	x.rec.AnswerBytes, x.rec.AnswerSHA256 = a.body.Len(), sha256.Sum256(a.body.Bytes())
}

// broken is the answer to what panicked outside of carry.
func (p *Proxy) broken(x *exchange, v any) answer {
	p.logPanic(x.rec.ID, v)
	x.described = false
	x.rec.Origin = roc.FromRPN
	x.rec.Outcome, x.rec.Reason, x.rec.CauseCode, x.rec.Cause = roc.Refused, roc.Internal, roc.ProgramFault, "panic: "+harmless(v)
	return internalPage()
}

// patience is how long the exchange may last: ours, or what the caller says it
// still waits (RPN-Delai-Ms, profile section 8) when that is less. What is no
// number of milliseconds is refused later, by acceptable. stated: it is less.
func (p *Proxy) patience(header string) (d time.Duration, stated bool) {
	if d, ok := statedPatience(header); ok && d < p.o.Deadline {
		return d, true
	}
	return p.o.Deadline, false
}

// statedPatience reads RPN-Delai-Ms: at least 1 ms.
func statedPatience(v string) (time.Duration, bool) {
	ms, ok := http1.Number(v)
	return time.Duration(min(ms, 1<<40)) * time.Millisecond, ok && ms > 0
}

// answer carries and makes an answer of what comes of it.
func (p *Proxy) answer(x *exchange) (a answer) {
	defer func() {
		if v := recover(); v != nil { // while writing our own fault
			a = p.broken(x, v)
		}
	}()
	far, err := p.attempt(x)
	if err == nil && x.described {
		return answer{status: far.Status, contentType: far.ContentType, body: far.Body}
	}
	if err == nil {
		x.rec.FarStatus = far.Status
		x.rec.Outcome = roc.Answered
		if far.Status < 200 || far.Status > 299 {
			x.rec.Outcome, x.rec.CauseCode, x.rec.Cause = roc.FarFault, roc.FarEndFault, fmt.Sprintf("the far end answered with HTTP status %d", far.Status)
		}
		return answer{status: far.Status, contentType: far.ContentType, body: far.Body, retryAfter: http1.RetryAfter(far.RetryAfter, p.o.Now())}
	}
	x.rec.Origin = roc.FromRPN
	if errors.Is(err, errAbandoned) || errors.Is(err, http1.ErrCallerLeft) {
		x.rec.Outcome, x.rec.CauseCode, x.rec.Cause = roc.Abandoned, roc.CallerLeft, err.Error()
		return page(400, "L'appelant est parti avant la réponse.")
	}
	if errors.Is(err, errBodyStopped) {
		x.rec.Outcome, x.rec.CauseCode, x.rec.Cause = roc.Abandoned, roc.BodyStopped, err.Error()
		return page(408, "Le corps du message n'est pas arrivé à temps.")
	}
	if m, ok := http1.AsMalformed(err); ok && !isRefusal(err) {
		if p.o.OnMalformed != nil {
			p.o.OnMalformed(m.Rule)
		}
		x.rec.Outcome, x.rec.Reason, x.rec.CauseCode, x.rec.Cause = roc.Refused, roc.NotSOAP, roc.MalformedHTTP, m.Error()
		return pageOf(m)
	}
	return x.refuse(roc.RefusalOf(err))
}

// errStopped is why what is left of an exchange ends.
var errStopped = errors.New("the RPN stops")

func internalPage() answer { return page(500, roc.Internal.Meaning().Libelle) }

// refuse is our fault, in the version of the request even when it could not be
// read.
func (x *exchange) refuse(r *roc.Refusal) answer {
	x.rec.Outcome, x.rec.Reason, x.rec.CauseCode = roc.Refused, r.Reason, r.CauseCode
	if r.Cause != nil {
		x.rec.Cause = r.Cause.Error()
	}
	a := faultOf(x.version(), x.rec.ID, r, x.proxy.o.Now())
	if x.status != 0 {
		a.status = x.status
	}
	if x.q.Method() != "POST" { // no SOAP client: somebody reads it
		m := r.Meaning()
		a.contentType, a.body = textPage, roc.NewContent([]byte(m.Libelle+" "+m.Remede+"\n"))
	}
	if a.status == 405 {
		a.allow = "POST, GET"
	}
	return a
}

// version is that of the request, as far as it is known. Of a message that was
// not read for its Content-Type, SOAPAction tells: a header of SOAP 1.1 alone
// (section 6.1.1).
func (x *exchange) version() soap.Version {
	switch {
	case x.env != nil:
		return x.env.Version()
	case x.body.Len() == 0 && x.media.Version == 0 && x.q.Fields().Count("SOAPAction") > 0:
		return soap.SOAP11
	}
	return soap.VersionFor(x.contentType, x.body.Bytes())
}

func isRefusal(err error) bool {
	var r *roc.Refusal
	return errors.As(err, &r)
}

// attempt is carry, and a refusal when it panics: one message must not take
// the others down.
func (p *Proxy) attempt(x *exchange) (a http1.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.logPanic(x.rec.ID, v)
			a, err = http1.Response{}, roc.Refuse(roc.Internal, "panic: %s", harmless(v)).Because(roc.ProgramFault)
		}
	}()
	defer x.forgetUnsent()
	defer x.processed()
	return p.carry(x)
}

// logPanic logs where, and not what: a panic's value may quote a message. The
// stack shows addresses and sizes, never the text of an argument.
func (p *Proxy) logPanic(id roc.ExchangeID, v any) {
	p.o.Log.Error("panic recovered", "event", "panic_recovered", "echange", string(id), "panic", harmless(v), "stack", string(debug.Stack()))
}

// harmless is what may be said of a panic: the runtime's own words (an index,
// a nil), else only the type of its value.
func harmless(v any) string {
	if e, ok := v.(runtime.Error); ok {
		if _, assertion := v.(*runtime.TypeAssertionError); !assertion {
			return e.Error()
		}
	}
	return fmt.Sprintf("%T", v)
}

// close ends the exchange: the record is complete, and each observer is told.
func (p *Proxy) close(x *exchange) {
	x.rec.AnswerOut = p.o.Now()
	if x.observed.Len() > 0 {
		p.notify(func(*roc.Record) { x.lookAt(x.observed) }, x.rec)
	}
	p.notify(func(*roc.Record) { x.amend() }, x.rec)
	p.notify(func(*roc.Record) { x.leave() }, x.rec)
	switch {
	case !x.described:
		for _, tell := range p.o.Observers {
			p.notify(tell, x.rec)
		}
	case p.o.OnDescribed != nil:
		p.notify(func(*roc.Record) { p.o.OnDescribed() }, x.rec)
	}
	p.inFlight.Add(-1)
}

// notify keeps the panic of one from the others and from the caller.
func (p *Proxy) notify(observer func(*roc.Record), rec *roc.Record) {
	defer func() {
		if v := recover(); v != nil {
			p.logPanic(rec.ID, v)
		}
	}()
	observer(rec)
}
