package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// newUpstream makes an Upstream of its own; adjust may change its options.
func newUpstream(t testing.TB, adjust ...func(*UpstreamOptions)) *Upstream {
	t.Helper()
	o := upstreamOptions()
	for _, f := range adjust {
		f(&o)
	}
	s := NewUpstream(o)
	t.Cleanup(s.Close)
	return s
}

func carried(body string) Message {
	return Message{Content: roc.NewContent([]byte(body)), ContentType: "text/xml", Exchange: "id", Structure: http1test.CHU}
}

func sendIt(t testing.TB, s *Upstream, m Message, urls ...string) (Response, roc.Record, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	var rec roc.Record
	a, err := s.Send(ctx, &rec, urls, m)
	return a, rec, err
}

func TestAKeptConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t)
	for range 5 {
		if _, _, err := sendIt(t, s, carried("<a/>"), far.URL()); err != nil {
			t.Fatal(err)
		}
	}
	if n := far.Accepted.Load(); n != 1 {
		t.Errorf("%d connections for five messages one after the other, want 1", n)
	}
}

// The far end closes a kept connection while nobody looks: nothing was written
// yet, so the message goes on a fresh one, once.
func TestADeadIdleConnectionIsFoundBeforeItsUse(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t)
	const together = 4 // several dead connections, one after the other
	var wg sync.WaitGroup
	gate := make(chan struct{})
	far.Does(func(c net.Conn, r http1test.Got) { <-gate; http1test.AnswerOK(c, r) })
	for range together {
		wg.Go(func() { sendIt(t, s, carried("<a/>"), far.URL()) })
	}
	await.Until(t, "all messages have come", func() bool { return len(far.Received()) == together })
	close(gate)
	wg.Wait()
	far.Says(http1test.Raw(200, "<ok/>"))
	far.HangUp()
	if _, _, err := sendIt(t, s, carried("<b/>"), far.URL()); err != nil {
		t.Fatalf("a kept connection had died: %v", err)
	}
	if n := len(far.Received()); n != together+1 {
		t.Errorf("the far end received %d messages, want %d", n, together+1)
	}
}

// Bytes beyond an answer would be read as the answer to the next message,
// which may be another establishment's.
func TestNothingIsReadFromAConnectionOnWhichSomethingWaits(t *testing.T) {
	t.Parallel()
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n<poison>"
	for name, script := range map[string]func(c net.Conn){
		"in the same record": func(c net.Conn) { io.WriteString(c, http1test.Raw(200, "<ok/>")+poison) },
		"in a record of its own": func(c net.Conn) {
			io.WriteString(c, http1test.Raw(200, "<ok/>"))
			io.WriteString(c, poison)
		},
		"behind a body of 204":               func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n<no/>") },
		"behind a body larger than a record": func(c net.Conn) { io.WriteString(c, http1test.Raw(200, strings.Repeat("x", 50_000))+poison) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, s := http1test.New(t), newUpstream(t)
			sent := make(chan struct{}, 100)
			far.Does(func(c net.Conn, _ http1test.Got) { script(c); sent <- struct{}{} })
			for range 10 {
				a, _, err := sendIt(t, s, carried("<a/>"), far.URL())
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(a.Body.Bytes()), "poison") || strings.HasPrefix(string(a.Body.Bytes()), "<no/>") {
					t.Fatal("the rest of one answer was delivered as the next")
				}
				<-sent // so that what follows the answer is on its way
			}
		})
	}
}

// What may have left is never sent again.
func TestAMessageThatMayHaveLeftIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(c net.Conn, r http1test.Got){
		"closed without an answer": func(c net.Conn, _ http1test.Got) { c.Close() },
		"reset": func(c net.Conn, _ http1test.Got) {
			c.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
			c.(*tls.Conn).NetConn().Close()
		},
		"cut in the head": func(c net.Conn, _ http1test.Got) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-"); c.Close() },
		"cut in the body": func(c net.Conn, _ http1test.Got) { io.WriteString(c, http1test.Raw(200, "<ok/>")[:60]); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, other, s := http1test.New(t), http1test.New(t), newUpstream(t)
			if _, _, err := sendIt(t, s, carried("<first/>"), far.URL()); err != nil { // a kept connection, as in real life
				t.Fatal(err)
			}
			far.Does(script)
			_, _, err := sendIt(t, s, carried("<a/>"), far.URL(), other.URL())
			if !roc.IsRefused(err, roc.AMCBadAnswer) {
				t.Errorf("refused as %v, want amc-bad-answer", err)
			}
			if n := len(far.Received()) + len(other.Received()); n != 2 {
				t.Errorf("%d messages were received, want the first and this one, once", n)
			}
		})
	}
}

// A read may be asked again, once.
func TestAReadIsAskedAgainOnce(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t)
	far.Does(func(c net.Conn, _ http1test.Got) { c.Close() })
	m := carried("<search/>")
	m.Again = true
	if _, _, err := sendIt(t, s, m, far.URL()); !roc.IsRefused(err, roc.AMCBadAnswer) {
		t.Errorf("refused as %v", err)
	}
	if n := len(far.Received()); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// closedPort is an address that refuses connections.
