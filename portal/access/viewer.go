package access

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/proposal"
	"github.com/piano-roc/rpn/register"
)

// A Kind is what sort of reader somebody is.
type Kind int

// The kinds. Public is everybody: the weather of the insurers and nothing else.
const (
	Public Kind = iota
	Etablissement
	AMC
	Operator
)

// A Role is what an operator may do. Each may do what the one before it may.
type Role string

// The roles, from the least.
const (
	Lecture        Role = "lecture"        // sees everything
	Exploitation   Role = "exploitation"   // decides what waits, or proposes and confirms it
	Administration Role = "administration" // and invites people to the pages of others, and revokes
)

// Roles lists them, from the least.
func Roles() []Role { return []Role{Lecture, Exploitation, Administration} }

// May reports whether a role may do what least is needed for. An unknown role
// may nothing.
func (r Role) May(least Role) bool {
	mine, needed := slices.Index(Roles(), r), slices.Index(Roles(), least)
	return mine >= 0 && needed >= 0 && mine >= needed
}

// A Viewer is somebody who reads pages, and what of. The zero Viewer is the
// public. Only a Door makes another one (and Console, for the operator's own
// listener), so holding one is the proof.
type Viewer struct {
	kind       Kind
	name       string
	key        string // one for each who comes: what is limited, and what a form is bound to
	structures []roc.StructureID
	numeros    []roc.NumeroAMC
	role       Role
	person     bool     // it came by OpenID Connect
	marks      []string // of an operator: what names the person
}

// Kind is what sort of reader it is.
func (v Viewer) Kind() Kind { return v.kind }

// Name is who it is, for people.
func (v Viewer) Name() string { return v.name }

// Key names the certificate or the session, and nobody else has it; "" for the
// public.
func (v Viewer) Key() string { return v.key }

// May reports whether it is an operator whose role is enough.
func (v Viewer) May(least Role) bool { return v.kind == Operator && v.role.May(least) }

// Role is the role of an operator, else "".
func (v Viewer) Role() Role { return v.role }

// Operator is the person that an operator is, as far as it can be told apart from
// another; of anybody else it bears no mark.
func (v Viewer) Operator() proposal.Operator {
	return proposal.Operator{Name: v.name, Marks: slices.Clone(v.marks)}
}

// Home is the identifier of the establishment, or the first number of the
// insurer, that the viewer is.
func (v Viewer) Home() string {
	switch {
	case v.kind == Etablissement:
		return string(v.structures[0])
	case v.kind == AMC:
		return string(v.numeros[0])
	}
	return ""
}

// Numeros are the numbers of the insurers that the viewer stands for.
func (v Viewer) Numeros() []roc.NumeroAMC { return slices.Clone(v.numeros) }

// Console is the viewer of the operator's own listener, which decides by itself
// who reaches it: it sees everything, and acts by no page.
func Console() Viewer {
	return Viewer{kind: Operator, name: "console", key: consoleKey, role: Lecture}
}

const consoleKey = "console"

func ofEtablissement(e *register.Etablissement, key roc.CertificateID) Viewer {
	return Viewer{kind: Etablissement, name: e.Nom, key: hex.EncodeToString(key[:]), structures: e.IDs()}
}

func ofAMCs(list []*register.AMC, key roc.CertificateID) Viewer {
	v := Viewer{kind: AMC, key: hex.EncodeToString(key[:])}
	for i, a := range list {
		if i > 0 {
			v.name += ", "
		}
		v.name += a.Nom
		v.numeros = append(v.numeros, a.Numeros...)
	}
	return v
}

func ofOperator(o Listed, key string, marks ...string) Viewer {
	name := "name " + strings.ToLower(strings.Join(strings.Fields(o.Name), " "))
	return Viewer{kind: Operator, name: o.Name, key: key, role: o.Role, marks: append(marks, name)}
}

// marksOf are the marks of who holds a certificate. Two certificates of one key, or of
// one subject, are one person's: a renewed one, or a second one.
func marksOf(leaf *x509.Certificate, id roc.CertificateID) []string {
	key, subject := sha256.Sum256(leaf.RawSubjectPublicKeyInfo), sha256.Sum256(leaf.RawSubject)
	return []string{"certificate " + hex.EncodeToString(id[:]), "key " + hex.EncodeToString(key[:]), "subject " + hex.EncodeToString(subject[:])}
}
