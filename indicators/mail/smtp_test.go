package mail

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piano-roc/rpn/indicators/mail/mailtest"
	"github.com/piano-roc/rpn/indicators/store"
)

// office starts a postman.
func office(t *testing.T, withTLS bool) (SMTPOptions, *mailtest.Postman) {
	t.Helper()
	p := mailtest.Start(t, withTLS)
	return SMTPOptions{Host: "localhost", Port: p.Port, From: "rpn@rpn.example", Roots: p.Roots(), Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(address)
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}}, p
}

func letter(to ...string) *Message {
	return &Message{ID: "010003812.2026-S47@rpn.example", To: to, Cc: []string{"supervision@ans.example"}, Subject: "Activité", Body: "Bonjour,\n", Date: time.Now(),
		Attached: []Attachment{{"activite.csv", []byte("\uFEFFa;b\r\n1;é\r\n")}, {"anomalies.csv", []byte("c\r\n")}, {"temps.csv", []byte("d\r\n")}}}
}

// A real server takes the message by TLS, with its three files as they are.
func TestAServerTakesTheMessage(t *testing.T) {
	t.Parallel()
	o, postman := office(t, true)
	sent := letter("dsi@chu.example", "facturation@chu.example")
	began := 0
	out, err := NewSMTP(o)(t.Context(), sent, func() error { began++; return nil })
	if err != nil || began != 1 || len(out.Taken) != 3 || len(out.Refused)+len(out.Deferred) != 0 {
		t.Fatal(out, err, began)
	}
	all := postman.Taken(t)
	if len(all) != 1 || !all[0].TLS || all[0].From != "rpn@rpn.example" || strings.Join(all[0].To, " ") != "dsi@chu.example facturation@chu.example supervision@ans.example" {
		t.Fatalf("the server took %+v", all)
	}
	m, err := mail.ReadMessage(strings.NewReader(all[0].Text))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Header.Get("Message-ID"); got != "<"+sent.ID+">" {
		t.Errorf("Message-ID %s", got)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = p
		switch strings.ToLower(p.Header.Get("Content-Transfer-Encoding")) {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, p)
		case "quoted-printable":
			body = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		files[p.FileName()] = string(b)
	}
	for _, a := range sent.Attached {
		if files[a.Name] != string(a.Content) {
			t.Errorf("%s is %q, want %q", a.Name, files[a.Name], a.Content)
		}
	}
}

// try sends a message to the server of o; begun reports whether it was about to be
// given to it.
func try(t *testing.T, o SMTPOptions, m *Message) (out Outcome, begun bool, err error) {
	t.Helper()
	out, err = NewSMTP(o)(t.Context(), m, func() error { begun = true; return nil })
	return out, begun, err
}

// Without TLS, with a server that is not the one named, with one that greets with
// an error, that refuses us or our password, nothing is sent, and the letter is
// tried again: what is wrong there is not wrong with the letter.
func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	o, postman := office(t, true)
	plain, inClear := office(t, false)
	other, stranger, banned, unknown, closed := o, o, o, o, o
	other.Host = "smtp.example"
	stranger.Roots = x509.NewCertPool()
	banned.From = "banned@rpn.example"
	unknown.User, unknown.Password = "rpn", "another password"
	closed.Dial = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { io.WriteString(there, "554 5.3.2 closed\r\n"); there.Close() }()
		return here, nil
	}
	for name, c := range map[string]SMTPOptions{"without TLS": plain, "a server of another name": other, "an unknown authority": stranger,
		"a sender that is refused": banned, "a password that is refused": unknown, "a greeting of 554": closed} {
		out, begun, err := try(t, c, letter("dsi@chu.example"))
		if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrRefused) || begun || len(out.Taken)+len(out.Refused) != 0 {
			t.Errorf("%s: %+v, %v, begun: %v", name, out, err, begun)
		}
	}
	if all := append(inClear.Taken(t), postman.Taken(t)...); len(all) != 0 {
		t.Errorf("taken all the same: %+v", all)
	}
}

