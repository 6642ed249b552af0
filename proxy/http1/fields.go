package http1

import (
	"strconv"
	"strings"
)

// A Field is one header field, as sent: the value without the white space
// around it.
type Field struct{ Name, Value string }

// String gives the name only: values are the peer's.
func (f *Field) String() string { return f.Name }

// Fields are the header fields of one message, in order.
type Fields []Field

// One returns the only field of that name, "" when there is none; ok is false
// when there are several.
func (fs Fields) One(name string) (value string, ok bool) {
	n := 0
	for i := range fs {
		if strings.EqualFold(fs[i].Name, name) {
			value = fs[i].Value
			n++
		}
	}
	return value, n <= 1
}

// Count is how many fields of that name there are.
func (fs Fields) Count(name string) (n int) {
	for i := range fs {
		if strings.EqualFold(fs[i].Name, name) {
			n++
		}
	}
	return n
}

// Has reports whether a list-valued field holds the element, compared without
// case ("Connection: close").
func (fs Fields) Has(name, element string) bool {
	for i := range fs {
		if !strings.EqualFold(fs[i].Name, name) {
			continue
		}
		for e := range strings.SplitSeq(fs[i].Value, ",") {
			if strings.EqualFold(strings.Trim(e, " \t"), element) {
				return true
			}
		}
	}
	return false
}

// Joined returns all fields of that name as one list.
func (fs Fields) Joined(name string) string {
	v, ok := fs.One(name)
	if ok {
		return v
	}
	var all []string
	for i := range fs {
		if strings.EqualFold(fs[i].Name, name) {
			all = append(all, fs[i].Value)
		}
	}
	return strings.Join(all, ", ")
}

// A framing says how long the body of a message is.
type framing struct {
	chunked bool
	length  int  // when not chunked
	present bool // a length or a transfer coding was stated
}

// framing reads Content-Length and Transfer-Encoding (RFC 9112 section 6).
// Whatever two implementations might read differently is refused: both at
// once, a length twice even when equal, a list, a sign, a coding other than
// chunked alone.
func (fs Fields) framing(http10 bool) (framing, error) {
	te, oneTE := fs.One("Transfer-Encoding")
	cl, oneCL := fs.One("Content-Length")
	hasTE, hasCL := fs.Count("Transfer-Encoding") > 0, fs.Count("Content-Length") > 0
	switch {
	case hasTE && hasCL:
		return framing{}, bad("length-and-coding", "Content-Length et Transfer-Encoding ne peuvent figurer ensemble")
	case !oneCL:
		return framing{}, bad("two-lengths", "Content-Length figure deux fois")
	case hasTE && http10:
		return framing{}, bad("coding-in-http10", "Transfer-Encoding n'existe pas en HTTP/1.0")
	case !oneTE || hasTE && !strings.EqualFold(te, "chunked"):
		return framing{}, bad("coding", "Transfer-Encoding ne peut être que chunked, une seule fois")
	case hasTE:
		return framing{chunked: true, present: true}, nil
	case hasCL:
		n, ok := Number(cl)
		if !ok {
			return framing{}, bad("bad-length", "Content-Length n'est pas un nombre")
		}
		return framing{length: n, present: true}, nil
	}
	return framing{}, nil
}

// Number reads 1*DIGIT. Fifteen digits are enough for anybody.
func Number(s string) (int, bool) {
	if s == "" || len(s) > 15 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// parseFields reads header or trailer lines, each with its CRLF (RFC 9112
// section 5). Refused: a fold, white space before the colon, a name that is
// not a token, CR, LF, NUL or another control in a value.
func parseFields(s string, reuse Fields, most int) (Fields, error) {
	fs := reuse[:0]
	for s != "" {
		var line string
		line, s, _ = strings.Cut(s, "\r\n")
		if line[0] == ' ' || line[0] == '\t' {
			return nil, bad("fold", "un en-tête continue sur une seconde ligne")
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, bad("field-name", "un en-tête n'est pas « nom: valeur », sans espace avant les deux-points")
		}
		if !isValue(value) {
			return nil, bad("field-value", "la valeur d'un en-tête contient un caractère interdit (CR, LF, NUL, contrôle)")
		}
		if len(fs) == most {
			return nil, &Malformed{431, "too-many-fields", "il y a plus de " + strconv.Itoa(most) + " en-têtes"}
		}
		fs = append(fs, Field{name, strings.Trim(value, " \t")})
	}
	return fs, nil
}

// isToken: RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

var tokenByte = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()

// isValue: field-content of RFC 9110 section 5.5, and white space.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
