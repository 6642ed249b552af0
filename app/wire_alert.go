package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/indicators/alert"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// openAlerts prepares what tells outages of insurers. It comes before openMail,
// which sends its mails. Nothing of an exchange waits for it.
func (a *App) openAlerts() error {
	c := &a.config.Alerts
	if a.figures == nil {
		return nil
	}
	o := alert.Options{
		Open: a.openStore, Reached: a.figures.ReachedWithin, Subscribers: a.subscribers, AMC: a.alertedAMC,
		Find:   func() (alert.Search, error) { return journal.OpenLog(a.config.Journal.Folder) },
		Origin: a.config.Journal.Origin, Every: c.Every, Down: c.Down, Up: c.Up, Longest: longestExchange(&a.config.Timeouts),
		Mails: a.config.Mail.Sent(), Host: a.mailDomain(), Log: a.log, Now: a.now,
	}
	if a.secrets != nil {
		t := &tls.Config{MinVersion: tls.VersionTLS12}
		if err := a.readPool(&t.RootCAs, "alerts.ca", c.CA, "give the authorities of the webhooks, in PEM"); err != nil {
			return err
		}
		// The register names the webhooks: public addresses, and the networks that
		// are allowed to them alone.
		client := a.filter(egress.Filter{Allow: c.Networks}).Client(t, 0)
		o.Post = alert.NewWebhook(client, a.secrets, a.now)
	}
	a.watcher = alert.New(o)
	return nil
}

// readPool reads the CAs of a file that the configuration names under that key;
// without one into stays what it is.
func (a *App) readPool(into **x509.CertPool, key, file, remedy string) error {
	if file == "" {
		return nil
	}
	pool, err := trust.ReadPool(file)
	if err != nil {
		return setup(fmt.Errorf("%s: %s: %w", a.config.File(), key, err), remedy)
	}
	*into = pool
	return nil
}

// longestExchange is how long it may take from the instant of a request until its
// exchange is in the journal.
func longestExchange(t *config.Timeouts) time.Duration { return t.Head + t.Body + t.Exchange + t.Write }

// mailDomain is that of the Message-ID.
func (a *App) mailDomain() string {
	_, domain, _ := strings.Cut(a.config.Mail.From, "@")
	return domain
}

// subscribers are those who are told of outages, as the register and the
// configuration have them now.
func (a *App) subscribers() (list []alert.Subscriber) {
	l := a.register.Current()
	for es := range l.Etablissements() {
		if es.Etat != register.Clos && len(es.Alertes) > 0 {
			list = append(list, alert.Subscriber{ID: string(es.Structure), Structures: es.IDs(), Channels: channels(es.Alertes, nil)})
		}
	}
	for amc := range l.AMCs() {
		if len(amc.Alertes) > 0 {
			list = append(list, alert.Subscriber{ID: alert.OfAMC(amc.Numeros[0]), Channels: channels(amc.Alertes, amc.Numeros)})
		}
	}
	operators := alert.Subscriber{ID: alert.Operators}
	for _, to := range a.config.Alerts.Operators {
		operators.Channels = append(operators.Channels, alert.Channel{Mail: to})
	}
	for _, to := range a.config.Alerts.Webhooks {
		operators.Channels = append(operators.Channels, alert.Channel{Webhook: to})
	}
	if len(operators.Channels) > 0 {
		list = append(list, operators)
	}
	return list
}

// channels are the alerts of a row of the register; of an AMC about itself.
func channels(alertes []register.Alerte, itself []roc.NumeroAMC) (list []alert.Channel) {
	for _, x := range alertes {
		list = append(list, alert.Channel{Mail: x.Courriel, Webhook: x.Webhook, AMCs: slices.Concat(x.Organismes, itself)})
	}
	return list
}

func (a *App) alertedAMC(n roc.NumeroAMC) alert.AMC {
	if amc, ok := a.register.Current().AMC(n); ok {
		return alert.AMC{Nom: amc.Nom, Numeros: amc.Numeros}
	}
	return alert.AMC{Numeros: []roc.NumeroAMC{n}}
}
