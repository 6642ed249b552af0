package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// exchanges of the test below: RPN_CROSSED=10000 plays it in full.
func crossedExchanges() int {
	if n, err := strconv.Atoi(os.Getenv("RPN_CROSSED")); err == nil {
		return n
	}
	return 600
}

// An insurer that answers twice, the second time after 0 to 150 ms, never hands
// one establishment's answer to another.
func TestAnInsurerThatAnswersTwiceCrossesNobody(t *testing.T) {
	t.Parallel()
	far := http1test.New(t)
	var late sync.WaitGroup
	var writing sync.Map // net.Conn -> *sync.Mutex
	far.Does(func(c net.Conn, r http1test.Got) {
		v, _ := writing.LoadOrStore(c, new(sync.Mutex))
		mu := v.(*sync.Mutex)
		answer := http1test.Raw(200, r.Header.Get("RPN-Structure"))
		mu.Lock()
		io.WriteString(c, answer)
		mu.Unlock()
		late.Go(func() {
			time.Sleep(time.Duration(rand.IntN(151)) * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			io.WriteString(c, answer)
		})
	})
	var told atomic.Int32
	s := newUpstream(t, func(o *UpstreamOptions) { o.OnUnsolicited = func(string) { told.Add(1) } })
	const establishments = 20
	var crossed, failed atomic.Int32
	var all sync.WaitGroup
	for e := range establishments {
		all.Go(func() {
			who := roc.StructureID(fmt.Sprintf("10100%05d", e))
			for range crossedExchanges() / establishments {
				m := carried("<a/>")
				m.Structure = who
				switch a, _, err := sendIt(t, s, m, far.URL()); {
				case err != nil:
					failed.Add(1) // the insurer misbehaves: a refusal, never another's answer
				case string(a.Body.Bytes()) != string(who):
					crossed.Add(1)
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	late.Wait()
	if crossed.Load() != 0 {
		t.Errorf("%d answers went to another establishment", crossed.Load())
	}
	if told.Load() == 0 {
		t.Error("nobody was told of the bytes that answer nothing")
	}
	t.Logf("%d exchanges, %d refused, %d connections, told %d times", crossedExchanges(), failed.Load(), far.Accepted.Load(), told.Load())
}

// What a connection may serve: its last establishment at once, another one
// after the rest.
func TestAConnectionRestsBeforeItServesAnother(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	p := &pool{up: NewUpstream(UpstreamOptions{MaxConns: 2, DialTimeout: time.Second, AnswerBytes: 1 << 10})}
	take := func(who roc.StructureID, at time.Duration) (*upstreamConn, error) {
		c, _, err := p.take(who, now.Add(at))
		return c, err
	}
	c := &upstreamConn{made: now}
	if got, err := take("a", 0); got != nil || err != nil {
		t.Fatalf("an empty pool gave %v, %v", got, err)
	}
	p.put(c, "a", now)
	if got, _ := take("b", 199*time.Millisecond); got != nil {
		t.Fatal("another establishment had it before the rest")
	}
	p.lost() // what take made room for
	if got, _ := take("a", time.Millisecond); got != c {
		t.Fatal("its own establishment did not have it at once")
	}
	p.put(c, "a", now)
	if got, _ := take("b", 200*time.Millisecond); got != c {
		t.Fatal("another establishment did not have it after the rest")
	}
	if _, err := take("c", time.Second); err != nil {
		t.Fatalf("a second place: %v", err)
	}
	if _, err := take("d", time.Second); err != errAllBusy {
		t.Fatalf("a third connection: %v, want all busy", err)
	}
}

// A host that sent what it was not asked has a connection an establishment, for
// an hour, however long one has rested.
func TestAHostThatIsDistrustedHasAConnectionAnEstablishment(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	p := &pool{up: NewUpstream(UpstreamOptions{MaxConns: 100, DialTimeout: time.Second, AnswerBytes: 1 << 10})}
	p.distrust(now)
	for at, given := range map[time.Duration]bool{time.Second: false, keepApart - time.Second: false, keepApart: true} {
		c := &upstreamConn{made: now.Add(at - time.Second)}
		p.put(c, "a", c.made)
		if got, _, _ := p.take("b", now.Add(at)); (got == c) != given {
			t.Errorf("after %v: given %t", at, got == c)
		}
		if got, _, _ := p.take("a", now.Add(at)); (got == c) == given {
			t.Errorf("after %v: its own establishment has it: %t", at, got == c)
		}
		p.empty()
	}
}

// A byte that answers nothing ends every idle connection to that host, though
// nobody is about to use one.
func TestAnUnsolicitedByteEndsEveryIdleConnection(t *testing.T) {
	t.Parallel()
	far := http1test.New(t)
	var mu sync.Mutex
	var conns []net.Conn
	both := make(chan struct{})
	far.Does(func(c net.Conn, r http1test.Got) {
		mu.Lock()
		conns = append(conns, c)
		if len(conns) == 2 {
			close(both)
		}
		mu.Unlock()
		<-both
		http1test.AnswerOK(c, r)
	})
	told := make(chan string, 10)
	s := newUpstream(t, func(o *UpstreamOptions) { o.OnUnsolicited = func(host string) { told <- host } })
	var sent sync.WaitGroup
	for range 2 {
		sent.Go(func() { sendIt(t, s, carried("<a/>"), far.URL()) })
	}
	sent.Wait()
	mu.Lock()
	io.WriteString(conns[0], "x")
	mu.Unlock()
	if host := await.Next(t, "somebody is told", told); host != http1test.FarName {
		t.Errorf("told of %q", host)
	}
	await.Until(t, "every connection is dropped", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) == 0 })
}

// What was read beyond the last answer is seen by the look before the next use,
// whoever put the connection back: nothing of it is left in the socket.
func TestTheLookSeesUnsolicitedBytesThatWereRead(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := &upstreamConn{Conn: tls.Client(near, &tls.Config{}), raw: near, in: wire{buf: []byte("HTTP"), w: 4}}
	if got := c.look(); got != unsolicited {
		t.Errorf("the look says %d, want %d", got, unsolicited)
	}
}

// A 408 before an idle connection is closed answers nothing, and is no fault.
func TestAnIdle408IsNoUnsolicitedAnswer(t *testing.T) {
	t.Parallel()
	far := http1test.New(t)
	far.Does(func(c net.Conn, r http1test.Got) {
		http1test.AnswerOK(c, r)
		io.WriteString(c, "HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		c.Close()
	})
	s := newUpstream(t, func(o *UpstreamOptions) { o.OnUnsolicited = func(string) { t.Error("told of a 408") } })
	for range 3 {
		if _, _, err := sendIt(t, s, carried("<a/>"), far.URL()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The first address of a name refuses, or accepts and fails in TLS, or stays
// mute: no byte of the message left, so the next address is tried. The time it
// takes is in the record.
func TestTheNextAddressOfANameIsTried(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(net.Conn){
		"TLS fails":  func(c net.Conn) { io.WriteString(c, "no TLS here\r\n"); c.Close() },
		"stays mute": func(c net.Conn) { io.Copy(io.Discard, c); c.Close() },
		"resets":     func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
		"refused":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := http1test.New(t)
			ln, err := net.Listen("tcp", "127.0.0.2:"+far.Port())
			if err != nil {
				t.Fatal(err)
			}
			var served sync.WaitGroup
			if first == nil {
				ln.Close()
			} else {
				served.Go(func() {
					for {
						c, err := ln.Accept()
						if err != nil {
							return
						}
						served.Go(func() { first(c) })
					}
				})
			}
			defer served.Wait()
			defer ln.Close()
			s := newUpstream(t, func(o *UpstreamOptions) {
				o.Egress.Hosts = nil
				o.Egress.Names = egress.NewNames(egress.NamesOptions{Ask: namesOf(t, "127.0.0.2", "127.0.0.1").LookupNetIP, Now: time.Now})
				o.DialTimeout = 2 * time.Second
			})
			a, rec, err := sendIt(t, s, carried("<a/>"), far.URL())
			if err != nil || a.Status != 200 {
				t.Fatalf("%v", err)
			}
			if rec.Connect <= 0 || rec.AMC < rec.Connect || rec.Lookup <= 0 {
				t.Errorf("connect %s, amc %s, lookup %s", rec.Connect, rec.AMC, rec.Lookup)
			}
			if name == "stays mute" && rec.Connect < time.Second/2 {
				t.Errorf("%s of connecting: the mute address is not in it", rec.Connect)
			}
		})
	}
}

// Whose fault a failure is: what this machine lacks, or its resolver or network,
// is never the insurer's.
func TestWhoseFaultIsAFailure(t *testing.T) {
	t.Parallel()
	dial := func(e error) error {
		return &notSent{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", e)}}
	}
	for _, x := range []struct {
		name  string
		err   error
		cause roc.CauseCode
		whose roc.Responsable
	}{
		{"EMFILE", dial(syscall.EMFILE), roc.OutOfResources, roc.ByRPN},
		{"ENFILE", dial(syscall.ENFILE), roc.OutOfResources, roc.ByRPN},
		{"ENOMEM", dial(syscall.ENOMEM), roc.OutOfResources, roc.ByRPN},
		{"ENOBUFS", dial(syscall.ENOBUFS), roc.OutOfResources, roc.ByRPN},
		{"EADDRNOTAVAIL", dial(syscall.EADDRNOTAVAIL), roc.OutOfResources, roc.ByRPN},
		{"EACCES", dial(syscall.EACCES), roc.OutOfResources, roc.ByRPN},
		{"EPERM", dial(syscall.EPERM), roc.OutOfResources, roc.ByRPN},
		{"ENETUNREACH", dial(syscall.ENETUNREACH), roc.NoRoute, roc.ByReseau},
		{"EHOSTUNREACH", dial(syscall.EHOSTUNREACH), roc.NoRoute, roc.ByReseau},
		{"ENETDOWN", dial(syscall.ENETDOWN), roc.NoRoute, roc.ByReseau},
		{"ECONNREFUSED", dial(syscall.ECONNREFUSED), roc.ConnectionRefused, roc.ByAMC},
		{"ECONNRESET", dial(syscall.ECONNRESET), roc.ConnectionRefused, roc.ByAMC},
		{"ETIMEDOUT", dial(syscall.ETIMEDOUT), roc.ConnectTimeout, roc.ByAMC},
		{"no time left to connect", &notSent{context.DeadlineExceeded}, roc.ConnectTimeout, roc.ByAMC},
		{"a name that does not exist", &notSent{&net.DNSError{IsNotFound: true}}, roc.UnknownName, roc.ByAMC},
		{"a resolver that does not answer", &notSent{&net.DNSError{IsTimeout: true}}, roc.ResolverDown, roc.ByRPN},
		{"a resolver that fails", &notSent{&net.DNSError{IsTemporary: true}}, roc.ResolverDown, roc.ByRPN},
		{"this machine, in the middle of an answer", &net.OpError{Op: "read", Err: syscall.ENOBUFS}, roc.AnswerLostHere, roc.ByRPN},
		{"the network, in the middle of an answer", &net.OpError{Op: "read", Err: syscall.EHOSTUNREACH}, roc.AnswerLostOnTheWay, roc.ByReseau},
		{"certificates of several hosts that are not valid now", &notSent{&tlsError{errOurClock}}, roc.ClockWrong, roc.ByRPN},
		{"TLS", &notSent{&tlsError{io.ErrUnexpectedEOF}}, roc.TLSFailed, roc.ByAMC},
		{"TLS that stays mute", &notSent{&tlsError{context.DeadlineExceeded}}, roc.ConnectTimeout, roc.ByAMC},
		{"our certificate", &notSent{&tlsError{&net.OpError{Op: "remote error", Err: tls.AlertError(48)}}}, roc.OurCertificate, roc.ByAMC},
		{"all in use", &notSent{errAllBusy}, roc.AMCBusy, roc.ByRPN},
		{"a cut answer", io.ErrUnexpectedEOF, roc.AnswerCut, roc.ByAMC},
		{"a silent insurer", os.ErrDeadlineExceeded, roc.NoAnswerInTime, roc.ByAMC},
		{"an answer too large", ErrTooLarge, roc.AnswerTooLarge, roc.ByAMC},
		{"an answer that is no HTTP", bad("status-line", ""), roc.AnswerMalformed, roc.ByAMC},
	} {
		r := roc.RefusalOf(refusalOf(x.err))
		if r.CauseCode != x.cause || r.Meaning().Responsable != x.whose {
			t.Errorf("%s: %s of %s, responsable %s; want %s, %s", x.name, r.CauseCode, r.Reason, r.Meaning().Responsable, x.cause, x.whose)
		}
		if r.CauseCode.Meaning().Reason != r.Reason {
			t.Errorf("%s: cause %s is not of %s", x.name, r.CauseCode, r.Reason)
		}
	}
}

// A caller that left while we were connecting: nothing is sent.
func TestNothingIsSentForACallerWhoLeft(t *testing.T) {
	t.Parallel()
	far, s := http1test.New(t), newUpstream(t)
	m := carried("<a/>")
	m.Left = func() bool { return true }
	if _, _, err := sendIt(t, s, m, far.URL()); err != ErrCallerLeft && !neverLeft(err) {
		t.Errorf("%v, want that the caller left", err)
	}
	if n := len(far.Received()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// One insurer whose certificate is not valid at our time is at fault; several at
// once say that our clock is wrong, until one is valid again.
func TestOurClockIsInDoubtWhenSeveralCertificatesAreNotValidNow(t *testing.T) {
	t.Parallel()
	wrong := errors.New("not yet valid")
	far, o := http1test.New(t), upstreamOptions()
	handshake := o.Handshake
	o.WrongTime = func(err error) bool { return errors.Is(err, wrong) }
	o.Handshake = func(ctx context.Context, c net.Conn, name string) (*tls.Conn, error) {
		if name != http1test.FarName {
			c.Close()
			return nil, wrong
		}
		return handshake(ctx, c, name)
	}
	s := NewUpstream(o)
	defer s.Close()
	for i, step := range []struct {
		host string
		want roc.CauseCode
	}{
		{"un.example", roc.TLSFailed}, {"un.example", roc.TLSFailed}, {"deux.example", roc.ClockWrong}, {"un.example", roc.ClockWrong},
		{http1test.FarName, ""}, {"un.example", roc.TLSFailed},
	} {
		_, _, err := sendIt(t, s, carried("<a/>"), strings.Replace(far.URL(), http1test.FarName, step.host, 1))
		var got roc.CauseCode
		if err != nil {
			got = roc.RefusalOf(err).CauseCode
		}
		if got != step.want {
			t.Errorf("step %d: %q (%v), want %q", i, got, err, step.want)
		}
	}
}
