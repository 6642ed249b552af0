package routing

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// An address is one that the policy let pass.
type address struct {
	url   string
	host  register.DNSName
	isNew bool // outside the known domains, accepted by policy
}

// An addressPolicy says which addresses of the annuaire a message of that key
// may be sent to.
type addressPolicy struct {
	amc    *register.AMC // nil: not in the register
	key    roc.Key
	policy Policy
}

// choose keeps the addresses that pass, in order, each once. When none does,
// the refusal is that of the first.
func (p addressPolicy) choose(offered []annuaire.Adresse) (Route, error) {
	r := Route{newAMC: p.amc == nil}
	if p.amc != nil {
		r.amcName = p.amc.Nom
	}
	for _, o := range offered {
		a, err := p.check(o.URL)
		if err != nil {
			r.setAside = append(r.setAside, err)
			continue
		}
		if !slices.ContainsFunc(r.urls, func(b address) bool { return a.url == b.url }) && len(r.urls) < maxAddresses {
			r.urls = append(r.urls, a)
		}
	}
	if len(r.urls) == 0 {
		return Route{}, r.setAside[0]
	}
	return r, nil
}

// check accepts an address of the annuaire, or says why not: AnnuaireRefused
// for one that can never be used, Quarantined for one on an unknown host.
func (p addressPolicy) check(url string) (address, *roc.Refusal) {
	a, err := parseURL(url)
	if err != nil {
		return address{}, roc.Refuse(roc.AnnuaireRefused, "the annuaire's address for AMC %s: %w", p.key.AMC, err).Because(roc.UnusableAddress).
			Saying("L'adresse donnée par l'annuaire pour l'organisme %s n'est pas utilisable.", p.key.AMC)
	}
	if p.amc != nil && p.amc.Covers(a.host) {
		return a, nil
	}
	// The resolver's search list decides where a name of one label leads: such
	// a name is used only if it is in the register.
	if a.host.SingleLabel() {
		return address{}, roc.Refuse(roc.AnnuaireRefused, "the annuaire's address for AMC %s: the host %q is a name of one label, and not in the register", p.key.AMC, string(a.host)).Because(roc.UnusableAddress).
			Saying("L'adresse donnée par l'annuaire pour l'organisme %s n'est pas utilisable.", p.key.AMC)
	}
	newcomer := p.policy.NewDomain
	switch {
	case p.amc == nil:
		newcomer = p.policy.NewAMC
	case p.policy.Approved != nil && p.policy.Approved(p.key.AMC, a.host):
		return a, nil
	}
	if newcomer != Accept {
		return address{}, roc.Refuse(roc.Quarantined, "%w", &Quarantined{p.key.AMC, a.host, p.amc == nil}).Because(roc.NewDomain).
			Saying("L'annuaire désigne pour l'organisme %s une adresse qui n'est dans aucun de ses domaines connus.", p.key.AMC)
	}
	a.isNew = true
	return a, nil
}

// maxURL is the longest address taken, in bytes.
const maxURL = 2048

// parseURL parses an address of the annuaire. It accepts a strict subset of RFC
// 3986, the one that every parser understands alike: what was checked here is
// what is dialled. https://name[:port][/path][?query] in ASCII; no user, no
// fragment, no address literal in any of its forms, no dot segment.
func parseURL(s string) (address, error) {
	const scheme = "https://"
	if len(s) > maxURL {
		return address{}, errors.New("it is too long")
	}
	if i := firstForbidden(s); i >= 0 {
		return address{}, errors.New("it holds a character that is not allowed in a URL, at " + strconv.Itoa(i+1))
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
		_, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil || port[1] == '0' || port[1] == '+' {
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
			return errors.New("it holds a % that is no escape sequence")
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

// firstForbidden finds the first byte that RFC 3986 does not allow, or -1.
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