// Whom the server refuses, for good or for now, does not keep the others from
// having the letter. Only an address that does not exist is refused for good.
func TestTheOthersHaveTheLetter(t *testing.T) {
	t.Parallel()
	o, postman := office(t, true)
	out, begun, err := try(t, o, letter("nobody@chu.example", "dsi@chu.example", "later@chu.example", "relay@chu.example"))
	if err != nil || !begun || strings.Join(out.Taken, " ") != "dsi@chu.example supervision@ans.example" || len(out.Refused) != 1 || len(out.Deferred) != 2 || out.Refused[0].Address != "nobody@chu.example" {
		t.Fatalf("%+v, %v", out, err)
	}
	// What a server writes may name an address: no error shows it, a log neither.
	if text := out.Refused[0].Reply.Error(); strings.Contains(text, "@") || !strings.Contains(text, "550 5.1.1") {
		t.Errorf("the error is %q", text)
	}
	if m := postman.Next(t); strings.Join(m.To, " ") != "dsi@chu.example supervision@ans.example" {
		t.Errorf("the server took it for %v", m.To)
	}
	// With nobody left, nothing is given to the server.
	nobody := letter("nobody@chu.example")
	nobody.Cc = nil
	if out, begun, err := try(t, o, nobody); err != nil || begun || len(out.Refused) != 1 {
		t.Errorf("%+v, %v, begun: %v", out, err, begun)
	}
	if _, _, err := try(t, o, letter("spam@chu.example")); !errors.Is(err, ErrRefused) {
		t.Errorf("a message that is refused: %v", err)
	}
	if _, err := NewSMTP(o)(t.Context(), letter("dsi@chu.example"), func() error { return errors.New("claim lost") }); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrRefused) {
		t.Errorf("a letter that another instance has: %v", err)
	}
	if all := postman.Taken(t); len(all) != 0 {
		t.Errorf("taken all the same: %+v", all)
	}
}

// A password is given by TLS, and the server knows us.
func TestAServerThatKnowsUs(t *testing.T) {
	t.Parallel()
	o, postman := office(t, true)
	o.User, o.Password = "rpn", "the password"
	if _, _, err := try(t, o, letter("dsi@chu.example")); err != nil {
		t.Fatal(err)
	}
	if m := postman.Next(t); m.User != "rpn" || !m.TLS {
		t.Errorf("it knows %q, TLS: %v", m.User, m.TLS)
	}
}

// The stop of the process does not wait for a slow server: before the message is
// given nothing was sent; without a reply to its end nobody knows.
func TestAStopDoesNotWaitForTheServer(t *testing.T) {
	t.Parallel()
	o, postman := office(t, true)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := NewSMTP(o)(ctx, letter("slow@chu.example"), func() error { return nil })
		done <- err
	}()
	postman.Next(t) // it has the whole message, and says nothing
	stop()
	if err := <-done; !errors.Is(err, ErrUnknown) {
		t.Errorf("after the end: %v", err)
	}
	mute := o
	reached := make(chan struct{})
	mute.Dial = func(context.Context, string, string) (net.Conn, error) {
		here, _ := net.Pipe() // no greeting ever
		close(reached)
		return here, nil
	}
	ctx, stop = context.WithCancel(t.Context())
	go func() {
		_, err := NewSMTP(mute)(ctx, letter("dsi@chu.example"), func() error { return nil })
		done <- err
	}()
	<-reached
	stop()
	if err := <-done; err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrRefused) {
		t.Errorf("before it: %v", err)
	}
}

// A server has ten minutes for its reply to the end of a message, and one for any
// other; and the outbox waits longer than that.
func TestTheTimeOfAServer(t *testing.T) {
	t.Parallel()
	if endTime < 10*time.Minute || stepTime >= endTime {
		t.Errorf("%s for the end of a message, %s for the rest (RFC 5321, 4.5.3.2)", endTime, stepTime)
	}
	if connectTime+beforeTime >= store.ClaimEnds || messageTime+endTime+stopTime >= store.SendingEnds {
		t.Errorf("the outbox gives a letter up that is being sent")
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o := SMTPOptions{Host: "localhost", Port: 25, From: "rpn@rpn.example", Dial: func(context.Context, string, string) (net.Conn, error) {
			here, _ := net.Pipe()
			return here, nil
		}}
		if _, err := NewSMTP(o)(t.Context(), letter("dsi@chu.example"), nil); err == nil || time.Since(began) != stepTime {
			t.Errorf("a mute server: %v after %s", err, time.Since(began))
		}
	})
}

// A server that goes away once it has everything may have taken the message; one
// that goes away before has not.
func TestAServerThatGoesAwayLeavesADoubt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size int
		want bool
	}{{1 << 20, true}, {16 << 20, false}} { // after so much, only the end is left; or the greater part
		o, _ := office(t, true)
		dial := o.Dial
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return &deaf{Conn: conn, early: !c.want}, err
		}
		big := letter("dsi@chu.example")
		big.Attached[0].Content = make([]byte, c.size)
		if _, _, err := try(t, o, big); err == nil || errors.Is(err, ErrUnknown) != c.want {
			t.Errorf("%d bytes: %v", c.size, err)
		}
	}
}

// A deaf connection hears nothing any more once much was said.
type deaf struct {
	net.Conn
	said  int
	early bool // it is gone by then
}

func (d *deaf) Write(b []byte) (int, error) {
	d.said += len(b)
	if d.early && d.said > 1<<20 {
		d.Conn.Close()
	}
	return d.Conn.Write(b)
}

func (d *deaf) Read(b []byte) (int, error) {
	if d.said > 1<<20 {
		d.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return d.Conn.Read(b)
}
