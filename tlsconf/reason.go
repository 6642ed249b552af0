package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// A Reason is why a handshake failed. The list is closed: it labels a metric.
type Reason string

// The reasons, for both directions.
const (
	NoCertificate Reason = "no-certificate" // the client sent none
	Expired       Reason = "expired"        // the certificate, or a CA above it, has ended
	NotYetValid   Reason = "not-yet-valid"  // it has not started: a clock may be wrong
	UnknownCA     Reason = "unknown-ca"     // no chain to the trust store of this side
	WrongUsage    Reason = "wrong-usage"    // key usage or extended key usage of another trade
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
	Crowded           Reason = "crowded"         // too many handshakes under way
	Other             Reason = "other"
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		NoCertificate, Expired, NotYetValid, UnknownCA, WrongUsage, WeakKey, Revoked, Denied, RevocationUnknown, StruckOff, BadName,
		Protocol, NoCommonSuite, PeerRefused, TimedOut, Closed, Crowded, Other,
	}
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
	s := "TLS handshake: " + string(f.Reason) + ": " + f.Detail
	if f.Subject != "" {
		s += fmt.Sprintf(" (subject %s, issuer %s)", f.Subject, f.Issuer)
	}
	return s
}

// Unwrap returns what crypto/tls said.
func (f *Failure) Unwrap() error { return f.Err }

func (f *Failure) presented(c *x509.Certificate) *Failure {
	if c != nil {
		f.Subject, f.Issuer = nameOf(c.Subject), nameOf(c.Issuer)
		f.Serial = fmt.Sprintf("%x", c.SerialNumber)
	}
	return f
}

// nameOf writes a name in the order of the certificate, "C=FR, ST=Paris (75),
// O=..., OU=..., CN=...", each value safe, cut on its own (a long one must not
// hide the next) and quoted where it holds a sign that separates.
func nameOf(n pkix.Name) string {
	var parts []string
	for i, a := range n.Names {
		if i == maxAttributes {
			parts = append(parts, "...")
			break
		}
		label, ok := attributeLabels[a.Type.String()]
		if !ok {
			label = a.Type.String()
		}
		value := cut(fmt.Sprint(a.Value), maxValue)
		if strings.ContainsAny(value, `,;+="<>#`) {
			value = `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
		}
		parts = append(parts, label+"="+value)
	}
	return strings.Join(parts, ", ")
}

// A value of a name has at most 64 characters (X.520), and a real subject
// five or six attributes.
const (
	maxValue      = 64
	maxAttributes = 12
)

var attributeLabels = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.42": "GN", "0.9.2342.19200300.100.1.25": "DC",
}

// maxSafe bounds what a peer can make us write, in runes.
const maxSafe = 300

// safe makes a text that a peer chose fit for one line of a log: what cannot
// be printed (control characters, bidirectional overrides, broken UTF-8) is
// escaped, and the rest cut.
func safe(s string) string { return cut(s, maxSafe) }

func cut(s string, most int) string {
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > most {
			b.WriteString("...")
			break
		}
		switch {
		case r == unicode.ReplacementChar:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// offered is what a ClientHello offered; zero when none came.
type offered struct {
	seen     bool
	versions []uint16
	name     string // SNI, as sent
}

func (o offered) tooOld() bool {
	if !o.seen {
		return false
	}
	for _, v := range o.versions {
		if v == tls.VersionTLS12 || v == tls.VersionTLS13 {
			return false
		}
	}
	return true
}

func (o offered) versionNames() string {
	var names []string
	for _, v := range o.versions {
		if len(names) == 6 { // a client may list thousands
			break
		}
		names = append(names, tls.VersionName(v))
	}
	return strings.Join(names, ", ")
}

// asFailure returns the Failure inside err, or nil.
func asFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}
