package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	gomail "github.com/wneessen/go-mail"
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

// sendingTime bounds each step of a conversation with the server.
const sendingTime = 30 * time.Second

// NewSMTP returns what sends a message by a server. STARTTLS is mandatory and
// the name of the server is verified: a server without it is given no message.
func NewSMTP(o SMTPOptions) func(context.Context, *Message) error {
	return func(ctx context.Context, m *Message) error {
		options := []gomail.Option{
			gomail.WithPort(o.Port), gomail.WithTimeout(sendingTime), gomail.WithTLSPolicy(gomail.TLSMandatory),
			gomail.WithTLSConfig(&tls.Config{ServerName: o.Host, RootCAs: o.Roots, MinVersion: tls.VersionTLS12}),
			gomail.WithDialContextFunc(o.Dial),
		}
		if o.User != "" {
			options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(o.User), gomail.WithPassword(o.Password))
		}
		client, err := gomail.NewClient(o.Host, options...)
		if err != nil {
			return err
		}
		msg, err := written(o.From, m)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if err := client.DialWithContext(ctx); err != nil {
			return err
		}
		defer client.Close() // what it says no longer matters
		return outcome(client.Send(msg))
	}
}

// outcome says what an error of the library means for the message.
func outcome(err error) error {
	var e *gomail.SendError
	if !errors.As(err, &e) {
		return err
	}
	switch code := e.ErrorCode(); {
	case e.Reason == gomail.ErrSMTPReset: // after the message was taken
		return nil
	case e.Reason == gomail.ErrSMTPDataClose && code == 0: // all was said, nothing was heard
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	case code >= 500:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// written is a message as the library writes it.
func written(from string, m *Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if err := errors.Join(msg.From(from), msg.To(m.To...)); err != nil {
		return nil, err
	}
	if len(m.Cc) > 0 {
		if err := msg.Cc(m.Cc...); err != nil {
			return nil, err
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
	return msg, nil
}
