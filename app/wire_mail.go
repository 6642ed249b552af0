package app

import (
	"fmt"
	"net"
	"strconv"

	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// openMail prepares what sends the weekly files. Nothing of an exchange waits
// for it, and a server that is away is tried again.
func (a *App) openMail() error {
	c := &a.config.Mail
	if !c.Sent() || a.figures == nil {
		return nil
	}
	host, text, err := net.SplitHostPort(c.Server)
	port, also := strconv.Atoi(text)
	if err != nil || also != nil {
		return setup(fmt.Errorf("%s: mail.server: %q", a.config.File(), c.Server), "write it like smtp.example:587")
	}
	smtp := mail.SMTPOptions{Host: host, Port: port, From: c.From, User: c.User, Password: c.Password(), Dial: a.written().DialContext}
	if c.CA != "" {
		if smtp.Roots, err = trust.ReadPool(c.CA); err != nil {
			return setup(fmt.Errorf("%s: mail.ca: %w", a.config.File(), err), "give the authorities of the mail server, in PEM")
		}
	}
	a.mailer = mail.New(mail.Options{
		Open: a.openStore, Reached: a.figures.Reached,
		Recipients: a.recipients, Name: a.nameOfAMC, Supervision: c.Supervision,
		Host: a.mailDomain(), Compose: a.watcher.Compose(), Send: mail.NewSMTP(smtp), Log: a.log, Now: a.now,
	})
	return nil
}

// mailStats are the metrics of the outbox; false: there is none, or it was not
// read yet.
func (a *App) mailStats() (live.MailStats, bool) {
	if a.watcher == nil {
		return live.MailStats{}, false
	}
	s, read := a.watcher.OutboxState()
	return live.MailStats{Waiting: s.Waiting, Doubted: s.Doubted, Undelivered: s.Undelivered, Oldest: s.Oldest}, read
}

// recipients are the establishments of the register that are not closed, with
// the addresses of their contacts.
func (a *App) recipients() (list []mail.Recipient) {
	for es := range a.register.Current().Etablissements() {
		if es.Etat == register.Clos {
			continue
		}
		r := mail.Recipient{Structure: es.Structure, Others: es.IDs()[1:], Name: es.Nom}
		for _, c := range es.Contacts {
			if c.Courriel != "" {
				r.Addresses = append(r.Addresses, c.Courriel)
			}
		}
		list = append(list, r)
	}
	return list
}

func (a *App) nameOfAMC(n roc.NumeroAMC) string {
	if amc, ok := a.register.Current().AMC(n); ok {
		return amc.Nom
	}
	return ""
}
