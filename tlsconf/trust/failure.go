package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// A Reason is why a handshake failed. The list is closed: it labels a metric.
type Reason string

// The reasons, for both directions.
const (
	NoCertificate Reason = "no-certificate" // the client sent none
	Expired       Reason = "expired"        // the certificate, or a CA above it, has ended
	NotYetValid   Reason = "not-yet-valid"  // it has not started: a clock may be wrong
	UnknownCA     Reason = "unknown-ca"     // no chain to the trust store of this side
	WrongUsage    Reason = "wrong-usage"    // key usage or extended key usage of another purpose
	Malformed     Reason = "malformed"      // what is presented is not exactly a certificate
	Oversized     Reason = "oversized"      // too many certificates, or too large
	WrongCategory Reason = "wrong-category" // product category of the other environment, of a card or a module
	WeakKey       Reason = "weak-key"       // key or signature algorithm not accepted: RSA < 2048, SHA-1
	Revoked       Reason = "revoked"        // by its CA: a revocation list, or OCSP
	Denied        Reason = "denied"         // on the emergency deny list
	// RevocationUnknown: no revocation list serves, and the policy says closed.
	RevocationUnknown Reason = "revocation-unknown"
	StruckOff         Reason = "struck-off"      // no longer in the register: closes connections only
	BadName           Reason = "bad-name"        // the server's certificate is for another name
	Protocol          Reason = "protocol"        // not TLS, a version below 1.2, no common ALPN, a broken message
	NoCommonSuite     Reason = "no-common-suite" // no cipher suite or group in common
	PeerRefused       Reason = "peer-refused"    // the peer sent an alert: it does not accept us
	TimedOut          Reason = "timeout"         // the handshake did not end within its deadline
	Closed            Reason = "closed"          // the peer went away
	Overloaded        Reason = "overloaded"      // too many handshakes under way
	// BadForwarding: the header of a load balancer is missing, malformed, or of
	// one that is not named.
	BadForwarding Reason = "bad-forwarding"
	Other         Reason = "other"
)

// Reasons lists them all.
func Reasons() []Reason {
	return []Reason{NoCertificate, Expired, NotYetValid, UnknownCA, WrongUsage, Malformed, Oversized, WrongCategory, WeakKey, Revoked, Denied,
		RevocationUnknown, StruckOff, BadName, Protocol, NoCommonSuite, PeerRefused, TimedOut, Closed, Overloaded, BadForwarding, Other}
}

// A Failure is a handshake that failed. Its texts are English, one line, and
// safe to log: what the peer wrote has its control characters escaped.
type Failure struct {
	Reason  Reason
	Detail  string // what is wrong, and what to do where that is known
	Subject string // of the certificate the peer presented, or ""
	Issuer  string
	Serial  string // hexadecimal
	Peer    string // address and port
	Err     error  // what crypto/tls said, or nil
}

// Error says the reason, the detail, and who presented what.
func (f *Failure) Error() string {
	s := string(f.Reason) + ": " + f.Detail
	if f.Subject != "" {
		s += fmt.Sprintf(" (subject %s, issuer %s)", f.Subject, f.Issuer)
	}
	return s
}

// Unwrap returns what crypto/tls said.
func (f *Failure) Unwrap() error { return f.Err }

// Presented names the certificate that the peer presented.
func (f *Failure) Presented(c *x509.Certificate) *Failure {
	if c != nil {
		f.Subject, f.Issuer = NameOf(c.Subject), NameOf(c.Issuer)
		f.Serial = fmt.Sprintf("%x", c.SerialNumber)
	}
	return f
}

// AsFailure returns the Failure inside err, or nil.
func AsFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}