func closedPort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestWhatNeverLeftGoesToTheNextAddress(t *testing.T) {
	t.Parallel()
	_, port, _ := net.SplitHostPort(closedPort(t))
	liar := http1test.New(t) // its certificate is not for that name
	for name, first := range map[string]string{
		"connection refused": "https://" + http1test.FarName + ":" + port + "/",
		"TLS failed":         "https://other.example:" + liar.Port() + "/",
		"no such name":       "https://nowhere.invalid/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, s := http1test.New(t), newUpstream(t)
			a, rec, err := sendIt(t, s, carried("<a/>"), first, far.URL())
			if err != nil || string(a.Body.Bytes()) != http1test.OK {
				t.Fatalf("%v", err)
			}
			if rec.Target != http1test.FarName || len(far.Received()) != 1 {
				t.Errorf("target %q, %d messages", rec.Target, len(far.Received()))
			}
			if _, _, err := sendIt(t, s, carried("<a/>"), first); !roc.IsRefused(err, roc.AMCUnreachable) {
				t.Errorf("alone: %v, want amc-unreachable", err)
			}
		})
	}
}

func TestBadAnswersAreNotCarried(t *testing.T) {
	t.Parallel()
	for _, b := range []struct {
		name, answer string
	}{
		{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"},
		{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab"},
		{"a bare LF in the head", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nab"},
		{"a fold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nab"},
		{"a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n"},
		{"a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nab"},
		{"a status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nab"},
		{"switching protocols", "HTTP/1.1 101 X\r\n\r\n"},
		{"interim answers without end", strings.Repeat("HTTP/1.1 102 X\r\n\r\n", 20)},
		{"compressed although identity was asked", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab"},
		{"two types", "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nab"},
		{"a head too large", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxAnswerHead) + "\r\n\r\n"},
		{"too many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", maxAnswerFields+1) + "\r\n"},
		{"too large, length stated", "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + strings.Repeat("a", 1001)},
		{"too large, in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + strings.Repeat("a", 1001) + "\r\n0\r\n\r\n"},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.AnswerBytes = 1000 })
			far.Says(b.answer)
			a, _, err := sendIt(t, s, carried("<a/>"), far.URL())
			if !roc.IsRefused(err, roc.AMCBadAnswer) || a.Body.Len() > 0 {
				t.Errorf("%v, %s; want amc-bad-answer", err, a.Body)
			}
			if far.Says(http1test.Raw(200, "<ok/>")); len(far.Received()) != 1 {
				t.Errorf("received %d times", len(far.Received()))
			}
		})
	}
}

func TestSoundAnswersArriveAsTheyCame(t *testing.T) {
	t.Parallel()
	for _, g := range []struct {
		name, answer, body string
		status             int
	}{
		{"with a length", http1test.Raw(200, "<ok/>"), "<ok/>", 200},
		{"a fault", http1test.Raw(500, "<fault/>"), "<fault/>", 500},
		{"a page of a gateway", "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno", "no", 503},
		{"in chunks with a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\n<a\r\n2\r\n/>\r\n0\r\nX: y\r\n\r\n", "<a/>", 200},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n<a/>", "<a/>", 200},
		{"after interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + http1test.Raw(200, "<ok/>"), "<ok/>", 200},
		{"no reason phrase", "HTTP/1.1 200\r\nContent-Length: 4\r\n\r\n<a/>", "<a/>", 200},
		{"empty", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "", 202},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", "", 204},
		{"HTTP/1.2, taken as 1.1", "HTTP/1.2 200 OK\r\nContent-Length: 4\r\n\r\n<a/>", "<a/>", 200},
		{"a head of 32 KiB and 128 fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("a", 240)+"\r\n", 127) + "Content-Length: 4\r\n\r\n<a/>", "<a/>", 200},
		{"bytes that are no text", http1test.Raw(200, "\x00\xff\r\n\r\nHTTP/1.1 200 OK"), "\x00\xff\r\n\r\nHTTP/1.1 200 OK", 200},
	} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			far, s := http1test.New(t), newUpstream(t)
			far.Says(g.answer)
			a, rec, err := sendIt(t, s, carried("<a/>"), far.URL())
			if err != nil || a.Status != g.status || string(a.Body.Bytes()) != g.body {
				t.Errorf("status %d, %d bytes, %v", a.Status, a.Body.Len(), err)
			}
			if rec.RequestOut.IsZero() || rec.AnswerIn.Before(rec.RequestOut) || rec.AMC <= 0 {
				t.Errorf("instants: %v %v %v", rec.RequestOut, rec.AnswerIn, rec.AMC)
			}
		})
	}
}

func TestASilentInsurerIsGivenUpAtTheDeadline(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t)
	for name, script := range map[string]func(c net.Conn){
		"says nothing":      func(net.Conn) {},
		"stops in the body": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<") },
	} {
		far.Says(http1test.Raw(200, "<ok/>")) // a connection is there: only the answer is waited for
		if _, _, err := sendIt(t, s, carried("<first/>"), far.URL()); err != nil {
			t.Fatal(err)
		}
		quiet := make(chan struct{})
		far.Does(func(c net.Conn, _ http1test.Got) { script(c); <-quiet })
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := s.Send(ctx, new(roc.Record), []string{far.URL()}, carried("<a/>"))
		if !roc.IsRefused(err, roc.AMCSilent) {
			t.Errorf("%s: %v, want amc-silent", name, err)
		}
		cancel()
		close(quiet)
	}
	over, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	before := len(far.Received())
	_, err := s.Send(over, new(roc.Record), []string{far.URL()}, carried("<a/>"))
	if r := roc.RefusalOf(err); r.Reason != roc.AMCSilent || r.CauseCode != roc.DeadlineBefore || r.Meaning().Responsable != roc.ByRPN {
		t.Errorf("past the deadline: %v %q", err, r.CauseCode)
	}
	if len(far.Received()) != before {
		t.Error("sent past the deadline")
	}
}

