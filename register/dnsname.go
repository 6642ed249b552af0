package register

import (
	"errors"
	"fmt"
	"strings"
)

// A DNSName is the name of a host or a domain: lower case, ASCII, no final
// dot, never an address: "roc.amc.example".
type DNSName string

// ParseDNSName parses a DNS name (RFC 1123 section 2.1: labels of letters,
// digits and hyphens, 63 characters each, 253 in all). The last label must
// start with a letter: everything that a resolver takes for an IPv4 address, in
// decimal, hexadecimal or octal, with one part or four, ends with a number
// (WHATWG URL, "ends in a number").
func ParseDNSName(s string) (DNSName, error) {
	if err := notAName(s); err != nil {
		return "", err
	}
	if len(s) > 253 {
		return "", errors.New("a DNS name has at most 253 characters")
	}
	s = strings.ToLower(s)
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("a DNS name is made of labels of letters, digits and inner hyphens, at most 63 characters each; %.70q is not one", label)
		}
		last = label
	}
	if last[0] < 'a' || last[0] > 'z' {
		return "", errors.New("a DNS name ends with a letter label: this is a network address, or no name at all")
	}
	return DNSName(s), nil
}

// notAName explains the usual mistakes.
func notAName(s string) error {
	switch {
	case s == "":
		return errors.New("the name is empty")
	case strings.Contains(s, "://"):
		return errors.New("give the name alone, without https:// and without a path")
	case strings.ContainsAny(s, "/?#"):
		return errors.New("give the name alone, without a path")
	case strings.Contains(s, "@"):
		return errors.New("give the name alone, without a user")
	case strings.HasPrefix(s, "["), strings.Count(s, ":") > 1:
		return errors.New("this is a network address: give a DNS name")
	case strings.Contains(s, ":"):
		return errors.New("give the name alone, without a port")
	case strings.HasPrefix(s, "*."):
		return errors.New("remove *. : a domain covers its subdomains")
	case strings.HasPrefix(s, "."), strings.HasSuffix(s, "."):
		return errors.New("remove the dot at the start or at the end")
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			return errors.New("write the name in its ASCII form (xn--...)")
		}
	}
	return nil
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// SingleLabel reports whether the name has no dot: "localhost".
func (d DNSName) SingleLabel() bool { return !strings.Contains(string(d), ".") }

// Covers reports whether host is d or a subdomain of d. A single label covers
// itself only: "fr" is not everyone in France.
func (d DNSName) Covers(host DNSName) bool {
	if d == host {
		return d != ""
	}
	if d == "" || d.SingleLabel() {
		return false
	}
	rest, ok := strings.CutSuffix(string(host), string(d))
	return ok && strings.HasSuffix(rest, ".")
}
