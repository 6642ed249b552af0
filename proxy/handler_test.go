package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/limits/shares"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
	"github.com/piano-roc/rpn/register"
)

func TestAGoodMessageIsCarriedAndWrittenDown(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	answer := sign(t, message.IDBAnswer{Version: roc.V1, CR: message.CR{Code: "00", Libelle: "OK"}}.Envelope(soap.SOAP12), http1test.Certs().FarSigner)
	c.far.Says(http1test.Raw(200, string(answer)))
	body := good(t)
	r := c.send(body)
	rec := c.record()

	if r.StatusCode != 200 || string(r.body) != string(answer) || r.Header.Get("Content-Type") != "text/xml; charset=utf-8" {
		t.Fatalf("status %d, %q, %d bytes", r.StatusCode, r.Header.Get("Content-Type"), len(r.body))
	}
	if r.Header.Get("RPN-Origine") != "amc" || r.Header.Get("RPN-Echange") != string(rec.ID) {
		t.Errorf("RPN-Origine %q, RPN-Echange %q", r.Header.Get("RPN-Origine"), r.Header.Get("RPN-Echange"))
	}
	if st := r.Header.Get("Server-Timing"); !regexp.MustCompile(`^read;dur=[0-9.]+, check;dur=[0-9.]+, annuaire;dur=[0-9.]+, connect;dur=[0-9.]+, amc;dur=[0-9.]+, total;dur=[0-9.]+$`).MatchString(st) {
		t.Errorf("Server-Timing %q", st)
	}
	if rec.Outcome != roc.Answered || rec.Origin != roc.FromAMC || rec.FarStatus != 200 || rec.AnswerCheck != "good" {
		t.Errorf("outcome %s, origin %s, far status %d, answer check %s", rec.Outcome, rec.Origin, rec.FarStatus, rec.AnswerCheck)
	}
	if rec.From != chu || rec.Service != roc.IDB || rec.Version != roc.V1 || rec.To.AMC != rhone || rec.Target != farName || !strings.HasPrefix(rec.Peer, "127.0.0.1:") || rec.AMCName != "Mutuelle du Rhône fictive" {
		t.Errorf("who: %s, %s %s to %s at %s for %q from %s", rec.From, rec.Service, rec.Version, rec.To.AMC, rec.Target, rec.AMCName, rec.Peer)
	}
	if rec.RequestSHA256 != sha256.Sum256(body) || rec.AnswerSHA256 != sha256.Sum256(answer) || rec.RequestBytes != len(body) || rec.AnswerBytes != len(answer) {
		t.Error("hashes or sizes are not those of what was received")
	}
	if rec.SignatureSHA256 == [32]byte{} || rec.SignerSerial == "" {
		t.Error("the signature is not written down")
	}
	instants := []time.Time{rec.RequestIn, rec.RequestOut, rec.AnswerIn, rec.AnswerOut}
	for i := range instants[1:] {
		if instants[i].IsZero() || instants[i+1].Before(instants[i]) {
			t.Errorf("the four instants are not in order: %v", instants)
		}
	}
	if rec.Read <= 0 || rec.Check <= 0 || rec.AMC <= 0 {
		t.Errorf("steps: %v %v %v", rec.Read, rec.Check, rec.AMC)
	}
	if got := c.far.Received(); len(got) != 1 || string(got[0].Body) != string(body) || got[0].RequestURI != "/services/roc?x=1" {
		t.Error("the insurer did not receive the message as it was sent")
	}
}

