package xsd

import (
	"errors"
	"math/big"
	"strings"
)

// Collapse replaces each run of white space by one space and drops it at both
// ends (whiteSpace="collapse"). Only the four characters that XML calls white
// space count.
func Collapse(s string) string {
	if isCollapsed(s) {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, isSpaceRune), " ")
}

func isCollapsed(s string) bool {
	last := true // as after a space: none may begin
	for i := range len(s) {
		c := s[i]
		if c == '\t' || c == '\n' || c == '\r' || c == ' ' && last {
			return false
		}
		last = c == ' '
	}
	return !last || s == ""
}

func isSpaceRune(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// Boolean reads an xs:boolean: true, false, 1 or 0.
func Boolean(s string) (bool, error) {
	switch Collapse(s) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errors.New("an xs:boolean is true, false, 1 or 0")
}

var errInteger = errors.New("an xs:integer is a sign or none, then digits")

// Integer reads an xs:integer. The cost grows with the square of its length:
// the caller bounds it.
func Integer(s string) (*big.Int, error) {
	s = Collapse(s)
	if !allDigits(unsigned(s)) {
		return nil, errInteger
	}
	n, ok := new(big.Int).SetString(strings.TrimPrefix(s, "+"), 10)
	if !ok {
		return nil, errInteger
	}
	return n, nil
}

// Int reads an xs:integer of at most most, and at least 0. Leading zeros and a
// sign are part of the type's lexical space; "-0" is 0.
func Int(s string, most int) (int, error) {
	s = Collapse(s)
	digits := unsigned(s)
	if !allDigits(digits) {
		return 0, errInteger
	}
	n := 0
	for i := range len(digits) {
		if n = 10*n + int(digits[i]-'0'); n > most {
			return 0, errors.New("the number is too large")
		}
	}
	if n > 0 && s[0] == '-' {
		return 0, errors.New("the number is below 0")
	}
	return n, nil
}

// unsigned drops one sign.
func unsigned(s string) string {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return s[1:]
	}
	return s
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
