package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// SMTPOptions say which server takes the mails.
type SMTPOptions struct {
	Host     string
	Port     int
	From     string
	User     string         // "": none
	Password string         //
	Roots    *x509.CertPool // nil: those of the system
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// How long the server may take (RFC 5321, 4.5.3.2, but for what comes before
// the message, which may begin again elsewhere). Together they are less than
// store.ClaimEnds before the message and store.SendingEnds from there on.
const (
	connectTime = 30 * time.Second
	stepTime    = time.Minute      // of each reply before the message
	beforeTime  = 10 * time.Minute // of all of them
	messageTime = 10 * time.Minute // to take the message
	endTime     = 10 * time.Minute // to reply to its end
	stopTime    = 2 * time.Second  // the same, once the process stops
)

// NewSMTP returns what sends a message by a server. STARTTLS is mandatory and
// the name of the server is verified: a server without it is given no message.
func NewSMTP(o SMTPOptions) Send {
	return func(ctx context.Context, m *Message, begin func() error) (Outcome, error) {
		text, err := written(o.From, m)
		if err != nil {
			return Outcome{}, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		dialling, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		conn, err := o.Dial(dialling, "tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
		if err != nil {
			return Outcome{}, err
		}
		conn = &bounded{conn, mostHeard}
		c := &conversation{o: &o, conn: conn, last: time.Now().Add(beforeTime)}
		defer conn.Close()
		defer context.AfterFunc(ctx, c.stop)() // a slow server keeps no process from stopping
		return c.send(m, text, begin)
	}
}

// mostHeard is how much a server may say in one conversation: the part before
// TLS may be a stranger's.
const mostHeard = 1 << 20

// A bounded connection reads no more than that.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the server says too much")
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// A conversation is one connection to the server.
type conversation struct {
	o      *SMTPOptions
	conn   net.Conn
	client *smtp.Client
	last   time.Time // of all before the message

	mu      sync.Mutex
	stopped bool
	ended   bool // the end of the message was written
}

var errStopped = errors.New("the process stops")

// stop ends the conversation, but for the reply to a message that was written to
// its end: that one is waited for a moment, since without it nobody knows.
func (c *conversation) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.ended {
		c.conn.SetDeadline(time.Now().Add(stopTime)) // when it fails, so does the reading
		return
	}
	c.conn.Close()
}

// within bounds what comes next.
func (c *conversation) within(d time.Duration, ended bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errStopped
	}
	c.ended = ended
	return c.conn.SetDeadline(time.Now().Add(d))
}

// step does one step before the message.
func (c *conversation) step(name string, do func() error) error {
	if err := c.within(min(stepTime, time.Until(c.last)), false); err != nil {
		return err
	}
	return replied(name, do())
}

func (c *conversation) send(m *Message, text []byte, begin func() error) (out Outcome, err error) {
	if err := c.open(m); err != nil {
		return Outcome{}, err
	}
	taken := 0
	for _, a := range m.addresses() {
		err := c.step("RCPT", func() error { return c.client.Rcpt("<" + a + ">") })
		var reply *Reply
		switch {
		case err == nil:
			taken++
			out.Taken = append(out.Taken, a)
		case !errors.As(err, &reply):
			return Outcome{}, err
		case reply.nobody():
			out.Refused = append(out.Refused, Refusal{a, reply})
		default:
			out.Deferred = append(out.Deferred, Refusal{a, reply})
		}
	}
	if taken == 0 {
		c.quit()
		return out, nil
	}
	if err := begin(); err != nil {
		return Outcome{}, err
	}
	if err := c.message(text); err != nil {
		return Outcome{}, err
	}
	c.quit()
	return out, nil
}

// open says who we are and who writes, up to MAIL. What the server has against
// that is nothing against the message.
func (c *conversation) open(m *Message) error {
	_, domain, _ := strings.Cut(c.o.From, "@")
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"greeting", func() (err error) { c.client, err = smtp.NewClient(c.conn, c.o.Host); return err }},
		{"EHLO", func() error { return c.client.Hello(domain) }},
		{"STARTTLS", func() error {
			if there, _ := c.client.Extension("STARTTLS"); !there {
				return errors.New("the server offers none")
			}
			return c.client.StartTLS(&tls.Config{ServerName: c.o.Host, RootCAs: c.o.Roots, MinVersion: tls.VersionTLS12})
		}},
		{"AUTH", c.authenticate},
		{"MAIL", func() error {
			c.client.SkipSMTPUTF8(isASCII(c.o.From) && isASCII(strings.Join(m.addresses(), "")))
			return c.client.Mail("<" + c.o.From + ">")
		}},
	} {
		if err := c.step(s.name, s.do); err != nil {
			return err
		}
	}
	return nil
}

