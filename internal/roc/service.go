package roc

import (
	"fmt"
	"slices"
)

// A Service is one of the téléservices that pass through the RPN.
type Service uint8

// The services (profile section 1). DRE-ES does not pass here.
const (
	NoService Service = iota
	Annuaire          // search: where an insurer's services are
	IDB               // interroger: the rights of a beneficiary
	SIM               // simuler: a simulation, without guarantee
	CLC               // calculer: amounts and payment guarantee
	ANL               // annuler: cancels an engagement
)

// Services lists every service, in the order of the profile. Whoever needs a
// list of services takes it from here (TestServicesAreListedOnce); what the
// messages of each are called is in internal/message, operation.go.
var Services = []Service{Annuaire, IDB, SIM, CLC, ANL}

// AMCServices lists those that an AMC renders: their messages have a route.
var AMCServices = Services[1:]

// names are the code of each service, and what its exchanges are in French.
var names = [...]struct{ code, plural string }{
	Annuaire: {"ANNUAIRE", "Recherches dans l'annuaire"},
	IDB:      {"IDB", "Interrogations des droits"},
	SIM:      {"SIM", "Simulations"},
	CLC:      {"CLC", "Calculs"},
	ANL:      {"ANL", "Annulations"},
}

// String returns the code of the service, "IDB"; "" for NoService.
func (s Service) String() string {
	if int(s) >= len(names) {
		return fmt.Sprintf("Service(%d)", uint8(s))
	}
	return names[s].code
}

// Exchanges says in French what the exchanges of the service are:
// "Interrogations des droits".
func (s Service) Exchanges() string { return names[s].plural }

// OfAMC reports whether an AMC renders the service.
func (s Service) OfAMC() bool { return slices.Contains(AMCServices, s) }

// OneOf names services for a person: "IDB, SIM, CLC or ANL".
func OneOf(list []Service) string {
	text := list[0].String()
	for i, s := range list[1:] {
		if i == len(list)-2 {
			text += " or " + s.String()
		} else {
			text += ", " + s.String()
		}
	}
	return text
}

// Texts are the String of each item.
func Texts[T fmt.Stringer](items []T) (out []string) {
	for _, v := range items {
		out = append(out, v.String())
	}
	return out
}

// ParseService reads the code of a service, "IDB".
func ParseService(s string) (Service, error) {
	for _, v := range Services {
		if names[v].code == s {
			return v, nil
		}
	}
	return NoService, fmt.Errorf("unknown service %q: %s", s, OneOf(Services))
}

// A Version is a version of the ROC norm. The annuaire has none.
type Version uint8

// The versions of ROC.
const (
	NoVersion Version = iota
	V1
	V2
)

// String returns "V1" or "V2"; "" for NoVersion.
func (v Version) String() string {
	switch v {
	case NoVersion:
		return ""
	case V1:
		return "V1"
	case V2:
		return "V2"
	}
	return fmt.Sprintf("Version(%d)", uint8(v))
}

// ParseVersion reads "V1" or "V2".
func ParseVersion(s string) (Version, error) {
	switch s {
	case "V1":
		return V1, nil
	case "V2":
		return V2, nil
	}
	return NoVersion, fmt.Errorf("unknown version %q: V1 or V2", s)
}

// A Key is what the annuaire must know to say where a message goes (profile
// section 4). It is comparable, and so a map key. The request path makes one
// in message.Key only, from a checked message.
type Key struct {
	AMC        NumeroAMC
	Convention Convention // "" when the message has none
	CSR        CSR        // "" when the message has none
	Domaine    Domaine
	Service    Service
	Version    Version
}

// String writes the key for logs and for `rpn explain`; nothing in it names a
// patient.
func (k Key) String() string {
	return fmt.Sprintf("%s %s AMC %s convention %q CSR %q %s", k.Service, k.Version, k.AMC, string(k.Convention), string(k.CSR), k.Domaine)
}
