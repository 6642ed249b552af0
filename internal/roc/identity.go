package roc

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A FINESS is the nine-character number of an establishment, of its legal
// entity (EJ) or of one of its sites (EG): "010003812", "2A0000014".
// Pattern [0-9][0-9A-Z][0-9]{7} (profile section 4). No check digit is
// enforced: numbers with a letter carry none.
type FINESS string

// ParseFINESS reads a FINESS number. It accepts the exact pattern and nothing
// else: no space, no lower case.
func ParseFINESS(s string) (FINESS, error) {
	if len(s) == 8 && allDigits(s) {
		return "", fmt.Errorf("a FINESS has 9 characters, not 8 (was the first zero lost, as Excel does? 0%s)", s)
	}
	if len(s) != 9 {
		return "", fmt.Errorf("a FINESS has 9 characters, not %d", len(s))
	}
	for i := range len(s) {
		c := s[i]
		if isDigit(c) || i == 1 && isUpper(c) {
			continue
		}
		return "", fmt.Errorf("a FINESS is a digit, a digit or capital letter, then 7 digits; character %d is not", i+1)
	}
	return FINESS(s), nil
}

// A StructureID is the Struct_IdNat of a structure, as the OU of its
// certificate carries it: a prefix digit, then the identifier. "1010003812" is
// the establishment of FINESS 010003812; "318751275100020" a SIRET.
type StructureID string

// ParseStructureID reads a Struct_IdNat: prefix 1 and a FINESS, 2 and a SIREN
// (9 digits) or 3 and a SIRET (14 digits) (profile section 4, domain 4.3).
func ParseStructureID(s string) (StructureID, error) {
	if s == "" {
		return "", errors.New("the structure id is empty")
	}
	rest := s[1:]
	switch s[0] {
	case '1':
		if _, err := ParseFINESS(rest); err != nil {
			return "", fmt.Errorf("structure id of prefix 1: %w", err)
		}
	case '2':
		if len(rest) != 9 || !allDigits(rest) {
			return "", errors.New("structure id of prefix 2: a SIREN has 9 digits")
		}
	case '3':
		if len(rest) != 14 || !allDigits(rest) {
			return "", errors.New("structure id of prefix 3: a SIRET has 14 digits")
		}
	default:
		return "", errors.New("a structure id starts with 1 (FINESS), 2 (SIREN) or 3 (SIRET)")
	}
	return StructureID(s), nil
}

// FINESS returns the FINESS number inside the id, and false when the id is
// not one of an establishment (prefix 1).
func (s StructureID) FINESS() (FINESS, bool) {
	if len(s) != 10 || s[0] != '1' {
		return "", false
	}
	return FINESS(s[1:]), true
}

// StructureOf returns the structure id of the establishment of that FINESS.
func StructureOf(f FINESS) StructureID { return StructureID("1" + string(f)) }

// ParseStructure reads what a person writes for a structure: a structure id, or
// the FINESS of an establishment.
func ParseStructure(s string) (StructureID, error) {
	if f, err := ParseFINESS(s); err == nil {
		return StructureOf(f), nil
	}
	return ParseStructureID(s)
}

// A NumeroAMC is the number of a complementary insurer in canonical form: ten
// digits, padded on the left with zeros: "0077565712".
type NumeroAMC string

// ParseNumeroAMC reads a number as attestations print it: 8 to 10 digits, with
// or without spaces. No check digit: known real numbers fail it (domain 3).
func ParseNumeroAMC(s string) (NumeroAMC, error) {
	if strings.IndexByte(s, ' ') >= 0 {
		s = strings.ReplaceAll(s, " ", "")
	}
	if len(s) < 8 || len(s) > 10 || !allDigits(s) {
		return "", errors.New("an AMC number is 8 to 10 digits")
	}
	if len(s) == 10 {
		return NumeroAMC(s), nil
	}
	return NumeroAMC("0000000000"[:10-len(s)] + s), nil
}

// A Convention is the code of the convention type: two capital letters, "RO".
type Convention string

// ParseConvention reads a convention code. The list of codes is not public:
// any two capital letters pass (profile section 4).
func ParseConvention(s string) (Convention, error) {
	if len(s) != 2 || !isUpper(s[0]) || !isUpper(s[1]) {
		return "", errors.New("a convention type is two capital letters")
	}
	return Convention(s), nil
}

// A CSR is the critère secondaire de routage: 0 to 15 digits and capital
// letters, "030255400". Rows of the annuaire may also hold '?', which stands
// for one character; a message may not.
type CSR string

// ParseCSR reads the CSR of a message.
func ParseCSR(s string) (CSR, error) {
	if len(s) > 15 {
		return "", errors.New("a CSR has at most 15 characters")
	}
	for i := range len(s) {
		if !isDigit(s[i]) && !isUpper(s[i]) {
			return "", errors.New("a CSR is made of digits and capital letters")
		}
	}
	return CSR(s), nil
}

// A Domaine is the domaine conventionnel: HOSP (séjours) or EXTE (actes et
// consultations externes).
type Domaine string

// The domaines of profile section 4.
const (
	HOSP Domaine = "HOSP"
	EXTE Domaine = "EXTE"
)

// ParseDomaine reads a domaine conventionnel of the table.
func ParseDomaine(s string) (Domaine, error) {
	switch Domaine(s) {
	case HOSP:
		return HOSP, nil
	case EXTE:
		return EXTE, nil
	}
	return "", errors.New("a domaine conventionnel is HOSP or EXTE")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// A Signed is what identifies a signed message: the same signer with the same
// signature, until its life ends, is the same message (profile section 3).
type Signed struct {
	Signer    StructureID
	Signature [32]byte  // SHA-256 of the decoded SignatureValue
	Until     time.Time // when the Timestamp's life and the tolerance end
}
