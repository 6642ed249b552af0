package http1

import (
	"net/netip"
	"strings"
)

// Limits of a head. A SOAP client sends a dozen fields; the fronts of an
// insurer add theirs to an answer.
const (
	maxHead         = 16 << 10
	maxFields       = 64
	maxAnswerHead   = 32 << 10
	maxAnswerFields = 128
)

// A requestHead is the first line and the fields of a request.
type requestHead struct {
	method, target string
	host           string // the Host, or what an absolute target says in its place
	http10         bool
	fields         Fields
	framing        framing
}

// readRequest reads the head of a request. reuse is a slice for its fields.
// io.EOF: the connection ended before the first byte.
func (in *wire) readRequest(reuse Fields) (requestHead, error) {
	if err := in.skipOneEmptyLine(); err != nil {
		return requestHead{}, err
	}
	b, err := in.block(maxHead)
	if err != nil {
		return requestHead{}, tooLong(err, 431, "head-too-large", "les en-têtes dépassent 16 Kio")
	}
	first, rest, _ := strings.Cut(string(b), "\r\n")
	h, err := requestLine(first)
	if err != nil {
		return requestHead{}, err
	}
	if h.fields, err = parseFields(rest, reuse, maxFields); err != nil {
		return requestHead{}, err
	}
	if err := h.checkHost(); err != nil {
		return requestHead{}, err
	}
	if err := h.originForm(); err != nil {
		return requestHead{}, err
	}
	if err := h.checkSingle(); err != nil {
		return requestHead{}, err
	}
	h.framing, err = h.fields.framing(h.http10)
	return h, err
}

// checkSingle: a field that decides something stands once, and the only
// expectation there is, is 100-continue (RFC 9110 section 10.1.1).
func (h *requestHead) checkSingle() error {
	for _, name := range []string{"Content-Type", "Content-Encoding", "SOAPAction", "RPN-Delai-Ms", "Expect"} {
		if h.fields.Count(name) > 1 {
			return bad("two-"+strings.ToLower(name), name+" figure deux fois")
		}
	}
	if v, _ := h.fields.One("Expect"); v != "" && !h.http10 && !strings.EqualFold(v, "100-continue") {
		return &Malformed{417, "expect", "Expect ne peut être que 100-continue"}
	}
	return nil
}

// skipOneEmptyLine: old clients end a body with a CRLF too many (RFC 9112
// section 2.2).
func (in *wire) skipOneEmptyLine() error {
	for in.buffered() < 2 {
		if in.buffered() == 1 && in.buf[in.r] != '\r' {
			return nil
		}
		if err := in.fill(maxHead); err != nil {
			if in.buffered() > 0 {
				err = noEOF(err)
			}
			return err
		}
	}
	if in.buf[in.r] == '\r' && in.buf[in.r+1] == '\n' {
		in.r += 2
	}
	return nil
}

func requestLine(s string) (requestHead, error) {
	method, rest, ok1 := strings.Cut(s, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || !isToken(method) || !isVisible(target) {
		return requestHead{}, bad("request-line", "la première ligne n'est pas « méthode cible HTTP/1.1 »")
	}
	switch version {
	case "HTTP/1.1":
		return requestHead{method: method, target: target}, nil
	case "HTTP/1.0":
		return requestHead{method: method, target: target, http10: true}, nil
	}
	if isHTTP1(version) {
		return requestHead{method: method, target: target}, nil
	}
	if len(version) == 8 && strings.HasPrefix(version, "HTTP/") && version[6] == '.' {
		return requestHead{}, &Malformed{505, "http-version", "seul HTTP/1.1 est servi"}
	}
	return requestHead{}, bad("request-line", "la première ligne n'est pas « méthode cible HTTP/1.1 »")
}

// isHTTP1 reports whether a version is a later minor one of HTTP/1, which is
// taken as 1.1 (RFC 9110 section 2.5).
func isHTTP1(version string) bool {
	minor, ok := strings.CutPrefix(version, "HTTP/1.")
	return ok && len(minor) == 1 && minor[0] >= '2' && minor[0] <= '9'
}

// checkHost wants exactly one Host (RFC 9112 section 3.2); HTTP/1.0 may have none.
func (h *requestHead) checkHost() error {
	host, one := h.fields.One("Host")
	switch {
	case !one:
		return bad("two-hosts", "Host figure deux fois")
	case h.fields.Count("Host") == 0 && h.http10:
		return nil
	case !isHost(host):
		return bad("host", "Host manque ou n'est pas un nom d'hôte")
	}
	return nil
}

// originForm takes a target in absolute form as the same one in origin form; its
// host stands in the place of Host (RFC 9112 section 3.2.2).
func (h *requestHead) originForm() error {
	h.host, _ = h.fields.One("Host")
	scheme, rest, ok := strings.Cut(h.target, "://")
	if !ok || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return nil
	}
	host, path := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if path[0] == '?' {
		path = "/" + path
	}
	if !isHost(host) {
		return bad("host", "l'adresse absolue de la première ligne n'a pas de nom d'hôte")
	}
	h.host, h.target = host, path
	return nil
}

