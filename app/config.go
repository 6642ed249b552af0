package app

import (
	"net/netip"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/limits/replay"
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

	// Endpoint is the public URL of POST /roc, as the WSDL (GET /roc?wsdl) says
	// it: "https://rpn.example/roc". Default: as each caller's Host says it.
	Endpoint string `yaml:"endpoint"`

	// Admin is the address and port of the operator's listener: /metrics,
	// /livez, /readyz and POST /-/reload, in plain HTTP. Default:
	// 127.0.0.1:9464. An address that is not of this machine's loopback is
	// reachable by others, without a password: put it on an administration
	// network only.
	Admin string `yaml:"admin"`

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
	// A reload that would drop a fifth of either list (and more than five
	// rows) changes nothing: it is more likely a broken export than a
	// decision. To mean it:
	//
	//	curl -X POST 'http://127.0.0.1:9464/-/reload?force=register'
	AMC string `yaml:"amc" strict:"required"`

	// State is the folder of what must survive a restart, which the RPN alone
	// writes: the attempts of establishments in accrochage, the hosts that the
	// annuaire has named, the certificates that were seen, the annuaire's last
	// signed answers (annuaire.max_age). Those are not trusted: an answer read from disk is checked like one that just came.
	// It must be there, and is the folder of one process:
	//
	//	install -d -m 0750 -o rpn -g rpn /var/lib/rpn
	//
	// Default: none, and nothing of this is kept.
	State string `yaml:"state"`

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
}

// An Environment is "production" or "test".
type Environment string

// The environments.
const (
	Production Environment = "production"
	Test       Environment = "test"
)

// A KeyPair is a certificate and its private key: two PEM files, or one
// PKCS#12 file, or what an ACME authority gives. One of the three, and with
// files a second pair beside it.
//
// The files are read again when they change, on SIGHUP and by `rpn reload`;
// docs/operating/certificates.md says how to renew one.
type KeyPair struct {
	// Files is the certificate and its key in files. Default: none, which acme
	// allows.
	Files `yaml:",inline"`

	// Second is another certificate of the same purpose whose key is of the
	// other kind: RSA beside ECDSA. Each peer gets the one it can check, ECDSA
	// first, which halves the cost of a handshake. Default: none.
	Second *Files `yaml:"second"`

	// ACME obtains and renews the certificate in place of files: for a public
	// name, or from a private authority that speaks ACME. Default: none.
	ACME *ACME `yaml:"acme"`
}

// Files is where a certificate and its key are.
type Files struct {
	// Certificate is the PEM file of the certificate, followed by its
	// intermediates and without the root:
	//
	//	cat mine.pem intermediate.pem > server.pem
	//
	// Default: none, which pkcs12 or acme allows.
	Certificate string `yaml:"certificate"`

	// Key is the PEM file of its private key (PKCS#8, PKCS#1 or SEC 1), not
	// encrypted, that only the RPN's user may read:
	//
	//	openssl rsa -in from-the-authority.key -out server.key
	//	chmod 0400 server.key
	//
	// Default: none, as certificate.
	Key string `yaml:"key"`

	// PKCS12 is a .p12 or .pfx file that holds the certificate, its
	// intermediates and its key, in place of certificate and key. The old
	// encryptions (RC2, 3DES) are read too. Default: none.
	PKCS12 string `yaml:"pkcs12"`

	// PassphraseFile is a file whose only line is the passphrase of pkcs12,
	// that only the RPN's user may read. A passphrase is never written in
	// this file, and never an argument. Default: no passphrase.
	PassphraseFile string `yaml:"passphrase_file"`

	// PassphraseCredential is, in place of passphrase_file, the name of a
	// credential that systemd hands over: LoadCredential=NAME:FILE or
	// LoadCredentialEncrypted=. Default: none.
	PassphraseCredential string `yaml:"passphrase_credential"`
}

