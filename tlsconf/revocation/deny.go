package revocation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A DenyList is who must be out now, without waiting for a CA. It is a text
// that its signer can read, and its last line signs all bytes before it:
//
//	rpn-deny-list 1
//	sequence 7
//	date 2026-11-21T20:15:00Z
//	# incident 1234
//	structure 1010003812
//	serial 3a4f01 issuer 5f0c...(SHA-256 of the CA's public key)
//	serial 3a4f02
//	certificate 9b1d...(SHA-256 of its tbsCertificate, or of the whole)
//	signature MEUCIQ...
//
// A structure is out with every certificate it has. A serial number alone is
// out whoever issued it. The signature is Ed25519, ECDSA with SHA-256 (ASN.1)
// or RSA PKCS#1 v1.5 with SHA-256, in base64.
type DenyList struct {
	Sequence     uint64 // a list replaces one of a lower sequence only
	Date         time.Time
	Structures   []roc.StructureID
	Serials      []DeniedSerial
	Certificates [][sha256.Size]byte // SHA-256 of tbsCertificate, as DenyLine writes it, or of the whole DER
}

// A DeniedSerial is one serial number; a zero Issuer is any.
type DeniedSerial struct {
	Serial string            // hexadecimal, lower case, without leading zeros
	Issuer [sha256.Size]byte // SHA-256 of the CA's SubjectPublicKeyInfo
}

const (
	denyTitle    = "rpn-deny-list 1"
	maxDenyBytes = 16 << 20
)

// Entries is how many lines deny somebody.
func (d *DenyList) Entries() int { return len(d.Structures) + len(d.Serials) + len(d.Certificates) }

// SignDenyList makes a signed list of lines (structure, serial, certificate;
// comments and empty lines are kept). The lines are checked first.
func SignDenyList(lines []byte, sequence uint64, at time.Time, key crypto.Signer) ([]byte, error) {
	text := fmt.Appendf(nil, "%s\nsequence %d\ndate %s\n", denyTitle, sequence, at.UTC().Format(time.RFC3339))
	text = append(text, bytes.TrimRight(bytes.ReplaceAll(lines, []byte("\r\n"), []byte("\n")), " \t\n")...)
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	if _, err := parseDenyList(text); err != nil {
		return nil, err
	}
	var signature []byte
	var err error
	switch key.Public().(type) {
	case ed25519.PublicKey:
		signature, err = key.Sign(rand.Reader, text, crypto.Hash(0))
	case *ecdsa.PublicKey, *rsa.PublicKey:
		sum := sha256.Sum256(text)
		signature, err = key.Sign(rand.Reader, sum[:], crypto.SHA256)
	default:
		err = fmt.Errorf("a key of kind %T cannot sign a deny list: take Ed25519, ECDSA or RSA", key.Public())
	}
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(text, "signature %s\n", base64.StdEncoding.EncodeToString(signature)), nil
}

// ReadDenyList checks that one of the signers signed the list, then reads it.
// It fails closed: a line that is not understood refuses the whole list, and
// nothing is read of a list whose signature is wrong.
func ReadDenyList(signed []byte, signers []crypto.PublicKey) (*DenyList, error) {
	i := bytes.LastIndex(signed, []byte("\nsignature "))
	if i < 0 || !bytes.HasPrefix(signed, []byte(denyTitle+"\n")) {
		return nil, errors.New("is not a signed deny list: make it with `rpn deny sign`")
	}
	text, last := signed[:i+1], signed[i+1:]
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(string(last), "signature ")))
	if err != nil {
		return nil, errors.New("its last line is not a signature: the file is cut or changed")
	}
	for _, signer := range signers {
		if signedBy(signer, text, signature) {
			return parseDenyList(text)
		}
	}
	return nil, errors.New("its signature is not of a configured signer: it was changed, or signed with another key")
}

func signedBy(signer crypto.PublicKey, text, signature []byte) bool {
	sum := sha256.Sum256(text)
	switch k := signer.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, text, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, sum[:], signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}