// Profile section 8, to the insurer: these headers and no other.
func TestHeadersToTheInsurer(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	c.send(good(t),
		`SOAPAction: "urn:roc:idb:1.0.0:interroger"`, "Accept: application/soap+xml", "Accept: text/xml",
		"User-Agent: GAP", "Authorization: Basic eA==", "Cookie: a=b", "Connection: X-Hop", "X-Hop: 1", "TE: trailers",
		"RPN-Structure: 1999999999", "RPN-Origine: amc", "RPN-Echange: forged", "X-Forwarded-For: 10.0.0.1", "Forwarded: for=x",
		"X-SSL-Client: x", "X-Client-Cert: x", "Via: 1.0 fred, 1.1 gap.example (x)", "RPN-Delai-Ms: 15000", "traceparent: 00-x")
	rec := c.record()
	got := c.far.Received()[0]
	want := http.Header{
		"Content-Type": {"application/soap+xml; charset=utf-8"}, "Content-Length": {got.Header.Get("Content-Length")},
		"Soapaction": {`"urn:roc:idb:1.0.0:interroger"`}, "Accept": {"application/soap+xml, text/xml"}, "Accept-Encoding": {"identity"},
		"Rpn-Echange": {string(rec.ID)}, "Rpn-Structure": {string(chu)}, "Via": {"1.1 rpn"},
	}
	for name, values := range got.Header {
		if strings.Join(values, "|") != strings.Join(want[name], "|") {
			t.Errorf("%s: %q, want %q", name, values, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
	if got.Host != farName+":"+c.far.Port() {
		t.Errorf("Host %q", got.Host)
	}
}

func TestASOAPActionIsCarriedAsItIs(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	for line, want := range map[string][]string{`SOAPAction: ""`: {`""`}, "SOAPAction:": {""}, "X-None: x": nil} {
		before := len(c.far.Received())
		c.send(good(t), line)
		if got := c.far.Received()[before].Header["Soapaction"]; strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("%s: the insurer has %q, want %q", line, got, want)
		}
	}
}

func TestHeadersOfTheInsurerAreDropped(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	c.far.Says(http1test.Raw(500, http1test.Fault, "Set-Cookie: a=b", "Server: x", "RPN-Origine: rpn", "RPN-Echange: forged", "Retry-After: 7", "Location: https://x/", "X-Powered-By: y"))
	r := c.send(good(t))
	rec := c.record()
	if r.StatusCode != 500 || string(r.body) != http1test.Fault || rec.Outcome != roc.FarFault || rec.Responsable() != roc.ByAMC {
		t.Errorf("status %d, outcome %s", r.StatusCode, rec.Outcome)
	}
	for name := range r.Header {
		switch name {
		case "Content-Type", "Content-Length", "Date", "Rpn-Echange", "Rpn-Origine", "Server-Timing", "Retry-After":
		default:
			t.Errorf("%s: %q reached the caller", name, r.Header[name])
		}
	}
	if r.Header.Get("RPN-Origine") != "amc" || r.Header.Get("RPN-Echange") != string(rec.ID) {
		t.Error("the insurer wrote our headers")
	}
}

// Every way an exchange can end: what the caller hears, and one record.
func TestEachExchangeIsToldOnce(t *testing.T) {
	t.Parallel()
	w := http1test.Certs()
	fails := func(err error) func(*Options) {
		return func(o *Options) {
			o.Directory = find(func(context.Context, roc.Key) (annuaire.Entry, error) { return annuaire.Entry{}, err })
		}
	}
	finds := func(e annuaire.Entry) func(*Options) {
		return func(o *Options) {
			o.Directory = find(func(context.Context, roc.Key) (annuaire.Entry, error) { return e, nil })
		}
	}
	altered := func(t testing.TB) []byte {
		return []byte(strings.Replace(string(good(t)), "FICTIF", "AUTRE", 1))
	}
	for _, x := range []struct {
		name   string
		reason roc.Reason
		adjust func(*Options)
		caller func(*http1test.Certificates) igc.Pair
		body   func(testing.TB) []byte
		lines  []string
	}{
		{name: "unknown structure", reason: roc.UnknownStructure, caller: func(w *http1test.Certificates) igc.Pair { return w.Stranger }},
		{name: "too many", reason: roc.TooMany, adjust: func(o *Options) {
			o.Limiter = allow(func() error {
				return roc.Refuse(roc.TooMany, "test").Because(roc.RateExceeded).After(1500 * time.Millisecond)
			})
		}},
		{name: "no SOAP", reason: roc.NotSOAP, body: func(testing.TB) []byte { return []byte("<hello/>") }},
		{name: "no XML", reason: roc.ForbiddenXML, body: func(testing.TB) []byte { return []byte("hello") }},
		{name: "empty", reason: roc.NotSOAP, body: func(testing.TB) []byte { return nil }},
		{name: "forbidden XML", reason: roc.ForbiddenXML, body: func(t testing.TB) []byte { return append([]byte("<!DOCTYPE a>"), good(t)...) }},
		{name: "actions that disagree", reason: roc.UnknownOperation, lines: []string{"SOAPAction: urn:roc:clc:1.0.0:calculer"}},
		{name: "not signed", reason: roc.NotSigned, body: func(testing.TB) []byte { return idb("FICTIF").Envelope(soap.SOAP12).Bytes() }},
		{name: "altered", reason: roc.BadSignature, body: altered},
		{name: "signed by another side", reason: roc.UntrustedSigner, body: func(t testing.TB) []byte { return sign(t, idb("F").Envelope(soap.SOAP12), w.FarSigner) }},
		{name: "another establishment's FINESS", reason: roc.StructureMismatch, body: func(t testing.TB) []byte {
			m := idb("F")
			m.Etablissement.EJ = "2A0000014"
			return sign(t, m.Envelope(soap.SOAP12), w.Sign)
		}},
		{name: "no AMC number", reason: roc.BadKey, body: func(t testing.TB) []byte {
			m := idb("F")
			m.Adressage.AMC = "12"
			return sign(t, m.Envelope(soap.SOAP12), w.Sign)
		}},
		{name: "unknown AMC", reason: roc.UnknownAMC, adjust: fails(roc.Refuse(roc.UnknownAMC, "test").Because(roc.UnknownNumber))},
		{name: "silent annuaire", reason: roc.AnnuaireSilent, adjust: fails(roc.Refuse(roc.AnnuaireSilent, "test").Because(roc.AnnuaireUnreachable).After(time.Second))},
		{name: "service not offered", reason: roc.ServiceNotOffered, adjust: finds(entry())},
		{name: "quarantined", reason: roc.Quarantined, adjust: finds(entry("https://elsewhere.example/"))},
		{name: "unreachable", reason: roc.AMCUnreachable, adjust: finds(entry("https://" + farName + ":1/"))},
		{name: "an error that is no refusal", reason: roc.Internal, adjust: fails(errors.New("secret of ours"))},
		{name: "multipart", reason: roc.NotSOAP, lines: []string{"X: y"}, adjust: nil},
		{name: "a loop", reason: roc.NotSOAP, lines: []string{"Via: 1.0 fred, 1.1 RPN (x)"}},
		{name: "compressed", reason: roc.NotSOAP, lines: []string{"Content-Encoding: gzip"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var adjust []func(*Options)
			if x.adjust != nil {
				adjust = append(adjust, x.adjust)
			}
			c := newCountry(t, adjust...)
			who, body := w.Auth, good(t)
			if x.caller != nil {
				who = x.caller(w)
			}
			if x.body != nil {
				body = x.body(t)
			}
			request := post(body, x.lines...)
			if x.name == "multipart" {
				request = strings.Replace(request, "application/soap+xml; charset=utf-8", `multipart/related; type="application/xop+xml"; boundary=b`, 1)
			}
			call := c.callAs(who)
			call.say(request)
			r := call.hear()
			rec := c.record()
			meaning := x.reason.Meaning()
			if r.StatusCode != 500 || !strings.Contains(string(r.body), `code="`+meaning.Code+`"`) || !strings.Contains(string(r.body), string(rec.ID)) {
				t.Errorf("status %d, fault %s; want %s", r.StatusCode, r.body, meaning.Code)
			}
			if r.Header.Get("RPN-Origine") != "rpn" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/soap+xml") && x.name != "multipart" {
				t.Errorf("RPN-Origine %q, Content-Type %q", r.Header.Get("RPN-Origine"), r.Header.Get("Content-Type"))
			}
			if want := map[string]string{"too many": "2", "silent annuaire": "1"}[x.name]; want != "" && r.Header.Get("Retry-After") != want {
				t.Errorf("Retry-After %q, want %s", r.Header.Get("Retry-After"), want)
			}
			if strings.Contains(string(r.body), "secret") {
				t.Error("an internal error is shown to the caller")
			}
			if rec.Outcome != roc.Refused || rec.Reason != x.reason || rec.Origin != roc.FromRPN || rec.AnswerOut.IsZero() || rec.AnswerBytes != len(r.body) {
				t.Errorf("record: %s %s (%s)", rec.Outcome, rec.Reason, rec.Cause)
			}
			if n := len(c.far.Received()); n != 0 {
				t.Errorf("%d messages reached the insurer", n)
			}
			call.say(post(good(t), "Connection: close"))
			if _, err := call.tryHear(); err == nil {
				c.record() // of this second one, so that a late second notice of the first would show
			}
			c.noMore()
			await.Until(t, "no exchange is in flight", func() bool { return c.proxy.InFlight() == 0 })
		})
	}
}

// allow is a Limiter.
type allow func() error

func (a allow) Allow(context.Context, roc.StructureID, register.Limite, time.Time) error {
	return a()
}

func (allow) AllowBytes(context.Context, roc.StructureID, register.Limite, int, time.Time) error {
	return nil
}

func (allow) Shapes(register.Limite) bool { return false }

func TestFaultsSpeakTheVersionOfTheRequest(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	for _, v := range []struct{ contentType, body, want, ns string }{
		{"text/xml", "", "text/xml", soap.NS11},
		{"application/soap+xml", "", "application/soap+xml", soap.NS12},
		{"text/xml", "hello", "text/xml", soap.NS11},
		{"application/soap+xml", "hello", "application/soap+xml", soap.NS12},
	} {
		w := c.call()
		w.say(strings.Replace(post([]byte(v.body)), "application/soap+xml; charset=utf-8", v.contentType, 1))
		r := w.hear()
		if !strings.HasPrefix(r.Header.Get("Content-Type"), v.want) || !strings.Contains(string(r.body), v.ns) {
			t.Errorf("%s %q: answered %s", v.contentType, v.body, r.Header.Get("Content-Type"))
		}
	}
}

// A panic anywhere is one RPN500, one record, a log line without a word of the
// message; the next exchange is served.
func TestAPanicIsOneRefusal(t *testing.T) {
	t.Parallel()
	fail := true
	c := newCountry(t, func(o *Options) {
		inner := o.Directory
		o.Directory = find(func(ctx context.Context, k roc.Key) (annuaire.Entry, error) {
			if fail {
				panic("PATIENT-NAME " + string(k.AMC))
			}
			return inner.Find(ctx, "", k)
		})
	})
	w := c.call()
	w.say(post(good(t)))
	r := w.hear()
	rec := c.record()
	if r.StatusCode != 500 || !strings.Contains(string(r.body), "RPN500") || rec.Reason != roc.Internal {
		t.Errorf("status %d, reason %s", r.StatusCode, rec.Reason)
	}
	if l := c.logged(); !strings.Contains(l, "panic recovered") || !strings.Contains(l, "handler_test.go") || strings.Contains(l, "PATIENT") || strings.Contains(rec.Cause+string(r.body), "PATIENT") {
		t.Errorf("log: %s", l)
	}
	fail = false
	w.say(post(good(t)))
	if r := w.hear(); r.StatusCode != 200 {
		t.Errorf("the next exchange: status %d", r.StatusCode)
	}
	c.record()
	c.noMore()
}

func TestAnObserverThatPanicsHarmsNobody(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) {
		o.Observers = append([]func(*roc.Record){func(*roc.Record) { panic("x") }}, o.Observers...)
	})
	for range 2 {
		if r := c.send(good(t)); r.StatusCode != 200 {
			t.Errorf("status %d", r.StatusCode)
		}
		c.record()
	}
	await.Until(t, "no exchange is in flight", func() bool { return c.proxy.InFlight() == 0 })
}

