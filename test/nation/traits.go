package nation

import (
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
)

// A Trait is what is special about an establishment.
type Trait func(*inner.Character)

// InCircle may reach every insurer of the circle: the usual state.
func InCircle(c *inner.Character) { c.Etat, c.Miroir = "cercle", "" }

// UnderSurveillance may reach its AMC miroir only.
func UnderSurveillance(miroir string) Trait {
	return func(c *inner.Character) { c.Etat, c.Miroir = "surveillance", miroir }
}

// Accrochage may reach the platform for validation only.
func Accrochage(c *inner.Character) { c.Etat = "accrochage" }

// Suspended may reach nobody.
func Suspended(c *inner.Character) { c.Etat = "suspendu" }

// Closed may reach nobody.
func Closed(c *inner.Character) { c.Etat = "clos" }

// Unregistered has certificates and is not in the register.
func Unregistered(c *inner.Character) { c.Unregistered = true }

// Speaking is open to these versions only.
func Speaking(v ...roc.Version) Trait { return func(c *inner.Character) { c.Versions = v } }

// Limited may send that many messages in a second, and that many at once.
func Limited(perSecond float64, burst int) Trait {
	return func(c *inner.Character) { c.PerSecond, c.Burst = perSecond, burst }
}

// LetsSign lets another establishment sign for it.
func LetsSign(who *Etablissement) Trait {
	return func(c *inner.Character) { c.Mandataires = append(c.Mandataires, roc.StructureOf(who.EJ)) }
}

// WithoutTimestamp is exempted from the Timestamp.
func WithoutTimestamp(c *inner.Character) { c.SansTimestamp = true }

// Row adds lines to its row of the register: "formation: true".
func Row(lines ...string) Trait {
	return func(c *inner.Character) { c.Register = append(c.Register, lines...) }
}

// State is in that state of the register.
func State(etat string) Trait { return func(c *inner.Character) { c.Etat = etat } }

// WithSite has a site, which its messages name.
func WithSite(eg roc.FINESS) Trait { return func(c *inner.Character) { c.EG = eg } }

// TLS makes its TLS certificate odd.
func TLS(o ...igc.Option) Trait { return func(c *inner.Character) { c.TLS = append(c.TLS, o...) } }

// Signing makes its signature certificate odd.
func Signing(o ...igc.Option) Trait {
	return func(c *inner.Character) { c.Sign = append(c.Sign, o...) }
}
