package app

import (
	"fmt"
	"net"
	"strconv"

	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// openMail prepares what sends the weekly files. Nothing of an exchange waits
// for it, and a server that is away is tried again.
func (a *App) openMail() error {
	c := &a.config.Mail
	if !c.Sent() || a.figures == nil {
		return nil
	}
	smtp, err := a.smtpOptions()
	if err != nil {
		return err
	}
	a.mailer = mail.New(mail.Options{
		Open: a.openStore, Reached: a.figures.Reached,
		Recipients: a.recipients, Name: a.nameOfAMC, Supervision: c.Supervision,
		Host: a.mailDomain(), Compose: a.watcher.Compose(), Send: mail.NewSMTP(smtp), Log: a.log, Now: a.now,
	})
	return nil
}

// smtpOptions are how the server of the mails is reached.
func (a *App) smtpOptions() (smtp mail.SMTPOptions, err error) {
	c := &a.config.Mail
	host, text, err := net.SplitHostPort(c.Server)
	port, also := strconv.Atoi(text)
	if err != nil || also != nil {
		return smtp, setup(fmt.Errorf("%s: mail.server: %q", a.config.File(), c.Server), "write it like smtp.example:587")
	}
	smtp = mail.SMTPOptions{Host: host, Port: port, From: c.From, User: c.User, Password: c.Password(), Dial: a.written().DialContext}
	return smtp, a.readPool(&smtp.Roots, "mail.ca", c.CA, "give the authorities of the mail server, in PEM")
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
