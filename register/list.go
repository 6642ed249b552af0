package register

import (
	"crypto/x509"
	"encoding/hex"
	"iter"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A List is one snapshot of the register and of the AMCs, as they are at one
// instant. It never changes, and is safe for concurrent use. The zero List
// knows nobody.
type List struct {
	etablissements []Etablissement
	amcs           []AMC
	bySite         map[roc.FINESS]int32      // index of the row, by EJ and by each EG
	byOther        map[roc.StructureID]int32 // by SIREN or SIRET
	byNumero       map[roc.NumeroAMC]int32
	digest         [32]byte
	sums           [2][32]byte // SHA-256 of each file

	at    time.Time // the instant that the rows are settled for
	since time.Time // when the last date before at was reached; zero: none was
	until time.Time // when the first date to come is reached; zero: none is
	last  time.Time // the last date of all; zero: there is none
}

// At returns the same register as it is at another instant: the states,
// mandates and domains in force then. It reads no file again.
func (l *List) At(at time.Time) *List {
	n := *l
	n.etablissements, n.amcs = slices.Clone(l.etablissements), slices.Clone(l.amcs)
	n.resolve(at)
	return &n
}

// settle makes the rows what their dates say at that instant, and finds between
// which two dates that holds.
func (l *List) resolve(at time.Time) {
	l.at, l.since, l.until, l.last = at, time.Time{}, time.Time{}, time.Time{}
	edge := func(t time.Time) {
		if l.last.Before(t) {
			l.last = t
		}
		switch {
		case !at.Before(t):
			if l.since.Before(t) {
				l.since = t
			}
		case l.until.IsZero() || t.Before(l.until):
			l.until = t
		}
	}
	for i := range l.etablissements {
		l.etablissements[i].inForce(at)
		l.etablissements[i].edges(edge)
	}
	for i := range l.amcs {
		l.amcs[i].inForce(at)
		l.amcs[i].edges(edge)
	}
}

// Moment is the instant that the list is resolved for.
func (l *List) Moment() time.Time { return l.at }

// Last is the last date of the register: from then on nothing changes by
// itself. Zero: there is no date.
func (l *List) Last() time.Time { return l.last }

// holds reports whether what the list says holds at that instant too: no date
// lies between, forwards or backwards.
func (l *List) holds(at time.Time) bool {
	return !at.Before(l.since) && (l.until.IsZero() || at.Before(l.until))
}

// Until is when the first date to come is reached and the list changes by
// itself; zero: it does not.
func (l *List) Until() time.Time { return l.until }

// Caller returns the establishment that a client certificate stands for: the
// one whose EJ, one of whose EGs, or one of whose other structure ids (SIREN,
// SIRET) its subject carries (profile section 4).
// The chain of the certificate must have been checked before. It fails closed:
// the refusals are UnknownStructure and Suspended (states suspendu and clos).
func (l *List) Caller(leaf *x509.Certificate) (*Etablissement, error) {
	if leaf == nil {
		return nil, roc.Refuse(roc.UnknownStructure, "no client certificate").Because(roc.NoStructureID)
	}
	id, err := roc.StructureOfCertificate(leaf)
	if err != nil {
		return nil, roc.Refuse(roc.UnknownStructure, "%w", err).Because(roc.NoStructureID).
			Saying("Le certificat client ne porte pas un identifiant de structure unique (OU).")
	}
	return l.Admit(id)
}

// Admit returns the establishment of a structure id, when its state lets it
// call at all. The refusals are those of Caller.
func (l *List) Admit(id roc.StructureID) (*Etablissement, error) {
	e, ok := l.ByStructure(id)
	if !ok {
		r := roc.Refuse(roc.UnknownStructure, "structure %s is not in the register", id).Because(roc.NotRegistered)
		if _, finess := id.FINESS(); !finess {
			return nil, r.Saying("La structure %s n'est rattachée à aucun établissement : l'ANS doit inscrire cet identifiant (SIREN ou SIRET) au registre.", id)
		}
		return nil, r.Saying("La structure %s n'est pas au registre.", id)
	}
	if e.Etat == Attendu {
		return nil, e.notYet(l.at)
	}
	if !e.Active() {
		return nil, roc.Refuse(roc.Suspended, "establishment %s is in state %s", e.Structure, e.Etat).Because(roc.EstablishmentClosed).
			Saying("L'établissement %s est à l'état « %s ».", e.Structure, e.Etat)
	}
	return e, nil
}

// notYet refuses an establishment whose first date is in the future.
func (e *Etablissement) notYet(at time.Time) error {
	r := roc.Refuse(roc.UnknownStructure, "establishment %s has no state yet", e.Structure).Because(roc.NotYetRegistered)
	if c, ok := e.Next(at); ok {
		return r.Saying("La structure %s est inscrite au registre à compter du %s.", e.Structure, c.Depuis)
	}
	return r.Saying("La structure %s n'a pas encore d'état au registre.", e.Structure)
}

// ByStructure returns the establishment of a structure id, whatever its state:
// the one with that EJ, that one of its EGs belongs to, or that the register
// gives that SIREN or SIRET.
func (l *List) ByStructure(id roc.StructureID) (*Etablissement, bool) {
	if f, ok := id.FINESS(); ok {
		return l.BySite(f)
	}
	i, ok := l.byOther[id]
	if !ok {
		return nil, false
	}
	return &l.etablissements[i], true
}

// BySite returns the establishment with that EJ, or that one of its EGs
// belongs to, whatever its state.
func (l *List) BySite(f roc.FINESS) (*Etablissement, bool) {
	i, ok := l.bySite[f]
	if !ok {
		return nil, false
	}
	return &l.etablissements[i], true
}

// AMC returns the AMC that owns a number, whatever its state.
func (l *List) AMC(n roc.NumeroAMC) (*AMC, bool) {
	i, ok := l.byNumero[n]
	if !ok {
		return nil, false
	}
	return &l.amcs[i], true
}

// AMCsOf returns the AMCs whose certificates may carry that structure id, those
// that are closed left out.
func (l *List) AMCsOf(id roc.StructureID) (list []*AMC) {
	for i := range l.amcs {
		if a := &l.amcs[i]; a.Etat != AMCClos && slices.Contains(a.Structures, id) {
			list = append(list, a)
		}
	}
	return list
}

// CheckSites compares the establishment named in a message with its sender
// (profile section 4): caller is the structure of the TLS certificate, es what
// Caller returned for it; ej and eg are those of the message, eg "" when it has
// none. The refusal is StructureMismatch.
func (l *List) CheckSites(es *Etablissement, caller roc.StructureID, ej, eg roc.FINESS) error {
	if known, ok := l.ByStructure(caller); !ok || known != es {
		return roc.Refuse(roc.StructureMismatch, "certificate %s is not one of establishment %s", caller, es.Structure).Because(roc.OtherCertificate).
			Saying("Le certificat %s n'est pas celui de l'établissement %s.", caller, es.Structure)
	}
	if ej != es.EJ {
		return roc.Refuse(roc.StructureMismatch, "finess_ej of the message is not the EJ of certificate %s", caller).Because(roc.OtherEJ).
			Saying("finess_ej doit être %s pour ce certificat (%s).", es.EJ, caller)
	}
	if eg == "" {
		return nil
	}
	if owner, ok := l.BySite(eg); !ok || owner != es || eg == es.EJ {
		return roc.Refuse(roc.StructureMismatch, "finess_eg of the message is not a site of establishment %s", es.Structure).Because(roc.OtherEG).
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

// Sums are the SHA-256 of the two files as they were read: of the list of
// establishments, and of the list of AMCs.
func (l *List) Sums() (etablissements, amc [32]byte) { return l.sums[0], l.sums[1] }

// Digest identifies the content of the two files, in 16 hexadecimal characters: two
// instances with the same digest hold the same register.
func (l *List) Digest() string { return hex.EncodeToString(l.digest[:8]) }
