package roc

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"strconv"
	"time"
)

// An ExchangeID is the id of one exchange: a UUIDv7 (RFC 9562), in its usual
// text form. The caller gets it in every answer; the log and the journal are
// searched by it.
type ExchangeID string

// NewExchangeID makes the id of an exchange opened at that instant.
func NewExchangeID(at time.Time) ExchangeID {
	var u [16]byte
	rand.Read(u[6:])
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	var t [36]byte
	hex.Encode(t[0:8], u[0:4])
	hex.Encode(t[9:13], u[4:6])
	hex.Encode(t[14:18], u[6:8])
	hex.Encode(t[19:23], u[8:10])
	hex.Encode(t[24:36], u[10:16])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return ExchangeID(t[:])
}

// Opened is the instant at which the exchange was opened, which a UUIDv7 holds, to
// the millisecond; false: it is none.
func (id ExchangeID) Opened() (at time.Time, ok bool) {
	if !IsUUID(string(id)) || id[14] != '7' {
		return at, false
	}
	ms, err := strconv.ParseInt(string(id[:8]+id[9:13]), 16, 64)
	return time.UnixMilli(ms), err == nil
}

// IsUUID reports whether a text has the form of a UUID, in any case of its letters.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// An Origin says who made an answer: header RPN-Origine (profile section 8).
type Origin string

// The origins of an answer.
const (
	FromRPN      Origin = "rpn"
	FromAMC      Origin = "amc"
	FromAnnuaire Origin = "annuaire"
	FromCache    Origin = "cache"
)

// An Outcome is how an exchange ended. The list is closed.
type Outcome string

// The outcomes.
const (
	Answered  Outcome = "answered"  // the far end answered with HTTP 2xx
	FarFault  Outcome = "far-fault" // the far end answered with another status: its fault, carried as it came
	Refused   Outcome = "refused"   // the RPN answered with a fault of its own
	Abandoned Outcome = "abandoned" // the caller left before the answer
)

// A Record is all that is known of one exchange, filled on the way and read
// once at the end by the log, the metrics and the journal. It holds what
// profile section 9 lists and, by construction, no patient data: no field of it
// can hold message content.
type Record struct {
	ID   ExchangeID
	From StructureID // "" until identified
	Peer string      // the caller's address and port

	Service Service
	Version Version
	To      Key    // zero until the key is read
	AMCName string // the AMC's name by the register, for people; or ""
	Target  string // host of the AMC's address, or ""

	// The four instants (X-Road's names). Zero: the exchange did not get that
	// far.
	RequestIn, RequestOut, AnswerIn, AnswerOut time.Time

	// How the time was spent. Annuaire is the time the exchange waited for it.
	// AMC is the insurer's time: Connect is the part of it spent on connecting
	// (TCP and TLS). Lookup is the DNS, and counted for nobody.
	Read, Check, Annuaire, Lookup, Connect, AMC time.Duration

	// Waited is the time spent on waiting for others than those: for the credit of
	// an establishment whose messages are shaped, for the body to arrive, for a free
	// seat at the insurer, for the caller to take the answer.
	Waited time.Duration

	RequestBytes, AnswerBytes   int
	RequestSHA256, AnswerSHA256 [32]byte // zero: no such message
	SignatureSHA256             [32]byte // of the decoded SignatureValue; zero: none
	SignerSerial                string   // serial number of the signer's certificate, hexadecimal
	MessageID                   string   // wsa:MessageID when it is a UUID, else ""

	// ClockOffset is how far the signer's clock is ahead of ours, by the signed
	// Created; nil when no signed Timestamp was read. It includes the transit
	// time of the message.
	ClockOffset *time.Duration
	Replayed    bool // the signature was seen before, within its life

	Outcome    Outcome
	Origin     Origin
	Reason     Reason    // "" unless refused
	Cause      string    // of whatever is not answered: English, no message content
	CauseCode  CauseCode // its stable name, where there is one
	FarStatus  int       // HTTP status of the far end; 0: none
	FromMemory bool      // the annuaire's answer came from memory
	Stale      bool      // and was no longer fresh: it was revalidated in the background

	// AnswerCheck is the result of the check of the AMC's signature: "good", a
	// Reason, "" when it was not checked, or CheckedLater.
	AnswerCheck string

	// Dossier links the exchanges of one stay or visit; zero: none.
	Dossier Dossier

	// VIHF is the result of the check of the request's VIHF: "good", or the
	// outcome that its policy acts on (docs/record.md); "" when it has none.
	VIHF string
}

// CheckedLater is the AnswerCheck of a record that is written before the answer
// was checked: a result other than "good" then amends it.
const CheckedLater = "later"

// A Dossier links the exchanges of one establishment about one adherent: a keyed
// hash of the routing key and the adherent, made by internal/message, whose key is
// deleted after a few days (docs/decisions/0018-dossiers.md). It cannot be traced
// back to a person, and it has no meaning outside its establishment and its days.
type Dossier [6]byte

