package limits

import (
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/shed"
)

// Shedding drops the least important exchanges when this machine cannot process
// all of them.
type Shedding struct{ s *shed.Shedder }

// NewShedding makes a Shedding.
func NewShedding(s *shed.Shedder) *Shedding { return &Shedding{s} }

// classOf is how important the exchanges of a service are.
func classOf(s roc.Service) shed.Class {
	switch s {
	case roc.SIM:
		return shed.Simulation
	case roc.Annuaire:
		return shed.Annuaire
	case roc.IDB:
		return shed.Rights
	}
	return shed.Settlement
}

// Admit refuses an exchange of that service as Overloaded, or lets it begin.
func (s *Shedding) Admit(service roc.Service, at time.Time) error {
	if retry, ok := s.s.Admit(classOf(service), at); !ok {
		return roc.Refuse(roc.Overloaded, "work waits for a processor, and this exchange is among the least important").Because(roc.LoadShed).After(retry)
	}
	return nil
}

// Processed says that an exchange that was admitted needs a processor no longer.
func (s *Shedding) Processed(at time.Time) { s.s.Processed(at) }