// ACME is how a certificate is obtained from an authority (RFC 8555).
type ACME struct {
	// Directory is the URL of the authority's directory, https:
	// "https://acme-v02.api.letsencrypt.org/directory". Required.
	Directory string `yaml:"directory" strict:"required"`

	// Names are the DNS names, one certificate each. Required.
	Names []string `yaml:"names" strict:"required"`

	// AgreeTerms says that the authority's terms were read and are agreed to.
	// Default: false, which is refused.
	AgreeTerms bool `yaml:"agree_terms"`

	// Email is where the authority writes when something is wrong. Default:
	// none.
	Email string `yaml:"email"`

	// Roots is the file or folder of the authorities that the authority's own
	// web server is believed by, for a private one. Default: those of the
	// operating system, which are used for nothing else.
	Roots string `yaml:"roots"`

	// Storage is the folder where accounts, keys and certificates are kept, or
	// the word redis: then they are in the Redis of the section redis, sealed
	// with the keys of secrets. Instances that share it share the
	// certificates, and one of them renews for all. Required.
	Storage string `yaml:"storage" strict:"required"`

	// RSA obtains an RSA certificate too, beside the ECDSA one, for clients
	// that know nothing else. Default: false.
	RSA bool `yaml:"rsa"`

	// HTTP is the address and port where challenges are answered, open during
	// a challenge only; the authority must reach it as port 80 of each name:
	// "0.0.0.0:80". Default: none, and then tls_alpn is required.
	HTTP string `yaml:"http"`

	// TLSALPN is the same by TLS, reached as port 443: "0.0.0.0:443". It
	// cannot be the port of listen, where nobody comes in without a
	// certificate. Default: none.
	TLSALPN string `yaml:"tls_alpn"`

	// AccountKeyID binds the account to one that the authority knows, where it
	// asks for it (external account binding). Default: none.
	AccountKeyID string `yaml:"account_key_id"`

	// AccountKeyFile is the file of that account's key, base64url. Default:
	// none.
	AccountKeyFile string `yaml:"account_key_file"`
}

// Trust is the four trust stores. They are never mixed: an authority that may
// issue certificates for servers says nothing about who signs (profile 3).
// Each is a file (PEM, or DER as .cer), or a folder of such files, that holds
// the root and the intermediate certificates of the authority:
//
//	cat root.pem intermediate.pem > igc-sante-tls.pem
type Trust struct {
	// EtablissementsTLS is whose certificates establishments connect with:
	// IGC-Santé, domain Organisations, element serveur or SSL client.
	// Required.
	EtablissementsTLS string `yaml:"etablissements_tls" strict:"required"`

	// EtablissementsSignature is whose certificates establishments sign with:
	// IGC-Santé, domain Organisations, cachet. Required.
	EtablissementsSignature string `yaml:"etablissements_signature" strict:"required"`

	// AMCTLS is whose certificates the servers of the annuaire and of the
	// AMCs have: IGC OSI. Required.
	AMCTLS string `yaml:"amc_tls" strict:"required"`

	// AMCSignature is whose certificates the annuaire and the AMCs sign with:
	// IGC OSI. Required.
	//
	// The annuaire is trusted: who holds a certificate of this store and
	// answers in the annuaire's place decides where messages go, within the
	// known domains of each AMC.
	AMCSignature string `yaml:"amc_signature" strict:"required"`

	// Rules are what each store asks of a certificate beside a chain to one of
	// its roots. Default: nothing more than the floor that none can lower (RSA
	// of 2048 bits, P-256, SHA-256, the usages of the key), and four
	// authorities at most above a certificate.
	Rules TrustRules `yaml:"rules"`
}

// TrustRules are the rules of the four stores, by the name of the store.
type TrustRules struct {
	// EtablissementsTLS are the rules of etablissements_tls. Default: none.
	EtablissementsTLS StoreRules `yaml:"etablissements_tls"`

	// EtablissementsSignature are those of etablissements_signature. Default:
	// none.
	EtablissementsSignature StoreRules `yaml:"etablissements_signature"`

	// AMCTLS are those of amc_tls. Default: none.
	AMCTLS StoreRules `yaml:"amc_tls"`

	// AMCSignature are those of amc_signature. Default: none.
	AMCSignature StoreRules `yaml:"amc_signature"`
}