func parseDenyList(text []byte) (*DenyList, error) {
	d := &DenyList{}
	var dated, numbered bool
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if i := strings.Index(line, "#"); i >= 0 {
			line = strings.TrimSpace(line[:i])
		}
		words := strings.Fields(line)
		wrong := func(what string) error { return fmt.Errorf("line %d: %s", n, what) }
		var err error
		switch {
		case n == 1:
			if line != denyTitle {
				return nil, wrong("the first line is " + strconv.Quote(denyTitle))
			}
		case len(words) == 0:
		case words[0] == "sequence" && len(words) == 2 && !numbered:
			numbered = true
			d.Sequence, err = strconv.ParseUint(words[1], 10, 63)
		case words[0] == "date" && len(words) == 2 && !dated:
			dated = true
			d.Date, err = time.Parse(time.RFC3339, words[1])
		case words[0] == "structure" && len(words) == 2:
			var id roc.StructureID
			id, err = roc.ParseStructureID(words[1])
			d.Structures = append(d.Structures, id)
		case words[0] == "certificate" && len(words) == 2:
			var print [sha256.Size]byte
			print, err = parsePrint(words[1])
			d.Certificates = append(d.Certificates, print)
		case words[0] == "serial" && (len(words) == 2 || len(words) == 4 && words[2] == "issuer"):
			var s DeniedSerial
			s.Serial, err = parseSerial(words[1])
			if len(words) == 4 && err == nil {
				s.Issuer, err = parsePrint(words[3])
			}
			d.Serials = append(d.Serials, s)
		default:
			return nil, wrong("is not understood: write `structure ID`, `serial HEX`, `serial HEX issuer SHA256`, or `certificate SHA256`")
		}
		if err != nil {
			return nil, wrong(err.Error())
		}
	}
	if !numbered || !dated {
		return nil, errors.New("has no sequence, or no date")
	}
	return d, nil
}

// parsePrint reads 64 hexadecimal digits, also in the form AB:CD that openssl
// prints.
func parsePrint(s string) (print [sha256.Size]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(print) {
		return print, errors.New("a fingerprint is the 64 hexadecimal digits of a SHA-256")
	}
	return [sha256.Size]byte(b), nil
}

func parseSerial(s string) (string, error) {
	n, ok := new(big.Int).SetString(strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(s), ":", ""), "0x"), 16)
	if !ok || n.Sign() <= 0 {
		return "", errors.New("a serial number is hexadecimal digits")
	}
	return n.Text(16), nil
}

// DenyLine is the line that denies one certificate, and says who that is.
func DenyLine(c *x509.Certificate) string {
	return fmt.Sprintf("certificate %x # serial %x of %s", roc.IDOfCertificate(c), c.SerialNumber, trust.NameOf(c.Subject))
}

// ReadDenySigners reads who may sign a deny list: PEM public keys, or
// certificates. Of a certificate only the key counts: the list must work on
// the day when everything else has expired.
func ReadDenySigners(files ...string) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, trust.FileProblem(file, err)
		}
		before := len(keys)
		blocks, err := trust.ReadPEM(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, block := range blocks {
			var key any
			switch block.Type {
			case "PUBLIC KEY":
				key, err = x509.ParsePKIXPublicKey(block.Bytes)
			case "CERTIFICATE":
				var c *x509.Certificate
				if c, err = roc.ParseCertificate(block.Bytes); err == nil {
					key = c.PublicKey
				}
			default:
				err = fmt.Errorf("holds a %s: a public key or a certificate is expected", trust.Safe(block.Type))
			}
			if err == nil {
				err = checkDenyKey(key)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", file, block.Line, err)
			}
			keys = append(keys, key)
		}
		if len(keys) == before {
			return nil, fmt.Errorf("%s: holds no PEM public key and no certificate", file)
		}
	}
	return keys, nil
}

func checkDenyKey(key crypto.PublicKey) error {
	if _, ok := key.(ed25519.PublicKey); ok {
		return nil
	}
	return trust.CheckKey(key)
}