// authenticate gives the password in the safest way that the server knows.
func (c *conversation) authenticate() error {
	if c.o.User == "" {
		return nil
	}
	_, ways := c.client.Extension("AUTH")
	state, err := c.client.GetTLSConnectionState()
	if err != nil {
		return err
	}
	for _, w := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256-PLUS", smtp.ScramSHA256PlusAuth(c.o.User, c.o.Password, state)},
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(c.o.User, c.o.Password)},
		{"PLAIN", smtp.PlainAuth("", c.o.User, c.o.Password, c.o.Host, false)},
		{"LOGIN", smtp.LoginAuth(c.o.User, c.o.Password, c.o.Host, false)},
	} {
		for offered := range strings.FieldsSeq(ways) {
			if offered == w.name {
				return c.client.Auth(w.auth)
			}
		}
	}
	return errors.New("the server offers neither SCRAM-SHA-256 nor PLAIN nor LOGIN")
}

// message sends the message itself. Until its end is written it was certainly
// not sent; without a reply to that end, nobody knows.
func (c *conversation) message(text []byte) error {
	if err := c.within(messageTime, false); err != nil {
		return err
	}
	w, err := c.client.Data()
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		return refusal(replied("DATA", err))
	}
	if err := c.within(endTime, true); err != nil {
		return err
	}
	err = refusal(replied("the end of DATA", w.Close()))
	var reply *Reply
	if err != nil && !errors.As(err, &reply) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// quit says goodbye. What it says no longer matters.
func (c *conversation) quit() {
	if c.within(stopTime, false) == nil {
		c.client.Quit()
	}
}

// A Reply is an error that the server replied. What it wrote may name an address,
// and is in no log: Error gives the code alone.
type Reply struct {
	Step string
	Code int
	Text string // as the server wrote it, on one line
}

func (r *Reply) Error() string {
	if e := r.enhanced(); e != "" {
		return fmt.Sprintf("%s: the server answers %d %s", r.Step, r.Code, e)
	}
	return fmt.Sprintf("%s: the server answers %d", r.Step, r.Code)
}

// enhanced is the code of RFC 3463, "5.1.1"; "": none.
func (r *Reply) enhanced() string {
	first, _, _ := strings.Cut(r.Text, " ")
	if len(first) < 5 || len(first) > 9 || strings.Count(first, ".") != 2 || strings.Trim(first, "0123456789.") != "" {
		return ""
	}
	return first
}

// nobody reports whether a refused address does not exist, as far as the server
// knows: trying again is of no use. Any other refusal may be of us or of the
// server (relaying denied, mailbox full, a policy), and passes once mended.
func (r *Reply) nobody() bool {
	if e := r.enhanced(); e != "" && !strings.HasPrefix(e, "5.1.") && e != "5.2.1" && e != "5.0.0" {
		return false
	}
	return r.Code == 550 || r.Code == 551 || r.Code == 553
}

// replied makes a Reply of what the server replied; other errors bear the step.
func replied(step string, err error) error {
	var e *textproto.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		text := strings.Join(strings.Fields(strings.ToValidUTF8(e.Msg, "")), " ")
		return &Reply{step, e.Code, text[:min(len(text), 300)]}
	}
	return fmt.Errorf("%s: %w", step, err)
}

// refusal says that a reply of 5xx to the message refuses it for good.
func refusal(err error) error {
	var reply *Reply
	if errors.As(err, &reply) && reply.Code >= 500 {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// written is a message as the library writes it.
func written(from string, m *Message) ([]byte, error) {
	msg := gomail.NewMsg()
	if err := errors.Join(msg.From(from), msg.To(m.To...)); err != nil {
		return nil, errors.New("an address cannot be written") // the library's error holds it
	}
	if len(m.Cc) > 0 {
		if err := msg.Cc(m.Cc...); err != nil {
			return nil, errors.New("an address cannot be written")
		}
	}
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date)
	msg.Subject(m.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answer of a machine
	msg.SetBodyString(gomail.TypeTextPlain, m.Body)
	for _, a := range m.Attached {
		if err := msg.AttachReader(a.Name, bytes.NewReader(a.Content), gomail.WithFileContentType("text/csv; charset=utf-8")); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
