package http1test

import (
	"sync"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
)

// CHU is the structure of the establishment, and FarName the DNS name of the
// insurer.
const (
	CHU     = roc.StructureID("1010003812")
	FarName = "roc.rhone.example"
)

// Certificates are those of one establishment, a stranger, the RPN and one
// insurer.
type Certificates struct {
	PKI                    *igc.PKI
	Auth, Sign, Stranger   igc.Pair // of establishments; the stranger is not registered
	Server, Far, FarSigner igc.Pair
	Client                 igc.Pair // of the RPN toward the insurers
}

// Certs makes the certificates, once for all tests.
var Certs = sync.OnceValue(func() *Certificates {
	pki := igc.New(igc.Options{ECDSA: true})
	w := &Certificates{PKI: pki}
	w.Auth, w.Sign = pki.Establishment(CHU, "CHU FICTIF")
	w.Stranger = pki.Auth("1690000013", "CLINIQUE INCONNUE")
	w.Server = pki.Server(igc.EtablissementTLS, "localhost")
	w.Far = pki.Server(igc.AMCTLS, FarName)
	w.FarSigner = pki.AMCSigner("2000000018", "MUTUELLE FICTIVE")
	w.Client = pki.Auth("2000000026", "RPN FICTIF")
	return w
})
