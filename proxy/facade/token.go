package facade

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Token is the last part of an address that the façade gives out. It is
// sealed: opaque to whoever holds it, and of no use to another establishment,
// for another insurer or service, or after its time. It decides no route: the
// signed message does, and must agree with it.
type Token struct {
	structure roc.StructureID
	amc       roc.NumeroAMC
	service   roc.Service
	version   roc.Version
	until     time.Time
}

const (
	// tokenPurpose binds the seal; its value is in every address given out.
	tokenPurpose = "clef"
	maxToken     = 256
)

func (k *Token) seal(s Sealer) string {
	b := make([]byte, 0, 48)
	b = append(b, byte(k.service), byte(k.version), byte(len(k.amc)))
	b = append(b, k.amc...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.until.Unix()))
	b = append(b, k.structure...)
	return base64.RawURLEncoding.EncodeToString(s.Seal(tokenPurpose, b))
}

func readToken(s Sealer, text string) (*Token, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(text) > maxToken {
		return nil, errors.New("it is no text of ours")
	}
	b, err := s.Open(tokenPurpose, sealed)
	if err != nil {
		return nil, err
	}
	if len(b) < 3 || len(b) < 3+int(b[2])+8 {
		return nil, errors.New("it is too short")
	}
	rest := b[3+int(b[2]):]
	return &Token{
		service: roc.Service(b[0]), version: roc.Version(b[1]), amc: roc.NumeroAMC(b[3 : 3+int(b[2])]),
		until: time.Unix(int64(binary.BigEndian.Uint64(rest)), 0), structure: roc.StructureID(rest[8:]),
	}, nil
}

// ErrNotGivenOut is the cause of the refusal of an address that is none of the
// façade's: nothing is found there.
var ErrNotGivenOut = errors.New("an address of the façade that was not given out")

// OpenToken reads the last part of an address that a message was sent to: it
// must be of this establishment, and in its time.
func (f *Facade) OpenToken(text string, es roc.StructureID, at time.Time) (*Token, error) {
	k, err := readToken(f.o.Keys, text)
	if err != nil {
		return nil, roc.Refuse(roc.BadKey, "%w: %w", ErrNotGivenOut, err).Because(roc.FacadeAddress).
			Saying("Cette adresse n'a pas été donnée par le RPN : interrogez de nouveau l'annuaire.")
	}
	switch {
	case k.structure != es:
		return nil, roc.Refuse(roc.StructureMismatch, "an address of the façade that was given to another establishment").Because(roc.AddressOfAnother).
			Saying("Cette adresse a été donnée à un autre établissement : interrogez l'annuaire avec le certificat de celui-ci.")
	case !at.Before(k.until):
		return nil, roc.Refuse(roc.BadKey, "an address of the façade that is out of date").Because(roc.FacadeAddress).
			Saying("Cette adresse n'est plus valable : interrogez de nouveau l'annuaire.")
	}
	return k, nil
}

// Agrees refuses a message whose signed fields are not those of the address it
// was sent to. A nil Token, of the common address, agrees with any.
func (k *Token) Agrees(key roc.Key) error {
	if k == nil || k.amc == key.AMC && k.service == key.Service && k.version == key.Version {
		return nil
	}
	return roc.Refuse(roc.BadKey, "the message is not for the insurer, service and version of the façade's address").Because(roc.FacadeAddress).
		Saying("Cette adresse est celle du service %s %s de l'organisme %s ; le message en désigne un autre.", k.service, k.version, k.amc)
}
