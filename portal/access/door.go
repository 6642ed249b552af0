package access

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// Listed is an operator of the configuration.
type Listed struct {
	Name string
	Role Role
}

// A Verify says whether what somebody presented (its own certificate first) is
// accepted now: the chain, the usage and the revocation, as everywhere else in
// the RPN. The peer has proved its key. It fails closed.
type Verify func(presented []*x509.Certificate) error

// A Door decides who comes in by a client certificate. It is asked at each
// request, not at each connection: who is put out is out at once. Every field is
// required.
type Door struct {
	Etablissements Verify // as the proxy's own listener
	AMCs           Verify
	Operators      Verify

	Register func() *register.List
	Listed   func(roc.CertificateID) (Listed, bool) // by the certificate itself
	Operates func(Identity) bool                    // an operator by a claim: the configuration has it still
}

// A Refusal is why somebody with a certificate does not come in. Its text is in
// French, for the one who reads the page.
type Refusal struct {
	Text  string
	Cause error // for our log; may be nil
}

func (r *Refusal) Error() string {
	if r.Cause == nil {
		return r.Text
	}
	return r.Text + " " + r.Cause.Error()
}

func (r *Refusal) Unwrap() error { return r.Cause }

// Admit says who the certificates of a connection stand for: an operator of the
// configuration, an establishment or insurers of the register. None: the public.
// It fails closed, by a *Refusal.
func (d *Door) Admit(presented []*x509.Certificate) (Viewer, error) {
	if len(presented) == 0 {
		return Viewer{}, nil
	}
	leaf := presented[0]
	id := roc.IDOfCertificate(leaf)
	if o, ok := d.Listed(id); ok {
		if err := d.Operators(presented); err != nil {
			return Viewer{}, &Refusal{"Votre certificat d'exploitant n'est pas accepté : il a pris fin, il est révoqué, ou son autorité n'est pas celle de la configuration.", err}
		}
		return ofOperator(o, hex.EncodeToString(id[:]), marksOf(leaf, id)...), nil
	}
	structure, err := roc.StructureOfCertificate(leaf)
	if err != nil {
		return Viewer{}, &Refusal{"Votre certificat n'est pas inscrit, et ne porte pas d'identifiant de structure (OU). Un exploitant doit être inscrit dans la configuration du RPN.", err}
	}
	list := d.Register()
	if e, known := list.ByStructure(structure); known {
		return d.etablissement(e, presented, id)
	}
	if amcs := list.AMCsOf(structure); len(amcs) > 0 {
		if err := d.AMCs(presented); err != nil {
			return Viewer{}, refused(err)
		}
		return ofAMCs(amcs, id), nil
	}
	// Whoever holds no accepted certificate learns nothing of the register.
	if d.Etablissements(presented) != nil && d.AMCs(presented) != nil {
		return Viewer{}, refused(fmt.Errorf("structure %s: no store accepts it", structure))
	}
	return Viewer{}, &Refusal{fmt.Sprintf("La structure %s n'est ni un établissement ni un organisme du registre. Adressez-vous à l'ANS.", structure), nil}
}

func (d *Door) etablissement(e *register.Etablissement, presented []*x509.Certificate, id roc.CertificateID) (Viewer, error) {
	if err := d.Etablissements(presented); err != nil {
		return Viewer{}, refused(err)
	}
	// One that is suspended still reads its pages: they say why.
	if e.Etat == register.Attendu || e.Etat == register.Clos {
		return Viewer{}, &Refusal{"Votre établissement n'a pas, ou n'a plus, accès au RPN ROC. Adressez-vous à l'ANS.", nil}
	}
	return ofEtablissement(e, id), nil
}

func refused(err error) *Refusal {
	return &Refusal{"Votre certificat n'est pas accepté : il a pris fin, il est révoqué ou exclu, il n'est pas fait pour s'authentifier, ou son autorité n'est pas reconnue.", err}
}
