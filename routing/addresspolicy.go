package routing

import (
	"errors"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// An address is one that passed the guard.
type address struct {
	url   string
	host  register.DNSName
	isNew bool // outside the known domains, accepted by policy
}

// guard accepts an address of the annuaire, or says why not: AnnuaireRefused
// for one that can never be used, Quarantined for one at an unknown place.
func guard(amc *register.AMC, key roc.Key, url string, p Policy) (address, *roc.Refusal) {
	a, err := parseURL(url)
	if err != nil {
		return address{}, roc.Refuse(roc.AnnuaireRefused, "the annuaire's address for AMC %s: %w", key.AMC, err).
			Saying("L'adresse donnée par l'annuaire pour l'organisme %s n'est pas utilisable.", key.AMC)
	}
	if amc != nil && amc.Covers(a.host) {
		return a, nil
	}
	// A name of one label leads wherever the resolver's search list says: only
	// one that is written in the register is used.
	if a.host.SingleLabel() {
		return address{}, roc.Refuse(roc.AnnuaireRefused, "the annuaire's address for AMC %s: the host %q is a name of one label, and not in the register", key.AMC, string(a.host)).
			Saying("L'adresse donnée par l'annuaire pour l'organisme %s n'est pas utilisable.", key.AMC)
	}
	stance := p.NewDomain
	if amc == nil {
		stance = p.NewAMC
	}
	if stance != Accept {
		return address{}, roc.Refuse(roc.Quarantined, "the annuaire moved AMC %s to %q, outside its known domains", key.AMC, string(a.host)).
			Saying("L'annuaire désigne pour l'organisme %s une adresse qui n'est dans aucun de ses domaines connus.", key.AMC)
	}
	a.isNew = true
	return a, nil
}

// maxURL is the longest address taken, in bytes.
const maxURL = 2048

// parseURL reads an address of the annuaire. It takes a strict subset of RFC
// 3986, the one that every reader understands alike: what the guard saw is what
// is dialled. https://name[:port][/path][?query] in ASCII; no user, no
// fragment, no address literal in any of its forms, no dot segment.
func parseURL(s string) (address, error) {
	const scheme = "https://"
	if len(s) > maxURL {
		return address{}, errors.New("it is too long")
	}
	if i := firstForbidden(s); i >= 0 {
		return address{}, errors.New("it holds a character that no URL does, at " + strconv.Itoa(i+1))
	}
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return address{}, errors.New("it does not start with https://")
	}
	authority, rest := s[len(scheme):], ""
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority, rest = authority[:i], authority[i:]
	}
	host, port, err := parseAuthority(authority)
	if err != nil {
		return address{}, err
	}
	if err := checkRest(rest); err != nil {
		return address{}, err
	}
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return address{url: scheme + string(host) + port + rest, host: host}, nil
}

// parseAuthority reads name[:port]; the port comes back with its colon.
func parseAuthority(s string) (register.DNSName, string, error) {
	if strings.Contains(s, "@") {
		return "", "", errors.New("it names a user")
	}
	name, port := s, ""
	if i := strings.IndexByte(s, ':'); i >= 0 {
		name, port = s[:i], s[i:]
		n, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil || n == 0 || port[1] == '0' || port[1] == '+' {
			return "", "", errors.New("its port is not a number from 1 to 65535, or its host is an address literal")
		}
	}
	host, err := register.ParseDNSName(name)
	return host, port, err
}

// checkRest checks the path and the query.
func checkRest(s string) error {
	switch {
	case strings.Contains(s, "#"):
		return errors.New("it has a fragment")
	case strings.ContainsAny(s, "[]"):
		return errors.New("its path or query holds a bracket")
	}
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			return errors.New("it holds a % that is no escape")
		}
	}
	path, _, _ := strings.Cut(s, "?")
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return errors.New("its path holds a dot segment")
		}
	}
	return nil
}

// firstForbidden finds the first byte that RFC 3986 has no place for, or -1.
func firstForbidden(s string) int {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return i
		}
	}
	return -1
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