// StoreRules are the rules of one store.
type StoreRules struct {
	// Policies are certificate policies, one of which the certificate must
	// carry: ["1.2.250.1.213.1.7.2.1.1.1.1"]. Default: not looked at.
	Policies []PolicyOID `yaml:"policies"`

	// RSABits is the smallest RSA key accepted, of the certificate and of its
	// authorities. Default: 2048, and never less.
	RSABits int `yaml:"rsa_bits"`

	// Depth is how many authorities may stand above a certificate, its root
	// included. Default: 4.
	Depth int `yaml:"depth"`
}

// A PolicyOID names a certificate policy, in dots.
type PolicyOID string

// Annuaire is the directory of the AMCs.
type Annuaire struct {
	// URL is where it answers, https. Required.
	URL string `yaml:"url" strict:"required"`

	// Signer is the structure id that its signature certificate carries (OU):
	// "300000000000018". The trust store amc_signature also holds the AMCs'
	// authority, and no AMC may speak for the annuaire. Default: none is
	// compared, which is for tests only; required in production.
	Signer roc.StructureID `yaml:"signer"`

	// Timeout is how long one question may take. Default: 5s.
	Timeout time.Duration `yaml:"timeout" strict:"positive"`

	// TTL is how long an answer is used before the question is asked again;
	// the end of its own validity may come sooner. Default: 1h.
	TTL time.Duration `yaml:"ttl" strict:"positive"`

	// MaxAge is the age up to which an answer still serves when the annuaire
	// cannot be asked again: in memory and, with a state folder, after a
	// restart. The end of its own validity may come sooner. Default: 72h, a
	// week-end and a day.
	MaxAge time.Duration `yaml:"max_age" strict:"positive"`

	// HeldShare is the part of the known routes that the annuaire may remove
	// or move in an hour. When it moves more, the previous answers go on
	// serving until an operator has looked: `rpn annuaire held`, `rpn annuaire
	// approve`. 0: nothing is held. Default: 0.2.
	HeldShare float64 `yaml:"held_share"`

	// HeldLeast is how many routes it may move in an hour, however few are
	// known. Default: 10.
	HeldLeast int `yaml:"held_least" strict:"positive"`

	// NegativeTTL is how long "this AMC is unknown" is remembered. Default:
	// 60s.
	NegativeTTL time.Duration `yaml:"negative_ttl" strict:"positive"`

	// Probe is how often the annuaire is asked about the first AMC of the
	// list, beginning at start, so that /readyz knows whether it answers
	// before the first message needs it. "Unknown" is an answer too. 0s: it
	// is not asked, and /readyz tells what real exchanges met. Default: 30s.
	Probe time.Duration `yaml:"probe"`
}

// Redis is where the instances of one RPN share the annuaire's answers and,
// where policies.replay is enforce, the signatures that came. It is neither
// trusted nor needed: an answer read from it is checked like one that just
// came, and while Redis is lost each instance goes on alone. It is on no
// message's way while what the message needs is remembered, except that
// policies.replay: enforce asks it about each message (100 ms at most); with
// observe each instance counts what it sees itself.
type Redis struct {
	// URLs say where it is: one URL for a single Redis; the Sentinels with
	// sentinel_master; some of the nodes with cluster. "rediss://" is TLS,
	// "redis://" is not; a path gives the number of the database:
	// ["rediss://redis.example:6379/0"]. All of one scheme. Default: no Redis.
	URLs []string `yaml:"urls"`

	// SentinelMaster is the name that the Sentinels give the master. Default:
	// the URLs are no Sentinels.
	SentinelMaster string `yaml:"sentinel_master"`

	// Cluster says that the URLs are nodes of a Redis Cluster. Default: false.
	Cluster bool `yaml:"cluster"`

	// User is the ACL user. Default: Redis's own default user.
	User string `yaml:"user"`

	// PasswordFile is a file that holds the password on its only line. A
	// password stands in no URL and not here. Default: none.
	PasswordFile string `yaml:"password_file"`

	// CA is the PEM file of the authorities that Redis's certificate is of,
	// with rediss. Default: those of the system.
	CA string `yaml:"ca"`

	password string
}