// A Receipt says where the record of an exchange is in the journal, so that its
// proof can be requested later. The zero Receipt is none.
type Receipt struct {
	Origin string // name of the journal
	Index  uint64
	Leaf   [32]byte // the record's hash as a leaf of the tree
}

// IsZero reports whether there is no receipt.
func (r Receipt) IsZero() bool { return r.Origin == "" }

// Code returns the code of the refusal, "RPN212", or "" when there is none.
func (r *Record) Code() string {
	if r.Reason == "" {
		return ""
	}
	return r.Reason.Meaning().Code
}

// End is how the exchange ended, as figures have it: the code of its refusal, or
// its outcome.
func (r *Record) End() string {
	if r.Outcome == Refused {
		return r.Code()
	}
	return string(r.Outcome)
}

// Responsable says who must act: nobody after an answer, the AMC after its own
// fault, otherwise whom the reason names.
func (r *Record) Responsable() Responsable {
	switch r.Outcome {
	case Refused:
		return r.Reason.MeaningWith(r.CauseCode).Responsable
	case FarFault:
		if r.Origin == FromAnnuaire {
			return ByAnnuaire
		}
		return ByAMC
	case Abandoned:
		return ByEtablissement
	}
	return NoOne
}

// Total is the time between the first byte read and the last one written.
func (r *Record) Total() time.Duration {
	if r.AnswerOut.IsZero() {
		return 0
	}
	return r.AnswerOut.Sub(r.RequestIn)
}

// Added is the part of Total that the RPN itself took: what is left without the
// waiting for the annuaire, the DNS, the insurer and the caller.
func (r *Record) Added() time.Duration {
	return max(0, r.Total()-r.Annuaire-r.Lookup-r.AMC-r.Waited)
}

// LogValue writes the record for slog.
func (r *Record) LogValue() slog.Value {
	return slog.GroupValue(r.AppendAttrs(make([]slog.Attr, 0, 40))...)
}

// AppendAttrs adds the fields of the record that are set to a: the names are those
// of docs/record.md and do not change without a line there.
func (r *Record) AppendAttrs(a []slog.Attr) []slog.Attr {
	str := func(k, v string) {
		if v != "" {
			a = append(a, slog.String(k, v))
		}
	}
	instant := func(k string, t time.Time) {
		if !t.IsZero() {
			a = append(a, slog.String(k, t.UTC().Format("2006-01-02T15:04:05.000000Z")))
		}
	}
	hash := func(k string, h [32]byte) {
		if h != [32]byte{} {
			var b [2 * len(h)]byte
			hex.Encode(b[:], h[:])
			a = append(a, slog.String(k, string(b[:])))
		}
	}
	micros := func(k string, d time.Duration) {
		if d > 0 {
			a = append(a, slog.Int64(k, d.Microseconds()))
		}
	}
	str("echange", string(r.ID))
	str("structure", string(r.From))
	str("peer", r.Peer)
	str("service", r.Service.String())
	str("version", r.Version.String())
	str("amc", string(r.To.AMC))
	str("convention", string(r.To.Convention))
	str("domaine", string(r.To.Domaine))
	str("target", r.Target)
	str("outcome", string(r.Outcome))
	str("origine", string(r.Origin))
	str("code", r.Code())
	str("reason", string(r.Reason))
	str("responsable", string(r.Responsable()))
	str("cause_code", string(r.CauseCode))
	str("cause", r.Cause)
	if r.FarStatus != 0 {
		a = append(a, slog.Int("far_status", r.FarStatus))
	}
	str("answer_check", r.AnswerCheck)
	instant("request_in", r.RequestIn)
	instant("request_out", r.RequestOut)
	instant("answer_in", r.AnswerIn)
	instant("answer_out", r.AnswerOut)
	micros("read_us", r.Read)
	micros("check_us", r.Check)
	micros("annuaire_us", r.Annuaire)
	if r.Stale {
		a = append(a, slog.Bool("annuaire_stale", true))
	}
	micros("dns_us", r.Lookup)
	micros("connect_us", r.Connect)
	micros("amc_us", r.AMC)
	micros("waited_us", r.Waited)
	micros("total_us", r.Total())
	a = append(a, slog.Int("request_bytes", r.RequestBytes), slog.Int("answer_bytes", r.AnswerBytes))
	hash("request_sha256", r.RequestSHA256)
	hash("answer_sha256", r.AnswerSHA256)
	hash("signature_sha256", r.SignatureSHA256)
	str("signer_serial", r.SignerSerial)
	str("message_id", r.MessageID)
	if r.ClockOffset != nil {
		a = append(a, slog.Int64("clock_offset_ms", r.ClockOffset.Milliseconds()))
	}
	if r.Replayed {
		a = append(a, slog.Bool("replayed", true))
	}
	str("vihf", r.VIHF)
	return a
}
