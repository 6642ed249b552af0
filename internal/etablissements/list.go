package etablissements

import (
	"crypto/x509"
	"encoding/hex"
	"iter"

	"github.com/piano-roc/rpn/internal/roc"
)

// A List is one snapshot of the register and of the AMCs. It never changes,
// and is safe for concurrent use. The zero List knows nobody.
type List struct {
	etablissements []Etablissement
	amcs           []AMC
	bySite         map[roc.FINESS]*Etablissement // by EJ and by each EG
	byNumero       map[roc.NumeroAMC]*AMC
	digest         [32]byte
}

// Caller returns the establishment that a client certificate stands for: the
// one whose EJ, or one of whose EGs, its subject carries (profile section 4).
// The chain of the certificate must have been checked before. It fails closed:
// the refusals are UnknownStructure and Suspended (states suspendu and clos).
func (l *List) Caller(leaf *x509.Certificate) (*Etablissement, error) {
	if leaf == nil {
		return nil, roc.Refuse(roc.UnknownStructure, "no client certificate")
	}
	id, err := roc.StructureOfCertificate(leaf)
	if err != nil {
		return nil, roc.Refuse(roc.UnknownStructure, "%w", err).
			Saying("Le certificat client ne porte pas un identifiant de structure unique (OU).")
	}
	e, ok := l.ByStructure(id)
	if !ok {
		return nil, roc.Refuse(roc.UnknownStructure, "structure %s is not in the register", id).
			Saying("La structure %s n'est pas au registre.", id)
	}
	if !e.Active() {
		return nil, roc.Refuse(roc.Suspended, "establishment %s is in state %s", e.Structure, e.Etat).
			Saying("L'établissement %s est à l'état « %s ».", e.Structure, e.Etat)
	}
	return e, nil
}

// ByStructure returns the establishment of a structure id, whatever its state:
// the one with that EJ, or that one of its EGs belongs to.
func (l *List) ByStructure(id roc.StructureID) (*Etablissement, bool) {
	f, ok := id.FINESS()
	if !ok {
		return nil, false
	}
	e, ok := l.bySite[f]
	return e, ok
}

// AMC returns the AMC that owns a number, whatever its state.
func (l *List) AMC(n roc.NumeroAMC) (*AMC, bool) {
	a, ok := l.byNumero[n]
	return a, ok
}

// CheckSites checks what a message says of its establishment against who sent
// it (profile section 4): caller is the structure of the TLS certificate, es
// what Caller made of it; ej and eg are those of the message, eg "" when it
// has none. The refusal is StructureMismatch.
func (l *List) CheckSites(es *Etablissement, caller roc.StructureID, ej, eg roc.FINESS) error {
	if known, ok := l.ByStructure(caller); !ok || known != es {
		return roc.Refuse(roc.StructureMismatch, "certificate %s is not one of establishment %s", caller, es.Structure).
			Saying("Le certificat %s n'est pas celui de l'établissement %s.", caller, es.Structure)
	}
	if ej != es.EJ {
		return roc.Refuse(roc.StructureMismatch, "finess_ej of the message is not the EJ of certificate %s", caller).
			Saying("finess_ej doit être %s pour ce certificat (%s).", es.EJ, caller)
	}
	if eg == "" {
		return nil
	}
	if owner, ok := l.bySite[eg]; !ok || owner != es || eg == es.EJ {
		return roc.Refuse(roc.StructureMismatch, "finess_eg of the message is not a site of establishment %s", es.Structure).
			Saying("finess_eg n'est pas un site connu de l'entité juridique %s.", es.EJ)
	}
	return nil
}

// Etablissements gives every establishment, in the order of the file.
func (l *List) Etablissements() iter.Seq[*Etablissement] { return pointers(l.etablissements) }

// AMCs gives every AMC, in the order of the file.
func (l *List) AMCs() iter.Seq[*AMC] { return pointers(l.amcs) }

func pointers[T any](s []T) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range s {
			if !yield(&s[i]) {
				return
			}
		}
	}
}

// Size returns how many establishments, sites (EG) and AMC numbers there are.
func (l *List) Size() (etablissements, sites, numeros int) {
	return len(l.etablissements), len(l.bySite) - len(l.etablissements), len(l.byNumero)
}

// Digest names the content of the two files, in 16 hexadecimal characters: two
// instances with the same digest hold the same register.
func (l *List) Digest() string { return hex.EncodeToString(l.digest[:8]) }
