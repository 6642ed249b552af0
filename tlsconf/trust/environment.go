package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// TestWord returns the word of a name that says that it is not for production
// (TEST, DEMO, FICTIF...), or "". IGC-Santé names its test authorities "TEST
// AC ..." under OU=IGC-SANTE TEST (domain 4.1).
func TestWord(n pkix.Name) string {
	for _, a := range n.Names {
		words := strings.FieldsFunc(fmt.Sprint(a.Value), func(r rune) bool { return !unicode.IsLetter(r) })
		for _, w := range words {
			if slices.Contains([]string{"TEST", "TESTS", "DEMO", "FICTIF", "FICTIVE"}, strings.ToUpper(w)) {
				return Safe(w)
			}
		}
	}
	return ""
}

// productionOU is the OU of the production authorities of IGC-Santé; those for
// tests have "IGC-SANTE TEST" (domain 4.1).
const productionOU = "IGC-SANTE"

// ErrEnvironment is the error of a store that holds an authority of another
// environment. One is told, not each.
var ErrEnvironment = errors.New("is an authority of another environment")

// An Environment says what a store may hold. Test and production never mix:
// anybody can obtain a certificate of a test authority, and a test environment
// must not take a real establishment at its word.
type Environment int

// The environments.
const (
	AnyEnvironment Environment = iota // tools and tests: nothing is refused
	Production                        // no authority named TEST
	Testing                           // no production authority of IGC-Santé
)

// admits says whether this CA may be in a store of the environment.
func (e Environment) admits(ca *x509.Certificate) error {
	switch e {
	case Production:
		for _, n := range []pkix.Name{ca.Subject, ca.Issuer} {
			if word := TestWord(n); word != "" {
				return fmt.Errorf("%w: it is not for production, its name says %q: take the production authorities, or set environment: test", ErrEnvironment, word)
			}
		}
	case Testing:
		if slices.Contains(ca.Subject.OrganizationalUnit, productionOU) {
			return fmt.Errorf("%w: it is a production authority of IGC-Sante in a test environment, where a real establishment must not be taken at its word: "+
				"take the authorities named TEST, or set environment: production", ErrEnvironment)
		}
	}
	return nil
}

// Lost returns what a new generation takes away: the CAs of old that next
// lacks.
func Lost(old, next *Trust) []*x509.Certificate {
	var lost []*x509.Certificate
	for _, c := range slices.Concat(old.roots, old.intermediates) {
		if !slices.ContainsFunc(slices.Concat(next.roots, next.intermediates), c.Equal) {
			lost = append(lost, c)
		}
	}
	return lost
}

// differences says which CAs came and went, a line each.
func differences(old, next *Trust) []string {
	var what []string
	for _, c := range Lost(next, old) {
		what = append(what, "now trusts "+Describe(c)+", until "+Day(c.NotAfter))
	}
	for _, c := range Lost(old, next) {
		what = append(what, "no longer trusts "+Describe(c))
	}
	return what
}