// waitHangUp waits until the proxy can see that a caller has hung up.
func (c *country) waitHangUp() {
	c.t.Helper()
	await.Until(c.t, "the caller has left", func() bool { return c.proxy.server.Departed() > 0 })
}

func TestACallerThatLeavesIsWrittenDown(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	proceed := make(chan struct{})
	c.far.Does(func(conn net.Conn, r http1test.Got) { <-proceed; http1test.AnswerOK(conn, r) })
	w := c.call()
	w.say(post(good(t)))
	await.Until(t, "the message has come", func() bool { return len(c.far.Received()) == 1 })
	w.Close()
	c.waitHangUp()
	close(proceed)
	if rec := c.record(); rec.Outcome != roc.Abandoned || rec.FarStatus != 200 {
		t.Errorf("left before the answer: %s, far status %d", rec.Outcome, rec.FarStatus)
	}

	w = c.call()
	w.say(post(good(t))[:600])
	w.Close()
	if rec := c.record(); rec.Outcome != roc.Abandoned || rec.Responsable() != roc.ByEtablissement {
		t.Errorf("left in the middle of the body: %s", rec.Outcome)
	}
	c.noMore()
}

func TestAMessageWhoseCallerHasLeftIsNotSent(t *testing.T) {
	t.Parallel()
	looking, proceed := make(chan struct{}), make(chan struct{})
	var c *country
	c = newCountry(t, func(o *Options) {
		o.Directory = find(func(context.Context, roc.Key) (annuaire.Entry, error) {
			close(looking)
			<-proceed
			return entry(c.far.URL()), nil
		})
	})
	w := c.call()
	w.say(post(good(t)))
	<-looking
	w.Close()
	c.waitHangUp()
	close(proceed)
	if rec := c.record(); rec.Outcome != roc.Abandoned || len(c.far.Received()) != 0 {
		t.Errorf("%s, %d messages sent", rec.Outcome, len(c.far.Received()))
	}
}

