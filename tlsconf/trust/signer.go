package trust

import (
	"crypto/x509"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Signature is a signature store as the check of messages asks it: the same
// chains, rules and revocation as TLS, refusals in the words of a fault.
type Signature struct {
	trust      *Trust
	revocation Revocation
}

// Signature returns the Trust as the check of signatures asks it. revocation may
// be nil: nobody is revoked.
func (t *Trust) Signature(revocation Revocation) *Signature { return &Signature{t, revocation} }

// Verify says whether the signer that presented these certificates, its own
// first, each issued by the next, is accepted at that time: the chain, leaf first
// and root last, and when all of it is valid. Its error is a *roc.Refusal. It
// fails closed, and remembers nothing.
func (s *Signature) Verify(presented []*x509.Certificate, at time.Time) (chain []*x509.Certificate, from, until time.Time, err error) {
	a, err := s.trust.Verify(presented, AsSigner, s.revocation, at)
	if err != nil {
		return nil, from, until, refusalOf(AsFailure(err))
	}
	from, until = a.Valid()
	return a.Chain(), from, until, nil
}

// Proved is told of a signer that has proved, by a signature that verified, that
// it holds its key.
func (s *Signature) Proved(chain []*x509.Certificate) {
	if s.revocation != nil {
		s.revocation.Seen(LinksOf(chain))
	}
}

// refusalOf says a Failure in French, for who sent the message.
func refusalOf(f *Failure) error {
	if f.Reason == Revoked || f.Reason == Denied || f.Reason == RevocationUnknown {
		said := "Le certificat de signature est révoqué."
		if f.Reason == RevocationUnknown {
			said = "Il n'a pas pu être vérifié que le certificat de signature n'est pas révoqué : la liste de révocation de son autorité manque ou est trop ancienne."
		}
		return roc.Refuse(roc.Revoked, "signer certificate: %w", f).Saying("%s", said)
	}
	r := roc.Refuse(roc.UntrustedSigner, "signer certificate: %w", f)
	switch f.Reason {
	case UnknownCA, NoCertificate:
		return r.Saying("Le certificat de signature n'est pas émis par une autorité de signature admise ici.")
	case Expired:
		return r.Saying("Le certificat de signature, ou une autorité au-dessus de lui, a expiré.")
	case NotYetValid:
		return r.Saying("Le certificat de signature, ou une autorité au-dessus de lui, n'est pas encore valable.")
	case Malformed:
		return r.Saying("Le certificat joint n'est pas exactement un certificat X.509 (DER) : réinstallez-le tel que son autorité l'a remis.")
	case Oversized:
		return r.Saying("Trop de certificats sont joints : %d au plus, %d octets en tout.", MaxPresented, MaxPresentedBytes)
	case WrongCategory:
		return r.Saying("Le certificat de signature n'est pas de la catégorie attendue : employez un certificat logiciel de la structure, de production en production et de test en test.")
	}
	return r.Saying("Le certificat de signature ne respecte pas les règles fixées pour cette autorité (clé, usages, politique de certification ou profondeur de chaîne).")
}
