// Package config is the configuration file of an RPN: its manual, every default
// and every check. Nothing else of the tree states a default that it has.
package config

import (
	"log/slog"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// Config is the configuration of one RPN, and its manual: each field says what
// it does, its unit, its default and how to make the file it names.
//
// It is one YAML file, given to `rpn serve --config FILE`. It is read
// strictly: a field that does not exist, a value of the wrong kind or a key
// written twice is an error that names the line, and `rpn check --config FILE`
// shows all of them at once without opening a port. The name of a field in the
// file is the one in its tag. A file name that is not absolute is looked for
// beside the configuration file.
//
// The smallest file that works:
//
//	environment: production
//	listen: 0.0.0.0:8443
//	server: {certificate: server.pem, key: server.key}
//	client: {certificate: client.pem, key: client.key}
//	trust:
//	  etablissements_tls: igc-sante-tls.pem
//	  etablissements_signature: igc-sante-signature.pem
//	  amc_tls: igc-osi-tls.pem
//	  amc_signature: igc-osi-signature.pem
//	annuaire: {url: https://annuaire.example/roc, signer: "300000000000018"}
//	etablissements: etablissements.yaml
//	amc: amc.yaml
//
// What is read again while running, on SIGHUP and when a file changes: the two
// lists, the certificates and keys, the trust stores. A new file that is not
// valid changes nothing and is logged. A change of this file itself needs a
// restart.
type Config struct {
	// Environment is "production" or "test". Required.
	//
	// In production a trust store or a certificate whose names say TEST or
	// DEMO is refused at start and at each reload, and no signature with SHA-1
	// is accepted. In a test environment the production authorities of
	// IGC-Santé are refused.
	// Never point a test environment at production authorities: who holds a
	// test certificate could then speak for a real establishment.
	Environment Environment `yaml:"environment" strict:"required"`

	// Listen is the address and port where establishments connect, by mutual
	// TLS: "0.0.0.0:8443", "[::]:443". Port 0 takes a free one. Required.
	Listen string `yaml:"listen" strict:"required"`

	// ProxyProtocol names the load balancers in front of listen, where there are
	// several instances. Default: none.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`

	// Endpoint is the public URL of POST /roc, written in the WSDL (GET
	// /roc?wsdl): "https://rpn.example/roc". Default: a DNS name of the
	// server certificate, with the port that the caller used; never its Host.
	Endpoint string `yaml:"endpoint"`

	// Admin is the address and port of the operator's listener: /metrics,
	// /livez, /readyz and pages to read, in plain HTTP. Nobody acts by it, but
	// by admin_socket or admin_tls. Default: 127.0.0.1:9464. An address that is not of this machine's loopback is
	// reachable by others, without a password: put it on an administration
	// network only.
	Admin string `yaml:"admin"`

	// AdminSocket is the unix socket by which operators act (POST /-/reload and
	// the like): the commands of rpn use it by themselves. Who may open the file
	// may act: its owner and its group (mode 0660). Default: admin.sock in the
	// folder state; without state none, and SIGHUP still reloads.
	AdminSocket string `yaml:"admin_socket"`

	// AdminHosts are names by which the operator's listener may be asked, beside
	// localhost and addresses: ["rpn-1.admin.example"]. Another name is refused
	// (421), or a page of any site could read it by way of a browser on this
	// machine. Default: none.
	AdminHosts []string `yaml:"admin_hosts"`

	// AdminTLS has the operator's listener speak TLS, and lets act who shows a
	// client certificate of clients. Default: none, plain HTTP.
	AdminTLS *AdminTLS `yaml:"admin_tls"`

	// Server is the certificate that the RPN shows to establishments.
	// Required.
	Server KeyPair `yaml:"server" strict:"required"`

	// Client is the certificate that the RPN shows to the annuaire and to the
	// AMCs (IGC OSI, usage clientAuth). Required.
	Client KeyPair `yaml:"client" strict:"required"`

	// Trust says which authorities are believed, and for what. Required.
	Trust Trust `yaml:"trust" strict:"required"`

	// Annuaire is the directory of the AMCs. Required.
	Annuaire Annuaire `yaml:"annuaire" strict:"required"`

	// Etablissements is the file that lists who may call: one entry for each
	// establishment, with its state. docs/operating/first-day.md shows one.
	// Required.
	Etablissements string `yaml:"etablissements" strict:"required"`

	// AMC is the file that lists the AMCs of the circle: their numbers, state
	// and domain names. Required.
	//
	// A reload that would take away too much changes nothing: register_losses.
	AMC string `yaml:"amc" strict:"required"`

	// RegisterLosses is how much one reload of the two lists may take away; more
	// is more likely a broken export than a decision, and changes nothing. Each
	// of etablissements (that lose access, that reach fewer AMCs, whose row
	// goes), sites (of nobody any more, or of another; SIRETs too), amcs
	// (numbers that nobody reaches any more, or that go), domaines (AMCs of which
	// no domain is known any more) and limites (that are cut) has share, of those
	// that had it before, from 0 to 1, and least, how many may always go. The
	// words are those of `rpn register diff`, which can be asked before. Default:
	// {share: 0.2, least: 5} for each. To mean what is refused, once:
	//
	//	rpn reload --config rpn.yaml --force-register
	RegisterLosses register.Bounds `yaml:"register_losses"`

	// State is the folder of what must survive a restart, which the RPN alone
	// writes: the attempts of establishments in accrochage, the audit trail of
	// the register (register.jsonl, at most 11 files of 16 MiB), the hosts that the
	// annuaire has named, the certificates that were seen, the signatures of
	// messages that came (policies.replay, written each minute and at the stop),
	// the annuaire's last signed answers (annuaire.max_age), the journal and the
	// figures. Those answers are not trusted: an answer read from disk is checked like one that just came.
	// It must be there, and is the folder of one process: a second one refuses
	// to start.
	//
	//	install -d -m 0750 -o rpn -g rpn /var/lib/rpn
	//
	// Default: none, and nothing of this is kept.
	State string `yaml:"state"`

	// Journal is the sealed trace of every exchange. Default: in the folder
	// journal of the state folder, with the default of each field.
	Journal Journal `yaml:"journal"`

	// Indicators is where the figures of each establishment and insurer are
	// kept. Default: a file of the state folder, with the default of each field.
	Indicators Indicators `yaml:"indicators"`

	// Mail is by which server the weekly files are sent to establishments and
	// to the national supervision. Default: none are sent.
	Mail Mail `yaml:"mail"`

	// Alerts is how it is told that an insurer goes out and that it is back.
	// Default: to those of the register, with the default of each field.
	Alerts Alerts `yaml:"alerts"`

	// Portal is the pages that establishments, insurers and operators read.
	// Default: none.
	Portal Portal `yaml:"portal"`

	// Redis is where the instances of one RPN share what the annuaire
	// answered. Default: none; an instance alone needs none.
	Redis Redis `yaml:"redis"`

	// Secrets is a file of keys that every instance of this RPN has and nobody
	// else: one a line, 64 hexadecimal digits, the one in use first. They
	// protect what is left in Redis and on disk, and the addresses of the
	// façade. Default: none; required with redis and with facade.signature.
	//
	//	openssl rand -hex 32 > secrets.txt && chmod 0400 secrets.txt
	//
	// To change the key: add the new one as a second line on every instance
	// and restart them; then move it to the top; and after facade.life remove
	// the old one.
	Secrets string `yaml:"secrets"`

	// Facade is how the RPN answers the search of an establishment whose line
	// of the register says facade: reecriture. Default: no such answer.
	Facade Facade `yaml:"facade"`

	// Limits bound what one establishment may send.
	Limits Limits `yaml:"limits"`

	// Timeouts bound how long each step may take.
	Timeouts Timeouts `yaml:"timeouts"`

	// Policies settle what may be answered in more than one way.
	Policies Policies `yaml:"policies"`

	// Revocation says how it is known who is revoked, and what happens then.
	// Default: the lists that certificates name are followed, and the default
	// of each field.
	Revocation Revocation `yaml:"revocation"`

	// Tickets is the file of a secret that the instances behind one address
	// share, so that a TLS session begun with one is resumed with another: a
	// handshake costs a dozen exchanges. Keep it as a private key. Default:
	// none, each instance resumes its own.
	//
	//	openssl rand -out tickets.secret 48 && chmod 0400 tickets.secret
	Tickets string `yaml:"tickets"`

	// Network says which addresses the RPN may connect to.
	Network Network `yaml:"network"`

	// Log says what is written on standard output.
	Log Log `yaml:"log"`

	file string // where it was read, for messages
	dir  string // what relative file names are relative to

	warnings strict.Errors
}

// AdminTLS is the certificate of the operator's listener, and whose
// certificates may act by it.
type AdminTLS struct {
	// Certificate is the PEM file of its certificate and intermediates.
	// Required.
	Certificate string `yaml:"certificate" strict:"required"`

	// Key is the PEM file of its private key. Required.
	Key string `yaml:"key" strict:"required"`

	// Clients is the PEM file of the authorities of operators: of nothing else,
	// since whoever has a certificate of theirs may act. Required.
	Clients string `yaml:"clients" strict:"required"`
}

// An Environment is "production" or "test".
type Environment string

// The environments.
const (
	Production Environment = "production"
	Test       Environment = "test"
)

// Log says what is written on standard output: one JSON object a line; the
// line of each exchange has the message "exchange" and the fields of
// docs/record.md. It never holds any content of a message.
type Log struct {
	// Level is the least serious line written: "debug", "info", "warn" or
	// "error". Exchanges are "info". Default: info.
	Level LogLevel `yaml:"level"`

	// Exchanges writes the line of each exchange. Where a journal is kept it
	// is the record, and the line is for people. Default: true.
	Exchanges bool `yaml:"exchanges"`
}

// An AnswerPolicy is what is done with the signature of an AMC's answer, a
// NewcomerPolicy what is done with what is new, and a LogLevel what is written.
type (
	AnswerPolicy   string
	NewcomerPolicy string
	VIHFPolicy     string
	ReplayPolicy   string
	LogLevel       string
)

// The words that the file may hold for each of them.
const (
	AnswersOff     AnswerPolicy = "off"
	AnswersObserve AnswerPolicy = "observe"
	AnswersEnforce AnswerPolicy = "enforce"

	ReplayOff     ReplayPolicy = "off"
	ReplayObserve ReplayPolicy = "observe"
	ReplayEnforce ReplayPolicy = "enforce"

	VIHFObserve VIHFPolicy = "observe"
	VIHFEnforce VIHFPolicy = "enforce"

	Quarantine NewcomerPolicy = "quarantine"
	Accept     NewcomerPolicy = "accept"

	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogLevel is the least serious level written.
func (c *Config) LogLevel() slog.Level {
	var l slog.Level
	l.UnmarshalText([]byte(c.Log.Level)) // one of the four, by strict.OneOf
	return l
}