func TestMoreExchangesThanPlacesAreRefused(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.Exchanges = 2 })
	proceed := make(chan struct{})
	c.far.Does(func(conn net.Conn, r http1test.Got) { <-proceed; http1test.AnswerOK(conn, r) })
	a, b := c.call(), c.call()
	a.say(post(good(t)))
	b.say(post(good(t)))
	await.Until(t, "both messages have come", func() bool { return len(c.far.Received()) == 2 })
	if n := c.proxy.InFlight(); n != 2 {
		t.Errorf("%d in flight, want 2", n)
	}
	if r := c.send(good(t)); !strings.Contains(string(r.body), "RPN111") || r.Header.Get("Retry-After") != "1" {
		t.Errorf("a third: status %d", r.StatusCode)
	}
	close(proceed)
	a.hear()
	b.hear()
	for range 3 {
		c.record()
	}
	if r := c.send(good(t)); r.StatusCode != 200 {
		t.Errorf("once there is room: status %d", r.StatusCode)
	}
}

func TestTheRealLimiterRefusesBeforeTheBody(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) {
		o.Limiter = limits.NewLocal(limits.Options{Default: register.Limite{ParSeconde: 0.01, Rafale: 1}})
	})
	if r := c.send(good(t)); r.StatusCode != 200 {
		t.Fatalf("the first: status %d", r.StatusCode)
	}
	w := c.call()
	head, _, _ := strings.Cut(post(good(t)), "\r\n\r\n")
	w.say(head + "\r\n\r\n") // and not a byte of the body
	r := w.hear()
	if !strings.Contains(string(r.body), "RPN110") || r.Header.Get("Retry-After") == "" || !strings.Contains(string(r.body), "Limite de l&#39;établissement") && !strings.Contains(string(r.body), "Limite de l'établissement") {
		t.Errorf("the second: status %d, %s", r.StatusCode, r.body)
	}
}

