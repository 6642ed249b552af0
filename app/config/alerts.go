package config

import (
	"net/netip"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// Alerts is how it is told that an insurer goes out, by the definition of its card
// (docs/indicators.md), and that it is back: to those who have `alertes` in the
// register, and to the operators named here. Mails leave by the server of mail,
// webhooks by HTTPS, signed with secrets. Each is told once, whatever the number of
// instances that share the store of indicators.
type Alerts struct {
	// Every is how often the figures are looked at. Default: 15s.
	Every time.Duration `yaml:"every" strict:"positive"`

	// Down is for how long an insurer is out before it is told. Default: 2m.
	Down time.Duration `yaml:"down" strict:"positive"`

	// Up is for how long it is back before it is told: one that comes and goes is
	// told once. Default: 10m.
	Up time.Duration `yaml:"up" strict:"positive"`

	// Operators are told by mail of every insurer: ["astreinte@rpn.example"].
	// Default: nobody.
	Operators []string `yaml:"operators"`

	// Webhooks are called for every insurer, as those of the register are:
	// ["https://astreinte.example/rpn"]. Default: none.
	Webhooks []string `yaml:"webhooks"`

	// Networks are those where a webhook may be though they are not public. The
	// register names webhooks, so network.allow is not enough for them. Default:
	// none.
	Networks []netip.Prefix `yaml:"networks"`

	// CA is the PEM file of the authorities that webhooks have their certificates
	// of. Default: those of the system.
	CA string `yaml:"ca"`
}

// checkAlerts comes after checkMail.
func (c *Config) checkAlerts(doc *strict.Document) {
	a := &c.Alerts
	for i, to := range a.Operators {
		if !register.IsCourriel(to) {
			doc.Refuse(doc.At("alerts", "operators", i), "write it like astreinte@rpn.example", "%.60q is not an e-mail address", to)
		}
	}
	if len(a.Operators) > 0 && !c.Mail.Sent() {
		doc.Refuse(doc.At("alerts", "operators"), "add the section mail, or remove operators", "no mail is sent")
	}
	for i, to := range a.Webhooks {
		if !register.IsWebhook(to) {
			doc.RefuseSecret(doc.At("alerts", "webhooks", i), "write it like https://astreinte.example/rpn", "this is not an https address without a user name")
		}
	}
	if len(a.Webhooks) > 0 && c.Secrets == "" {
		doc.Refuse(doc.At("alerts", "webhooks"), "add secrets: secrets.txt, made with `openssl rand -hex 32`, the same on every instance", "webhooks need secrets: their calls are signed with them")
	}
}