// An answerHead is the status and the fields of an answer.
type answerHead struct {
	status  int
	fields  Fields
	framing framing
	last    bool // the connection ends with this answer

	untilClose bool // and its body with the connection
}

// readAnswer reads the head of the final answer to a POST; interim answers
// (1xx, RFC 9110 section 15.2) are passed over.
func (in *wire) readAnswer(reuse Fields) (answerHead, error) {
	for range 8 {
		b, err := in.block(maxAnswerHead)
		if err != nil {
			return answerHead{}, tooLong(err, 0, "head-too-large", "")
		}
		first, rest, _ := strings.Cut(string(b), "\r\n")
		h, http10, err := statusLine(first)
		if err != nil {
			return h, err
		}
		if h.fields, err = parseFields(rest, reuse, maxAnswerFields); err != nil {
			return h, err
		}
		if h.framing, err = h.fields.framing(http10); err != nil {
			return h, err
		}
		if h.status >= 200 {
			h.settle(http10)
			return h, nil
		}
		if h.status == 101 || h.framing.present {
			return h, bad("interim", "")
		}
	}
	return answerHead{}, bad("interim", "")
}

// settle decides what the fields leave open (RFC 9112 section 6.3): a body
// without a length ends with its connection.
func (h *answerHead) settle(http10 bool) {
	h.last = http10 || h.fields.Has("Connection", "close")
	switch {
	case h.status == 204 || h.status == 304:
		// No body, whatever is stated; what is stated and does not come is no
		// reason to trust the connection further.
		h.last = h.last || h.framing.chunked || h.framing.length > 0
		h.framing = framing{}
	case !h.framing.present:
		h.untilClose, h.last = true, true
	}
}

func statusLine(s string) (h answerHead, http10 bool, err error) {
	version, rest, ok := strings.Cut(s, " ")
	code, reason, _ := strings.Cut(rest, " ")
	if !ok || version != "HTTP/1.1" && version != "HTTP/1.0" && !isHTTP1(version) || len(code) != 3 || !isValue(reason) {
		return h, false, bad("status-line", "")
	}
	n, ok := Number(code)
	if !ok || n < 100 || n > 599 {
		return h, false, bad("status-line", "")
	}
	return answerHead{status: n}, version == "HTTP/1.0", nil
}

// isVisible: a request target is visible ASCII.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// isHost: a name or an address with an optional port (RFC 9110 section 7.2);
// nothing that would let two readers see two hosts.
func isHost(s string) bool {
	host, port := s, ""
	if inside, rest, ok := strings.Cut(s, "]"); ok && strings.HasPrefix(inside, "[") {
		if a, err := netip.ParseAddr(inside[1:]); err != nil || !a.Is6() || a.Zone() != "" {
			return false
		}
		if rest == "" {
			return true
		}
		host, port, ok = strings.Cut(rest, ":")
		return ok && host == "" && isPort(port)
	}
	if name, after, ok := strings.Cut(s, ":"); ok {
		host, port = name, after
		if !isPort(port) {
			return false
		}
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return host != ""
}

// isPort: 1 to 5 digits, or none after the colon (RFC 3986 section 3.2.3).
func isPort(s string) bool {
	n, ok := Number(s)
	return s == "" || ok && len(s) <= 5 && n <= 65535
}