// RPN-Delai-Ms and our own deadline: the shorter one.
func TestTheDeadlineIsTheShorterOne(t *testing.T) {
	t.Parallel()
	// What a step is given, and not what passes meanwhile: no machine is too slow
	// for it. An insurer that outlasts it: http1 and the scenarios.
	for stated, want := range map[string]time.Duration{"1800000": 30 * time.Minute, "7200000": time.Hour} {
		given := make(chan time.Time, 1)
		c := newCountry(t, func(o *Options) {
			o.Deadline = time.Hour
			o.Directory = find(func(ctx context.Context, _ roc.Key) (annuaire.Entry, error) {
				end, _ := ctx.Deadline()
				given <- end
				return annuaire.Entry{}, roc.Refuse(roc.UnknownAMC, "test")
			})
		})
		before := time.Now()
		c.send(good(t), "RPN-Delai-Ms: "+stated)
		if end := await.Next(t, "the annuaire is asked", given); end.Before(before.Add(want)) || end.After(time.Now().Add(want)) {
			t.Errorf("RPN-Delai-Ms %s: until %s after it was sent, want %s", stated, end.Sub(before), want)
		}
	}
	p := &Proxy{o: Options{Deadline: time.Minute}}
	for stated, want := range map[string]time.Duration{
		"30": 30 * time.Millisecond, "60001": time.Minute, "": time.Minute, "0": time.Minute, "-5": time.Minute, "soon": time.Minute, "99999999999999": time.Minute,
	} {
		if got, less := p.patience(stated); got != want || less != (want < time.Minute) {
			t.Errorf("RPN-Delai-Ms %q: %s (stated: %v), want %s", stated, got, less, want)
		}
	}
}

// 300 idle connections of one certificate must leave room for others: beyond
// its part, a structure is told so, on the connection too many.
func TestAStructureHasNoMoreConnectionsThanItsPart(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) {
		o.Shares = limits.NewShares(shares.New(shares.Limit{Total: 8}, shares.Limit{}, shares.Limit{}))
	})
	for range 2 {
		w := c.call()
		w.say(post(good(t)))
		if r := w.hear(); strings.Contains(string(r.body), "RPN110") {
			t.Fatalf("refused within its part: %s", r.body)
		}
	}
	w := c.call()
	w.say(post(good(t)))
	if r := w.hear(); !strings.Contains(string(r.body), "RPN110") || !strings.Contains(string(r.body), "2 connexions") || r.Header.Get("Connection") != "close" && !r.Close {
		t.Errorf("the connection too many: status %d, %s", r.StatusCode, r.body)
	}
}

func TestAStatedDeadlineThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	for _, stated := range []string{"0", "-5", "soon", "1.5", "30 s", "9999999999999999"} {
		r := c.send(good(t), "RPN-Delai-Ms: "+stated)
		if !strings.Contains(string(r.body), "RPN202") || !strings.Contains(string(r.body), "RPN-Delai-Ms") {
			t.Errorf("RPN-Delai-Ms %q: status %d, %s", stated, r.StatusCode, r.body)
		}
	}
}

func TestASlowRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) {
		o.HeadTimeout, o.BodyTimeout, o.IdleTimeout = 30*time.Millisecond, 30*time.Millisecond, 30*time.Millisecond
	})
	w := c.call()
	w.wantClosed() // idle: without a word

	w = c.call()
	w.say("POST /roc HTTP/1.1\r\nHost: l")
	if r := w.hear(); r.StatusCode != 408 || !r.Close {
		t.Errorf("a head that does not end: status %d", r.StatusCode)
	}
	if rec := c.record(); rec.Outcome != roc.Refused || rec.CauseCode != roc.MalformedHTTP || rec.From != chu {
		t.Errorf("%s %s %s of %q", rec.Outcome, rec.Reason, rec.CauseCode, rec.From)
	}
	w = c.call()
	w.say(post(good(t))[:600])
	if r := w.hear(); r.StatusCode != 408 || !r.Close {
		t.Errorf("a body that does not end: status %d", r.StatusCode)
	}
	if rec := c.record(); rec.Outcome != roc.Abandoned || rec.CauseCode != roc.BodyStopped || rec.Reason != "" || rec.Responsable() != roc.ByEtablissement {
		t.Errorf("%s %s %s", rec.Outcome, rec.Reason, rec.CauseCode)
	}
}

func TestTheAnswerPolicies(t *testing.T) {
	t.Parallel()
	signed := string(sign(t, message.IDBAnswer{Version: roc.V1, CR: message.CR{Code: "00", Libelle: "OK"}}.Envelope(soap.SOAP12), http1test.Certs().FarSigner))
	byAnother := string(sign(t, message.IDBAnswer{Version: roc.V1, CR: message.CR{Code: "00", Libelle: "OK"}}.Envelope(soap.SOAP12), http1test.Certs().Sign))
	unsigned := string(message.IDBAnswer{Version: roc.V1, CR: message.CR{Code: "00", Libelle: "OK"}}.Envelope(soap.SOAP12).Bytes())
	for _, p := range []struct {
		policy            AnswerPolicy
		answer            string
		delivered         bool
		check             string
		withoutVerifierOK bool
	}{
		{AnswersOff, unsigned, true, "", true},
		{AnswersObserve, signed, true, "good", false},
		{AnswersObserve, unsigned, true, "not-signed", false},
		{AnswersObserve, byAnother, true, "untrusted-signer", false},
		{AnswersObserve, strings.Replace(unsigned, "<", "<?pi?><", 1), true, "forbidden-xml", false},
		{AnswersEnforce, signed, true, "good", false},
		{AnswersEnforce, unsigned, false, "not-signed", false},
		{AnswersEnforce, byAnother, false, "untrusted-signer", false},
		{AnswersEnforce, strings.Replace(signed, ">00<", ">99<", 1), false, "bad-signature", false},
	} {
		t.Run(string(p.policy)+" "+p.check, func(t *testing.T) {
			t.Parallel()
			c := newCountry(t, func(o *Options) {
				o.AnswerPolicy = p.policy
				if p.withoutVerifierOK {
					o.AnswerSignatures = nil
				}
			})
			c.far.Says(http1test.Raw(200, p.answer))
			r := c.send(good(t))
			rec := c.record()
			if delivered := string(r.body) == p.answer; delivered != p.delivered || rec.AnswerCheck != p.check {
				t.Errorf("delivered %v, check %q; want %v, %q", delivered, rec.AnswerCheck, p.delivered, p.check)
			}
			if !p.delivered && rec.Reason != roc.AMCBadAnswer {
				t.Errorf("reason %s", rec.Reason)
			}
		})
	}
}

