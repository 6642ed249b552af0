package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"unicode"
)

// NameOf writes a name in the order of the certificate, "C=FR, ST=Paris (75),
// O=..., OU=..., CN=...", each value safe, cut on its own (a long one must not
// hide the next) and quoted where it holds a sign that separates.
func NameOf(n pkix.Name) string {
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
		value := Cut(fmt.Sprint(a.Value), MaxValue)
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
	MaxValue      = 64
	maxAttributes = 12
)

var attributeLabels = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.42": "GN", "0.9.2342.19200300.100.1.25": "DC",
}

// maxSafe bounds what a peer can make us write, in runes.
const maxSafe = 300

// Safe makes a text that a peer chose fit for one line of a log: what cannot
// be printed (control characters, bidirectional overrides, broken UTF-8) is
// escaped, and the rest cut.
func Safe(s string) string { return Cut(s, maxSafe) }

// Cut is Safe with another bound.
func Cut(s string, most int) string {
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

// Describe names a certificate by its subject and serial number.
func Describe(c *x509.Certificate) string {
	return fmt.Sprintf("%s (serial %x)", NameOf(c.Subject), c.SerialNumber)
}
