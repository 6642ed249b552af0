package roc

import "time"

// ServiceTimes gives a duration to each service; 0: none of its own. It is
// written by people under the codes of the services.
type ServiceTimes struct {
	Annuaire time.Duration `yaml:"ANNUAIRE" json:"ANNUAIRE,omitzero" strict:"positive"`
	IDB      time.Duration `yaml:"IDB" json:"IDB,omitzero" strict:"positive"`
	SIM      time.Duration `yaml:"SIM" json:"SIM,omitzero" strict:"positive"`
	CLC      time.Duration `yaml:"CLC" json:"CLC,omitzero" strict:"positive"`
	ANL      time.Duration `yaml:"ANL" json:"ANL,omitzero" strict:"positive"`
}

// Of returns the duration of a service.
func (t ServiceTimes) Of(s Service) time.Duration {
	switch s {
	case Annuaire:
		return t.Annuaire
	case IDB:
		return t.IDB
	case SIM:
		return t.SIM
	case CLC:
		return t.CLC
	case ANL:
		return t.ANL
	}
	return 0
}