// Facade is the address book that establishments ask (profile section 5).
// Without this section, and for every establishment whose line says nothing,
// the annuaire's signed answer is handed on byte for byte.
type Facade struct {
	// Signature is the certificate that the RPN signs rewritten answers with,
	// and its key. Default: none, and nothing is rewritten. It needs endpoint
	// and secrets.
	Signature *Files `yaml:"signature"`

	// Life is how long an address of the façade can be used; an establishment
	// asks again before. Default: 720h, thirty days.
	Life time.Duration `yaml:"life" strict:"positive"`
}

// Limits bound what one establishment may send. A message that is beyond one
// is refused, never cut (profile section 2).
type Limits struct {
	// PerSecond is how many messages an establishment may send in a second,
	// on average, where its line of the register says nothing else. Default:
	// 20.
	PerSecond float64 `yaml:"per_second" strict:"positive"`

	// Burst is how many it may send at once, after some quiet. Default: 40.
	Burst int `yaml:"burst" strict:"positive"`

	// Exchanges is how many messages may be in flight at once, over all
	// establishments; more are refused as overloaded (RPN111). Default: 1024.
	Exchanges int `yaml:"exchanges" strict:"positive"`

	// Connections is how many connections of establishments may be open at
	// once. Default: 16384.
	Connections int `yaml:"connections" strict:"positive"`

	// Bytes is the largest body read from an establishment, as 2MiB or in
	// bytes. A larger one is refused before any XML is read. Default: 2MiB.
	Bytes strict.Size `yaml:"bytes" strict:"positive"`

	// AnswerBytes is the largest answer read from an AMC. A larger one is
	// refused as amc-bad-answer. Default: 8MiB.
	AnswerBytes strict.Size `yaml:"answer_bytes" strict:"positive"`

	// Depth is how deep elements may nest. Default: 64.
	Depth int `yaml:"depth" strict:"positive"`

	// Elements is how many a message may hold. Default: 50000.
	Elements int `yaml:"elements" strict:"positive"`

	// Attributes is how many an element may have. Default: 64.
	Attributes int `yaml:"attributes" strict:"positive"`

	// Declarations is how many namespaces an element may declare. Default: 32.
	Declarations int `yaml:"declarations" strict:"positive"`

	// NameBytes is how long a name may be, in bytes. Default: 256.
	NameBytes int `yaml:"name_bytes" strict:"positive"`
}

// Timeouts bound how long each step may take.
type Timeouts struct {
	// Handshake is how long a TLS handshake may take. Default: 10s.
	Handshake time.Duration `yaml:"handshake" strict:"positive"`

	// Head is how long the head of a request may take, from its first byte.
	// Default: 10s.
	Head time.Duration `yaml:"head" strict:"positive"`

	// Body is how long its body may take. Default: 30s.
	Body time.Duration `yaml:"body" strict:"positive"`

	// Write is how long an establishment may take to receive its answer.
	// Default: 30s.
	Write time.Duration `yaml:"write" strict:"positive"`

	// Idle is how long a connection stays open between two messages.
	// Default: 3m.
	Idle time.Duration `yaml:"idle" strict:"positive"`

	// Connect is how long reaching an AMC may take (name, TCP and TLS).
	// Default: 5s.
	Connect time.Duration `yaml:"connect" strict:"positive"`

	// Exchange is how long a whole exchange may take; what is left of it is
	// how long the AMC may take to answer (RPN402). The establishment may ask
	// for less (RPN-Delai-Ms). Default: 60s.
	Exchange time.Duration `yaml:"exchange" strict:"positive"`

	// Stop is how long exchanges in flight may take to finish after SIGTERM;
	// what is left then is cut. Keep it above Exchange, and Drain and Stop
	// together below what the service manager waits (systemd:
	// TimeoutStopSec, 90s). Default: 65s.
	Stop time.Duration `yaml:"stop" strict:"positive"`

	// Drain is how long the RPN still accepts after SIGTERM while /readyz
	// already answers 503, so that a load balancer takes it out first.
	// Default: 0s.
	Drain time.Duration `yaml:"drain"`
}

