package message

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// A DossierKey makes the links of dossiers (roc.Dossier): HMAC-SHA-256, cut to
// 48 bits, of the establishment, the routing key without service and version,
// and the numero_adherent of the signed Body. It is the only place where the RPN
// reads the beneficiary, and the value leaves it in no other form. Without the
// key a link says nothing of an adherent, whoever tries all of them; links of
// two keys have nothing in common. When a key is dropped, nothing can be joined to
// its links any more: how long one lives is decided by indicators/dossiers.
//
// It cannot be printed. Safe for concurrent use; the zero value makes no links.
type DossierKey struct {
	get   func() []byte // behind a func, as the bytes of a roc.Content
	tools *sync.Pool    // of *dossierTool
}

// A dossierTool is what one link is made with, so that it allocates nothing.
type dossierTool struct {
	mac  hash.Hash
	text [maxDossierText]byte
	sum  [sha256.Size]byte
}

const (
	dossierKeySize = 32
	maxAdherent    = 64 // the schema says 20; a longer one is none
	maxDossierText = 160
)

// NewDossierKey makes a key at random.
func NewDossierKey() DossierKey {
	secret := make([]byte, dossierKeySize)
	rand.Read(secret)
	return dossierKey(secret)
}

// ParseDossierKey makes the key that another instance, or this one before its
// restart, made at random: Secret.
func ParseDossierKey(secret []byte) (DossierKey, error) {
	if len(secret) != dossierKeySize {
		return DossierKey{}, fmt.Errorf("the key of dossiers has %d bytes, not %d", len(secret), dossierKeySize)
	}
	return dossierKey(bytes.Clone(secret)), nil
}

func dossierKey(secret []byte) DossierKey {
	return DossierKey{
		get:   func() []byte { return secret },
		tools: &sync.Pool{New: func() any { return &dossierTool{mac: hmac.New(sha256.New, secret)} }},
	}
}

// Secret returns the key itself, for who seals it. Never format or log it.
func (k DossierKey) Secret() []byte {
	if k.get == nil {
		return nil
	}
	return k.get()
}

// IsZero reports whether there is no key.
func (k DossierKey) IsZero() bool { return k.get == nil }

const maskedKey = "[key of dossiers]"

// String gives nothing of the key.
func (DossierKey) String() string { return maskedKey }

// GoString gives nothing of the key.
func (DossierKey) GoString() string { return maskedKey }

// Format gives nothing of the key, for every verb.
func (DossierKey) Format(s fmt.State, _ rune) { io.WriteString(s, maskedKey) }

// LogValue gives nothing of the key.
func (DossierKey) LogValue() slog.Value { return slog.StringValue(maskedKey) }

// MarshalText gives nothing of the key (encoding/json, yaml, xml).
func (DossierKey) MarshalText() ([]byte, error) { return []byte(maskedKey), nil }

// Link returns the link of a request, whose routing key was read from it (Key).
// Zero: it has none, because its Body is not signed or names no adherent, or
// several. It never refuses: nothing of an exchange depends on it.
func (k DossierKey) Link(es roc.StructureID, key roc.Key, c *xmlsig.Checked) (link roc.Dossier) {
	if k.IsZero() {
		return link
	}
	t := k.tools.Get().(*dossierTool)
	defer k.tools.Put(t)
	text := t.text[:0]
	for _, part := range [...]string{string(es), string(key.AMC), string(key.Convention), string(key.CSR), string(key.Domaine)} {
		if len(text)+1+len(part) > maxDossierText-1-maxAdherent {
			return link // no value of these types is so long
		}
		text = append(append(text, byte(len(part))), part...)
	}
	text, found := appendAdherent(text, c.Body())
	if found {
		t.mac.Reset()
		t.mac.Write(text)
		copy(link[:], t.mac.Sum(t.sum[:0]))
	}
	clear(t.text[:]) // the adherent stays nowhere
	return link
}

// appendAdherent appends the only numero_adherent of a Body's child; false: there
// is not one, or not only one, or it is no number.
func appendAdherent(text []byte, body soap.Node) ([]byte, bool) {
	beneficiaire, found := only(body, "beneficiaire")
	if !found {
		return text, false
	}
	n, found := only(beneficiaire, "numero_adherent")
	if !found {
		return text, false
	}
	raw, plain := n.RawText()
	if !plain { // references, CDATA
		t, ok := n.Text()
		if !ok || len(t) > maxAdherent {
			return text, false
		}
		raw = []byte(t)
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > maxAdherent {
		return text, false
	}
	return append(append(text, byte(len(raw))), raw...), true
}

// only returns the only child of that name.
func only(n soap.Node, name string) (found soap.Node, is bool) {
	for c := n.First(); !c.IsZero(); c = c.Next() {
		if c.Is("", name) {
			if is {
				return found, false
			}
			found, is = c, true
		}
	}
	return found, is
}
