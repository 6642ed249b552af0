package message

import (
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A ContentType is a Content-Type header, parsed once and strictly (profile
// section 1): the media type of one version of SOAP, with the parameters
// charset and action, each once at most, and no other. String writes it again:
// an insurer receives exactly what was parsed, so no other reader can find an
// action there that was not compared.
type ContentType struct {
	Version   soap.Version
	charset   string // "", "utf-8" or "us-ascii"
	action    string
	hasAction bool
}

// maxContentType is many times the longest valid one.
const maxContentType = 512

// ParseContentType reads a Content-Type (RFC 9110 8.3.1). Beyond the RFC, an
// action without quotes is read, as several clients write it, and the charset
// "utf8". An extended parameter (charset*, RFC 2231), a parameter twice, one
// of another name or a quoted pair is refused as not-soap.
func ParseContentType(v string) (ContentType, error) {
	var c ContentType
	if len(v) > maxContentType {
		return c, notSOAP("Content-Type is too long", "L'en-tête Content-Type dépasse %d caractères.", maxContentType)
	}
	media, rest, _ := strings.Cut(v, ";")
	switch {
	case strings.EqualFold(trimOWS(media), "text/xml"):
		c.Version = soap.SOAP11
	case strings.EqualFold(trimOWS(media), "application/soap+xml"):
		c.Version = soap.SOAP12
	default:
		return c, notSOAP("Content-Type is neither text/xml nor application/soap+xml",
			"Content-Type doit être text/xml (SOAP 1.1) ou application/soap+xml (SOAP 1.2) ; les pièces jointes (multipart, MTOM) ne sont pas admises.")
	}
	for rest = trimOWS(rest); rest != ""; rest = trimOWS(rest) {
		if rest[0] == ';' { // an empty parameter (RFC 9110 5.6.6)
			rest = rest[1:]
			continue
		}
		name, value, after, ok := parameter(rest)
		if !ok {
			return c, notSOAP("a parameter of Content-Type cannot be read", "Un paramètre de Content-Type est illisible : écrivez nom=valeur ou nom=\"valeur\", séparés par des points-virgules.")
		}
		rest = after
		if err := c.set(name, value); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *ContentType) set(name, value string) error {
	switch {
	case strings.EqualFold(name, "charset") && c.charset == "":
		switch strings.ToLower(value) {
		case "utf-8", "utf8":
			c.charset = "utf-8"
		case "us-ascii":
			c.charset = "us-ascii"
		default:
			return notSOAP("charset is not UTF-8", "Le message doit être en UTF-8 (paramètre charset de Content-Type).")
		}
	case strings.EqualFold(name, "action") && !c.hasAction:
		c.action, c.hasAction = value, true
	case strings.EqualFold(name, "charset"), strings.EqualFold(name, "action"):
		return notSOAP("a parameter of Content-Type twice", "Un paramètre de Content-Type figure deux fois.")
	default:
		return notSOAP("an unknown parameter of Content-Type", "Content-Type n'admet que les paramètres charset et action ; retirez les autres.")
	}
	return nil
}

// parameter reads one parameter and what separates it from the next.
func parameter(s string) (name, value, rest string, ok bool) {
	n := 0
	for n < len(s) && isToken(s[n]) {
		n++
	}
	if n == 0 || n >= len(s) || s[n] != '=' {
		return "", "", "", false
	}
	name, s = s[:n], s[n+1:]
	if strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s[1:], '"')
		if end < 0 {
			return "", "", "", false
		}
		value, rest = s[1:1+end], s[2+end:]
		for i := range len(value) {
			if value[i] < ' ' || value[i] > '~' || value[i] == '\\' {
				return "", "", "", false
			}
		}
	} else {
		end := 0
		for end < len(s) && isBare(s[end]) {
			end++
		}
		if end == 0 {
			return "", "", "", false
		}
		value, rest = s[:end], s[end:]
	}
	if rest = trimOWS(rest); rest != "" && rest[0] != ';' {
		return "", "", "", false
	}
	return name, value, rest, true
}

// isToken says whether c may stand in a token (RFC 9110 5.6.2).
func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isBare says whether c may stand in a value without quotes: the characters of
// a token, and those of a URI that separate nothing here.
func isBare(c byte) bool { return isToken(c) || c == ':' || c == '/' }

// trimOWS drops the white space that HTTP allows around a value.
func trimOWS(s string) string { return strings.Trim(s, " \t") }

// String is the header that says what was parsed.
func (c ContentType) String() string {
	s := "application/soap+xml"
	if c.Version == soap.SOAP11 {
		s = "text/xml"
	}
	if c.charset != "" {
		s += "; charset=" + c.charset
	}
	if c.hasAction {
		s += `; action="` + c.action + `"`
	}
	return s
}

// agrees refuses a media type of the other version of SOAP, and us-ascii
// around anything else.
func (c ContentType) agrees(env *soap.Envelope) error {
	if c.Version != env.Version() {
		return notSOAP("the media type is that of the other version of SOAP",
			"Content-Type annonce SOAP %s, l'enveloppe est en SOAP %s : text/xml va avec 1.1, application/soap+xml avec 1.2.", c.Version, env.Version())
	}
	if c.charset == "us-ascii" && !isASCII(env.Content().Bytes()) {
		return notSOAP("us-ascii around other bytes", "Content-Type annonce us-ascii, mais le message contient d'autres caractères : annoncez utf-8.")
	}
	return nil
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// A SOAPAction is a SOAPAction header, parsed once and strictly: quoted (SOAP
// 1.1, 6.1.1), or bare as several clients write it. The zero SOAPAction is
// none.
type SOAPAction struct {
	action        string
	quoted, there bool
}

// ParseSOAPAction parses the header; there is false when the message has none.
// CheckActions compares what it names.
func ParseSOAPAction(v string, there bool) (SOAPAction, error) {
	if !there {
		return SOAPAction{}, nil
	}
	a := SOAPAction{action: trimOWS(v), there: true}
	if len(a.action) >= 2 && a.action[0] == '"' && a.action[len(a.action)-1] == '"' {
		a.action, a.quoted = a.action[1:len(a.action)-1], true
	}
	for i := range len(a.action) {
		if !isBare(a.action[i]) {
			return a, roc.Refuse(roc.UnknownOperation, "SOAPAction cannot be read").Because(roc.ActionUnreadable).
				Saying("L'en-tête SOAPAction est illisible : écrivez l'action du WSDL entre guillemets, et rien d'autre.")
		}
	}
	return a, nil
}

// Header is the header that says what was parsed; false when there is none.
func (a SOAPAction) Header() (string, bool) {
	if a.quoted {
		return `"` + a.action + `"`, a.there
	}
	return a.action, a.there
}

func notSOAP(en, fr string, args ...any) error {
	return roc.Refuse(roc.NotSOAP, "%s", en).Because(roc.BadContentType).Saying(fr, args...)
}