// Policies settle what may be answered in more than one way.
type Policies struct {
	// AnswerSignatures is what to do with the signature of an AMC's answer:
	// "off" does not look at it; "observe" checks it, counts and logs what is
	// wrong and delivers the answer as it came; "enforce" delivers a checked
	// answer only. Default: observe.
	AnswerSignatures AnswerPolicy `yaml:"answer_signatures"`

	// NewDomain is what to do when the annuaire gives for an AMC an address
	// whose domain is not in the AMC list: "quarantine" refuses (RPN306)
	// until the domain is added to the list; "accept" sends there and logs
	// it. Default: quarantine.
	NewDomain Stance `yaml:"new_domain"`

	// UnknownAMC is what to do with an AMC that the annuaire knows and the
	// AMC list does not: "quarantine" refuses (RPN306) until it is added to
	// the list; "accept" carries messages to it on the annuaire's word alone,
	// for establishments in the circle: whoever controls the annuaire could
	// then invent an insurer to receive health data. Default: quarantine.
	UnknownAMC Stance `yaml:"unknown_amc"`

	// Replay is what to do with a signed message that came before, within the
	// life of its Timestamp: "off" does not look; "observe" writes it in the
	// record and counts it; "enforce" refuses it (RPN218). Default: observe.
	Replay replay.Policy `yaml:"replay"`

	// AllowSHA1 accepts signatures and digests with SHA-1, for old software
	// under test. Refused in production. Default: false.
	AllowSHA1 bool `yaml:"allow_sha1"`
}

// Network says which addresses the RPN may connect to. Neither the annuaire
// nor an AMC is believed when its name leads to a loopback, private or
// link-local address: that is how a server is made to attack its neighbours.
type Network struct {
	// Allow lists the networks where an AMC may be although they are not
	// public: ["10.20.0.0/16"]. Default: none.
	Allow []netip.Prefix `yaml:"allow"`

	// Hosts gives the address of a name without asking DNS, as /etc/hosts
	// does: {"roc.amc.example": 10.20.0.7}. For tests and closed networks.
	// The name is still the one that the certificate must carry, and the
	// address must still be allowed. Default: none.
	Hosts map[string]netip.Addr `yaml:"hosts"`

	// Resolver is the DNS server that is asked for the names of the annuaire
	// and of the AMCs: "10.20.0.53:53". Default: the system's.
	Resolver netip.AddrPort `yaml:"resolver"`
}

// Log says what is written on standard output: one JSON object a line; the
// line of each exchange has the message "exchange" and the fields of
// docs/record.md. It never holds any content of a message.
type Log struct {
	// Level is the least serious line written: "debug", "info", "warn" or
	// "error". Exchanges are "info". Default: info.
	Level LogLevel `yaml:"level"`
}

// An AnswerPolicy is what is done with the signature of an AMC's answer, a
// Stance what is done with what is new, and a LogLevel what is written.
type (
	AnswerPolicy string
	Stance       string
	LogLevel     string
)

// The words that the file may hold for each of them.
const (
	AnswersOff     AnswerPolicy = "off"
	AnswersObserve AnswerPolicy = "observe"
	AnswersEnforce AnswerPolicy = "enforce"

	Quarantine Stance = "quarantine"
	Accept     Stance = "accept"

	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)