// The establishment's own search goes to the annuaire, signed or not, and its
// answer comes back byte for byte.
func TestASearchIsPassedToTheAnnuaire(t *testing.T) {
	t.Parallel()
	annuaireEnd := http1test.New(t)
	toAnnuaire := http1.NewUpstream(upstreamOptions())
	t.Cleanup(toAnnuaire.Close)
	c := newCountry(t, func(o *Options) {
		o.AnnuaireURL = annuaireEnd.URL()
		o.Annuaire = toAnnuaire
	})
	search := message.SearchRequest{Adressage: message.Adressage{AMC: rhone, Convention: "RO", Domaine: roc.HOSP}, Service: "IDB", Norme: "ROC", Version: "V1"}.Envelope(soap.SOAP11)
	for name, body := range map[string][]byte{"unsigned": search.Bytes(), "signed": sign(t, search, http1test.Certs().Sign)} {
		r := c.send(body)
		rec := c.record()
		if r.StatusCode != 200 || string(r.body) != http1test.OK || r.Header.Get("RPN-Origine") != "annuaire" {
			t.Errorf("%s: status %d, origin %s", name, r.StatusCode, r.Header.Get("RPN-Origine"))
		}
		if rec.Service != roc.Annuaire || rec.Outcome != roc.Answered || rec.Annuaire <= 0 || rec.AMC != 0 {
			t.Errorf("%s: %s %s", name, rec.Service, rec.Outcome)
		}
		if got := annuaireEnd.Received(); string(got[len(got)-1].Body) != string(body) {
			t.Errorf("%s: the annuaire received something else", name)
		}
	}
	if n := len(c.far.Received()); n != 0 {
		t.Errorf("%d messages reached the insurer", n)
	}
	annuaireEnd.Does(func(conn net.Conn, _ http1test.Got) { conn.Close() })
	if r := c.send(search.Bytes()); !strings.Contains(string(r.body), "RPN305") {
		t.Errorf("cut twice: %s", r.body)
	}
	if rec := c.record(); rec.Responsable() != roc.ByAnnuaire {
		t.Errorf("responsable %s", rec.Responsable())
	}
	annuaireEnd.Close()
	if r := c.send(search.Bytes()); !strings.Contains(string(r.body), "RPN304") || r.Header.Get("Retry-After") == "" {
		t.Errorf("away: %s", r.body)
	}
}

