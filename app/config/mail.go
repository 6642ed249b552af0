package config

import (
	"net"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// Mail is by which server the weekly files are sent: each Monday at six in
// Paris, to the contacts of each establishment (contacts.courriel of its line of
// the register) and to the national supervision. STARTTLS is mandatory and the
// name of the server is verified. Instances that share the store of indicators
// may all have this section: each mail is sent once.
type Mail struct {
	// Server is its name and port: "smtp.example:587". Default: none, no mail
	// is sent.
	Server string `yaml:"server"`

	// From is the address that writes: rpn@rpn.example. Its domain is that of
	// the Message-ID as well: the same on every instance. Default: none; required with server.
	From string `yaml:"from"`

	// User is whom the server knows. Default: it asks for nobody.
	User string `yaml:"user"`

	// PasswordFile is a file that holds the password of user on its only line.
	// Default: none.
	PasswordFile string `yaml:"password_file"`

	// CA is the PEM file of the authorities that the server's certificate is
	// of. Default: those of the system.
	CA string `yaml:"ca"`

	// Supervision is who has a copy of every mail: ["supervision@ans.example"].
	// An establishment without an address has its files sent to them alone.
	// Default: nobody.
	Supervision []string `yaml:"supervision"`

	password string
}

// Sent reports whether mails are sent.
func (m *Mail) Sent() bool { return m.Server != "" }

// Password is what password_file holds.
func (m *Mail) Password() string { return m.password }

// checkMail comes after checkIndicators: the mails hold figures.
func (c *Config) checkMail(doc *strict.Document) {
	m := &c.Mail
	if !m.Sent() {
		if m.From != "" || m.User != "" || m.PasswordFile != "" || m.CA != "" || len(m.Supervision) > 0 {
			doc.Refuse(doc.At("mail"), "add server: smtp.example:587, or remove the section", "mail.server is missing")
		}
		return
	}
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil || !isHostName(host) || port == "" {
		doc.Refuse(doc.At("mail", "server"), "write it like smtp.example:587", "%q is not a name and a port", m.Server)
	}
	if !register.IsCourriel(m.From) {
		doc.Refuse(doc.At("mail"), "add from: rpn@rpn.example", "mail.from is not an e-mail address")
	}
	for i, a := range m.Supervision {
		if !register.IsCourriel(a) {
			doc.Refuse(doc.At("mail", "supervision", i), "write it like supervision@ans.example", "%.60q is not an e-mail address", a)
		}
	}
	if !c.Indicators.Kept() {
		doc.Refuse(doc.At("mail", "server"), "give state, or journal.folder and indicators.store", "the mails hold figures, and none are kept")
	}
	if (m.User == "") != (m.PasswordFile == "") {
		doc.Refuse(doc.At("mail"), "give both, or none", "mail.user and mail.password_file go together")
	}
	m.password = readPassword(doc, doc.At("mail", "password_file"), m.PasswordFile)
}