// In TLS 1.3 the far end refuses our certificate after our first bytes: that
// is a connection that failed, not an answer that is bad.
func TestACertificateRefusedAfterTheHandshakeIsUnreachable(t *testing.T) {
	t.Parallel()
	w := http1test.Certs()
	far, s := http1test.New(t), newUpstream(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{w.Far.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.PKI.Pool(igc.AMCSignature), // not ours
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake()
			io.Copy(io.Discard, c.(*tls.Conn).NetConn()) // until the peer has read the alert
			c.Close()
		}
	})
	defer wg.Wait()
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	if _, _, err := sendIt(t, s, carried("<a/>"), "https://"+http1test.FarName+":"+port+"/", far.URL()); !roc.IsRefused(err, roc.AMCUnreachable) {
		t.Errorf("%v, want amc-unreachable", err)
	}
}

func TestAForbiddenAddressIsNotDialed(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.Egress.Allow = nil })
	_, _, err := sendIt(t, s, carried("<a/>"), far.URL())
	if !roc.IsRefused(err, roc.AnnuaireRefused) || !errors.Is(err, egress.ErrForbidden) {
		t.Errorf("%v, want annuaire-refused", err)
	}
	if far.Accepted.Load() != 0 {
		t.Error("the address was dialed")
	}
}

func TestConnectionsToOneHostAreBounded(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.MaxConns = 2 })
	wait := make(chan struct{})
	far.Does(func(c net.Conn, r http1test.Got) { <-wait; http1test.AnswerOK(c, r) })
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, _, err := sendIt(t, s, carried("<a/>"), far.URL()); err != nil {
				t.Error(err)
			}
		})
	}
	await.Until(t, "both messages have come", func() bool { return len(far.Received()) == 2 })
	_, _, err := sendIt(t, s, carried("<a/>"), far.URL())
	if r := roc.RefusalOf(err); r.Reason != roc.Overloaded || r.RetryAfter == 0 {
		t.Errorf("a third at once: %v, want overloaded", err)
	}
	close(wait)
	wg.Wait()
}

func TestPoolsAreBounded(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.Hosts = 3 })
	var w sync.WaitGroup
	for i := range 20 {
		w.Go(func() {
			for range 5 {
				u := fmt.Sprintf("https://%s:%s/%d", http1test.FarName, far.Port(), i)
				if i%2 == 0 {
					u = fmt.Sprintf("https://h%d.example:%s/", i, far.Port())
				}
				sendIt(t, s, carried("<a/>"), u)
			}
		})
	}
	w.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pools) > 3 || len(s.targets) > 12 {
		t.Errorf("%d pools and %d targets are kept, want at most 3 and 12", len(s.pools), len(s.targets))
	}
}

// A host may lose its place while an exchange with it is under way: its
// connection, which nothing would look after any more, ends with the exchange.
func TestAConnectionToAHostThatLostItsPlaceIsClosed(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t, func(o *UpstreamOptions) { o.Hosts = 1 })
	proceed := make(chan struct{})
	far.Does(func(c net.Conn, r http1test.Got) { <-proceed; http1test.AnswerOK(c, r) })
	answered := make(chan error, 1)
	go func() {
		_, _, err := sendIt(t, s, carried("<a/>"), far.URL())
		answered <- err
	}()
	await.Until(t, "the message has come", func() bool { return len(far.Received()) == 1 })
	sendIt(t, s, carried("<a/>"), fmt.Sprintf("https://other.example:%s/", far.Port()))
	close(proceed)
	if err := await.Next(t, "an answer", answered); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) != 0 {
		t.Errorf("%d connections are open, to a host that has no place", len(s.conns))
	}
}

func TestAURLThatIsNoHTTPSAddressIsRefused(t *testing.T) {
	t.Parallel()
	s := newUpstream(t)
	for _, u := range []string{"http://roc.rhone.example/", "https:///x", "https://user@roc.rhone.example/", "roc.rhone.example", "https:roc", "https://a b/", ""} {
		if _, _, err := sendIt(t, s, carried("<a/>"), u); !roc.IsRefused(err, roc.AnnuaireRefused) {
			t.Errorf("%q: %v, want annuaire-refused", u, err)
		}
	}
}
