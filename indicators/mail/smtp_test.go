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
	"time"

	"github.com/piano-roc/rpn/indicators/mail/mailtest"
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
	if err := NewSMTP(o)(t.Context(), sent); err != nil {
		t.Fatal(err)
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

// Without TLS, or with a server that is not the one named, nothing is sent; and
// each failure says what may be done.
func TestWhatIsNotSent(t *testing.T) {
	t.Parallel()
	plain, inClear := office(t, false)
	if err := NewSMTP(plain)(t.Context(), letter("dsi@chu.example")); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrRefused) {
		t.Errorf("without TLS: %v", err)
	}
	o, postman := office(t, true)
	other := o
	other.Host = "smtp.example"
	if err := NewSMTP(other)(t.Context(), letter("dsi@chu.example")); err == nil {
		t.Error("a server of another name is believed")
	}
	stranger := o
	stranger.Roots = x509.NewCertPool()
	if err := NewSMTP(stranger)(t.Context(), letter("dsi@chu.example")); err == nil {
		t.Error("a server of an unknown authority is believed")
	}
	if err := NewSMTP(o)(t.Context(), letter("nobody@chu.example")); !errors.Is(err, ErrRefused) {
		t.Errorf("an address that is refused: %v", err)
	}
	if err := NewSMTP(o)(t.Context(), letter("later@chu.example")); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrRefused) {
		t.Errorf("an address that is refused for now: %v", err)
	}
	if all := append(inClear.Taken(t), postman.Taken(t)...); len(all) != 0 {
		t.Errorf("taken all the same: %+v", all)
	}
}

// A server that goes away once it has everything may have taken the message.
func TestAServerThatGoesAwayLeavesADoubt(t *testing.T) {
	t.Parallel()
	o, _ := office(t, true)
	dial := o.Dial
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		return &deaf{Conn: c}, err
	}
	big := letter("dsi@chu.example")
	big.Attached[0].Content = make([]byte, 1<<20) // after so much, only the end is left
	if err := NewSMTP(o)(t.Context(), big); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
}

// A deaf connection hears nothing any more once much was said.
type deaf struct {
	net.Conn
	said int
}

func (d *deaf) Write(b []byte) (int, error) {
	d.said += len(b)
	return d.Conn.Write(b)
}

func (d *deaf) Read(b []byte) (int, error) {
	if d.said > 1<<20 {
		d.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return d.Conn.Read(b)
}