// The description is no exchange. A wrong path or method of an accepted caller
// is one like another: an id, a record, a cause.
func TestAWrongPathIsAnExchangeAndTheDescriptionIsNone(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	for _, x := range []struct {
		request     string
		status      int
		contentType string
		contains    string
	}{
		{"GET /roc?wsdl", 200, "text/xml; charset=utf-8", "https://localhost/roc"},
		{"GET /roc?WSDL", 200, "text/xml; charset=utf-8", "definitions"},
		{"GET /roc?xsd=idb-1.0.0.xsd", 200, "text/xml; charset=utf-8", "schema"},
		{"GET /roc?xsd=../../etc/passwd", 404, "text/plain; charset=utf-8", "wsdl"},
		{"GET /roc", 404, "text/plain; charset=utf-8", "wsdl"},
		{"HEAD /roc?wsdl", 200, "text/xml; charset=utf-8", ""},
		{"GET /", 404, "text/plain; charset=utf-8", "/roc"},
		{"POST /", 404, "application/soap+xml; charset=utf-8", "unknown-path"},
		{"POST /rocx", 404, "application/soap+xml; charset=utf-8", "unknown-path"},
		{"POST /ROC", 404, "application/soap+xml; charset=utf-8", "unknown-path"},
		{"POST https://localhost/elsewhere", 404, "application/soap+xml; charset=utf-8", "unknown-path"},
		{"GET https://localhost/roc?wsdl", 200, "text/xml; charset=utf-8", "definitions"},
		{"GET /roc/abc", 405, "text/plain; charset=utf-8", "POST"},
		{"PUT /roc", 405, "text/plain; charset=utf-8", "POST"},
		{"DELETE /roc", 405, "text/plain; charset=utf-8", "POST"},
		{"TRACE /roc", 405, "text/plain; charset=utf-8", "POST"},
		{"CONNECT localhost:443", 405, "text/plain; charset=utf-8", "POST"},
		{"OPTIONS *", 405, "text/plain; charset=utf-8", "POST"},
	} {
		w := c.call()
		w.say(x.request + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(w.r, &http.Request{Method: strings.Fields(x.request)[0]})
		if err != nil {
			t.Errorf("%s: %v", x.request, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != x.status || resp.Header.Get("Content-Type") != x.contentType || !strings.Contains(string(body), x.contains) {
			t.Errorf("%s: %d %s %.80q", x.request, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		if x.status == 405 && resp.Header.Get("Allow") != "POST, GET" {
			t.Errorf("%s: Allow %q", x.request, resp.Header.Get("Allow"))
		}
		if x.status == 200 {
			c.noMore()
			continue
		}
		cause := map[int]roc.CauseCode{404: roc.UnknownPath, 405: roc.UnknownMethod}[x.status]
		if rec := c.record(); rec.From != chu || rec.Outcome != roc.Refused || rec.CauseCode != cause || resp.Header.Get("RPN-Echange") != string(rec.ID) {
			t.Errorf("%s: record of %s: %s %s, %q in the answer", x.request, rec.From, rec.Outcome, rec.CauseCode, resp.Header.Get("RPN-Echange"))
		}
	}

	w := c.call()
	w.say(strings.Replace(post(good(t)), "POST /roc ", "POST /roc/clef ", 1))
	if r := w.hear(); r.StatusCode != 404 || !strings.Contains(string(r.body), "RPN204") {
		t.Errorf("POST /roc/clef: status %d", r.StatusCode)
	}
	if rec := c.record(); rec.Reason != roc.UnknownOperation {
		t.Errorf("POST /roc/clef: %s", rec.Reason)
	}
}

// What a caller writes in Host is not repeated in the description.
func TestTheDescriptionRepeatsNoHost(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.ServerName = func() string { return "rpn.chu.example" } })
	for host, want := range map[string]string{
		"evil.example": "https://rpn.chu.example/roc", "evil.example:8443": "https://rpn.chu.example:8443/roc", "[::1]:443": "https://rpn.chu.example/roc",
	} {
		w := c.call()
		w.say("GET /roc?wsdl HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		if r := w.hear(); !strings.Contains(string(r.body), `"`+want+`"`) || strings.Contains(string(r.body), "evil") {
			t.Errorf("Host %s: want %s", host, want)
		}
	}
}

// Whatever the policy of signatures, what is no SOAP is no answer; the insurer's
// Retry-After is carried.
func TestWhatIsNoSOAPIsNoAnswer(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.AnswerPolicy = AnswersOff })
	for _, x := range []struct {
		name, answer string
		cause        roc.CauseCode
		retry        string
	}{
		{"202", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nRetry-After: 30\r\n\r\n", roc.AnswerEmpty, "30"},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", roc.AnswerEmpty, ""},
		{"202 with an envelope", http1test.Raw(202, http1test.OK), roc.AnswerEmpty, ""},
		{"empty", http1test.Raw(200, ""), roc.AnswerEmpty, ""},
		{"a redirect", http1test.Raw(302, http1test.OK, "Location: https://elsewhere.example/"), roc.AnswerRedirect, ""},
		{"HTML", strings.Replace(http1test.Raw(503, "<html/>", "Retry-After: 5"), "text/xml", "text/html", 1), roc.AnswerMediaType, "5"},
		{"HTML under a media type of SOAP", http1test.Raw(200, "<html/>", "Retry-After: soon"), roc.AnswerNoSOAP, ""},
		{"multipart", strings.Replace(http1test.Raw(200, http1test.OK), "text/xml", "multipart/related", 1), roc.AnswerMediaType, ""},
	} {
		c.far.Says(x.answer)
		r := c.send(good(t))
		rec := c.record()
		if r.StatusCode != 500 || !strings.Contains(string(r.body), "RPN405") || !strings.Contains(string(r.body), `<rpn:Cause code="`+string(x.cause)+`"/>`) || r.Header.Get("Retry-After") != x.retry {
			t.Errorf("%s: status %d, Retry-After %q, %s", x.name, r.StatusCode, r.Header.Get("Retry-After"), r.body)
		}
		if rec.Reason != roc.AMCNotSOAP || rec.CauseCode != x.cause || rec.FarStatus == 0 {
			t.Errorf("%s: %s %s %d", x.name, rec.Reason, rec.CauseCode, rec.FarStatus)
		}
	}
}

// An answer without a length is one when a whole envelope is there (profile
// section 10): the end of a connection proves nothing.
func TestAnAnswerEndedByTheConnectionIsTakenWhenItIsWhole(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.AnswerPolicy = AnswersOff })
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n"
	for _, x := range []struct {
		name, answer string
		abrupt, ok   bool
	}{
		{"closed by TLS", head + http1test.OK, false, true},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n" + http1test.OK, false, true},
		{"closed without a word of TLS", head + http1test.OK, true, true},
		{"cut short", head + http1test.OK[:len(http1test.OK)-3], true, false},
		{"cut short, closed by TLS", head + http1test.OK[:len(http1test.OK)-3], false, false},
		{"two envelopes", head + http1test.OK + http1test.OK, false, false},
	} {
		c.far.Does(func(conn net.Conn, _ http1test.Got) {
			io.WriteString(conn, x.answer)
			if x.abrupt {
				conn.(*tls.Conn).NetConn().Close()
				return
			}
			conn.Close()
		})
		r := c.send(good(t))
		if rec := c.record(); x.ok && (r.StatusCode != 200 || string(r.body) != http1test.OK) || !x.ok && (rec.Reason != roc.AMCBadAnswer || rec.CauseCode != roc.AnswerCut) {
			t.Errorf("%s: status %d, %s %s", x.name, r.StatusCode, rec.Reason, rec.CauseCode)
		}
	}
}

