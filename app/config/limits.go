package config

import (
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// Limits bound what one establishment may send. A message that is beyond one
// is refused, never cut (profile section 2).
type Limits struct {
	// PerSecond is how many messages an establishment may send in a second,
	// on average, where its line of the register says nothing else. Default:
	// 20.
	PerSecond float64 `yaml:"per_second" strict:"positive"`

	// Burst is how many it may send at once, after some quiet. Default: 40.
	Burst int `yaml:"burst" strict:"positive"`

	// BytesPerSecond is how many bytes of messages an establishment may send in a
	// second, on average, where its line of the register says nothing else.
	// Default: 8MiB.
	BytesPerSecond strict.Size `yaml:"bytes_per_second" strict:"positive"`

	// BytesBurst is how many it may send at once, after some quiet; the largest
	// message (bytes) at least. Default: 64MiB.
	BytesBurst strict.Size `yaml:"bytes_burst" strict:"positive"`

	// Mode is what becomes of a message beyond these, where its line of the
	// register says nothing else (limite.mode): "observe" lets it pass, counted
	// and logged; "shape" has it wait for its turn, shape_wait at most, and refuses
	// it at once when that is too short; "reject" refuses it (RPN110). Default:
	// reject.
	Mode register.LimitMode `yaml:"mode"`

	// ShapeWait is how long a message waits for its turn at most. Default: 2s.
	ShapeWait time.Duration `yaml:"shape_wait" strict:"positive"`

	// ShapeQueue is how many messages of one establishment wait at most. Default:
	// 32.
	ShapeQueue int `yaml:"shape_queue" strict:"positive"`

	// Exchanges is how many messages may be in flight at once, over all
	// establishments; more are refused as overloaded (RPN111). One
	// establishment may have a quarter of them (RPN110), or what its line of
	// the register says (limite.en_cours); the last quarter of all is kept for
	// those who have few. Default: 1024.
	Exchanges int `yaml:"exchanges" strict:"positive"`

	// PerAMC is how many messages may be in flight to one AMC, where its line
	// of the register says nothing else (limite.en_cours). One establishment
	// may have half of them. Beyond, a message waits its fair turn, or is
	// refused at once when its turn would come too late. Default: 128.
	PerAMC int `yaml:"per_amc" strict:"positive"`

	// RestAfter is after how many failures within 30 seconds, half of all
	// messages or more, an address of an AMC is put to rest: what would go
	// there is refused at once (RPN404), and one message at a time finds out
	// whether it is back. Default: 5.
	RestAfter int `yaml:"rest_after" strict:"positive"`

	// ShedAfter is how long messages may wait for a processor of this machine
	// before the least important are refused, and their bodies not read (RPN111,
	// cause load-shed): simulations first, then searches, then rights; calculations
	// and cancellations last. Default: 20ms.
	ShedAfter time.Duration `yaml:"shed_after" strict:"positive"`

	// Memory is how many bytes of messages and answers may be held at once,
	// over all establishments; a quarter of it for one. A message takes room
	// before it is read; an answer before its message leaves, then as it comes.
	// Default: 512MiB.
	Memory strict.Size `yaml:"memory" strict:"positive"`

	// Connections is how many connections of establishments may be open at
	// once; a quarter of them for one. Default: 16384.
	Connections int `yaml:"connections" strict:"positive"`

	// Handshakes is how many TLS handshakes may be under way at once, before
	// anybody is authenticated; a quarter of them is kept for addresses that had
	// a good one in the last day. Beyond, those that keep the RPN waiting are
	// closed, oldest first. Default: 1024.
	Handshakes int `yaml:"handshakes" strict:"positive"`

	// PerAddress is how many of them one address (IPv4, or IPv6 /64) may have.
	// Behind load balancers it is the address that they give (proxy_protocol).
	// Give it the value of handshakes where all come through one address that
	// gives none. Default: an eighth of handshakes.
	PerAddress int `yaml:"handshakes_per_address"`

	// MinRate is the fewest bytes in a second, after the first 5 seconds, of a
	// message that comes and of an answer that is read: slower ones are given
	// up, so that nobody holds memory by sending or reading a byte now and then.
	// Default: 4KiB.
	MinRate strict.Size `yaml:"min_rate" strict:"positive"`

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

	// ProxyHeader is how long the header of a load balancer may take, from the
	// connection on (proxy_protocol). Default: 5s.
	ProxyHeader time.Duration `yaml:"proxy_header" strict:"positive"`

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
	// Default: 2s.
	Connect time.Duration `yaml:"connect" strict:"positive"`

	// Exchange is how long a whole exchange may take; what is left of it is
	// how long the AMC may take to answer (RPN402). The establishment may ask
	// for less (RPN-Delai-Ms). Default: 20s.
	Exchange time.Duration `yaml:"exchange" strict:"positive"`

	// Services is the same for one service, where it is less: "IDB: 8s". An AMC
	// may have less again (delais, in its line of the register). Default: none.
	Services roc.ServiceTimes `yaml:"services"`

	// Stop is how long exchanges in flight may take to finish after SIGTERM;
	// what is left then is cut. Keep it above Exchange, and Drain and Stop
	// together below what the service manager waits (systemd:
	// TimeoutStopSec, 90s). Default: 25s.
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
	NewDomain NewcomerPolicy `yaml:"new_domain"`

	// UnknownAMC is what to do with an AMC that the annuaire knows and the
	// AMC list does not: "quarantine" refuses (RPN306) until it is added to
	// the list; "accept" carries messages to it on the annuaire's word alone,
	// for establishments in the circle: whoever controls the annuaire could
	// then invent an insurer to receive health data. Default: quarantine.
	UnknownAMC NewcomerPolicy `yaml:"unknown_amc"`

	// Replay is what to do with a signed message that came before, within the
	// life of its Timestamp: "off" does not look; "observe" writes it in the
	// record and counts it; "enforce" refuses it (RPN218). A message of which no
	// byte left for its insurer is none that came: the retry that a refusal asks
	// for is no replay. Default: observe.
	Replay ReplayPolicy `yaml:"replay"`

	// VIHF is what to do with a VIHF that the message's signature does not
	// cover, or whose Conditions (NotBefore, NotOnOrAfter) do not hold:
	// "observe" writes it in the record and counts it; "enforce" refuses it
	// (RPN213, RPN217). Its own signature and its structure are checked always.
	// Default: observe.
	VIHF VIHFPolicy `yaml:"vihf"`

	// SecondOpinions is the share of accepted messages whose signature is
	// verified again, off their path, with other libraries: one in that many.
	// They decide nothing: a disagreement is an alarm. 0: none. Default: 1000.
	SecondOpinions int `yaml:"second_opinions"`

	// AllowSHA1 accepts signatures and digests with SHA-1, for old software
	// under test. Refused in production. Default: false.
	AllowSHA1 bool `yaml:"allow_sha1"`
}
