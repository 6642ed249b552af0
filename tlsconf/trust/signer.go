package trust

import (
	"crypto/x509"
	"slices"
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
		return nil, from, until, refusalOf(AsFailure(err), presented[0])
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
func refusalOf(f *Failure, leaf *x509.Certificate) error {
	if f.Reason == Revoked || f.Reason == Denied || f.Reason == RevocationUnknown {
		r := roc.Refuse(roc.Revoked, "signer certificate: %w", f)
		if f.Reason == RevocationUnknown {
			return r.Because(roc.RevocationUnknown).Saying("La liste de révocation de son autorité manque ou est trop ancienne.")
		}
		return r.Because(roc.RevokedSigner)
	}
	r := roc.Refuse(roc.UntrustedSigner, "signer certificate: %w", f).Because(roc.SignerRules)
	switch f.Reason {
	case UnknownCA, NoCertificate:
		return unknownAuthority(r, leaf)
	case Expired:
		return r.Because(roc.SignerExpired)
	case NotYetValid:
		return r.Because(roc.SignerNotYetValid)
	case Malformed:
		return r.Because(roc.CertificateUnreadable).Saying("Le certificat joint n'est pas exactement un certificat X.509 (DER) : réinstallez-le tel que son autorité l'a remis.")
	case Oversized:
		return r.Because(roc.CertificateAmbiguous).Saying("Trop de certificats sont joints : %d au plus, %d octets en tout.", MaxPresented, MaxPresentedBytes)
	case WrongCategory:
		return r.Because(roc.WrongCategory)
	}
	return r.Saying("Le certificat de signature ne respecte pas les règles fixées pour cette autorité (clé, usages, politique de certification ou profondeur de chaîne).")
}

// unknownAuthority says which authority the signer's certificate names, and
// whether it is one for TLS: the mistake that is made most.
func unknownAuthority(r *roc.Refusal, leaf *x509.Certificate) error {
	if slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return r.Because(roc.TLSCertificate).Saying("Émis par « %s », qui n'est pas une autorité de signature admise ici.", NameOf(leaf.Issuer))
	}
	return r.Because(roc.UnknownAuthority).Saying("Le certificat de signature n'est pas émis par une autorité de signature admise ici : émis par « %s ».", NameOf(leaf.Issuer))
}