// An answer that names another message is not delivered.
func TestAnAnswerToAnotherMessageIsNotDelivered(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	const id = "urn:uuid:11111111-2222-3333-4444-555555555555"
	m := idb("FICTIF")
	m.Addressing = &message.Addressing{MessageID: id}
	body := sign(t, m.Envelope(soap.SOAP12), http1test.Certs().Sign)
	for to, ok := range map[string]bool{id: true, " " + id + "\n": true, "": true, "urn:uuid:99999999-2222-3333-4444-555555555555": false} {
		for _, ns := range []string{soap.NSWSA, soap.NSWSA2004} {
			c.far.Says(http1test.Raw(200, `<s:Envelope xmlns:s="`+soap.NS12+`" xmlns:a="`+ns+`"><s:Header><a:RelatesTo>`+to+`</a:RelatesTo></s:Header><s:Body><ok/></s:Body></s:Envelope>`))
			r := c.send(body)
			if rec := c.record(); ok != (r.StatusCode == 200) || !ok && rec.CauseCode != roc.AnswerToAnother {
				t.Errorf("RelatesTo %q of %s: status %d, %s", to, ns, r.StatusCode, rec.CauseCode)
			}
		}
	}
}

func TestAConnectionWithoutACertificateIsNoCaller(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.proxy.Serve(tls.NewListener(ln, serverTLS())) }() // no Leaf
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{ServerName: "localhost", RootCAs: http1test.Certs().PKI.Pool(igc.EtablissementTLS), Certificates: []tls.Certificate{http1test.Certs().Auth.TLS()}})
	if err == nil {
		io.WriteString(conn, post(good(t)))
		if b, _ := io.ReadAll(conn); len(b) > 0 {
			t.Errorf("answered: %.50q", b)
		}
		conn.Close()
	}
	ln.Close()
	<-done
}

func TestWhatIsMissingInOptionsIsNamed(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "Limiter") {
		t.Errorf("%v", err)
	}
	if _, err := New(Options{
		List: func() *register.List { return nil }, Limiter: allow(nil), Signatures: xmlsig.NewVerifier(xmlsig.Options{}),
		Directory: find(nil), Facade: facade.New(facade.Options{Limits: soap.DefaultLimits}), AMC: http1.NewUpstream(upstreamOptions()), Log: slog.New(slog.DiscardHandler),
		AnswerPolicy: AnswersObserve, Limits: soap.DefaultLimits, Exchanges: 1, MinRate: 1,
		Deadline: time.Second, IdleTimeout: time.Second, HeadTimeout: time.Second, BodyTimeout: time.Second, WriteTimeout: time.Second,
	}); err == nil || !strings.Contains(err.Error(), "AnswerSignatures") {
		t.Errorf("observe without a verifier: %v", err)
	}
}

// What a caller does not wait for is not counted against who was not given the
// time: neither the annuaire, nor the insurer.
func TestAStatedDelayThatIsTooShortIsTheCallers(t *testing.T) {
	t.Parallel()
	for cause, found := range map[roc.CauseCode]func(ctx context.Context, url string) (annuaire.Entry, error){
		roc.AnnuaireStatedDelay: func(ctx context.Context, _ string) (annuaire.Entry, error) {
			<-ctx.Done()
			return annuaire.Entry{}, roc.Refuse(roc.AnnuaireSilent, "test").Because(roc.AnnuaireUnreachable)
		},
		roc.StatedDelayBefore: func(ctx context.Context, url string) (annuaire.Entry, error) {
			<-ctx.Done()
			return entry(url), nil
		},
	} {
		var c *country
		c = newCountry(t, func(o *Options) {
			o.Directory = find(func(ctx context.Context, _ roc.Key) (annuaire.Entry, error) { return found(ctx, c.far.URL()) })
		})
		r := c.send(good(t), "RPN-Delai-Ms: 100")
		if !strings.Contains(string(r.body), `<rpn:Cause code="`+string(cause)+`"`) || !strings.Contains(string(r.body), `responsable="etablissement"`) {
			t.Errorf("%s: status %d, %s", cause, r.StatusCode, r.body)
		}
		if len(c.far.Received()) != 0 {
			t.Errorf("%s: sent", cause)
		}
	}
}
