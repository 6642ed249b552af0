package roc

import "fmt"

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

// Services lists every service, in the order of the profile.
var Services = []Service{Annuaire, IDB, SIM, CLC, ANL}

var serviceNames = [...]string{NoService: "", Annuaire: "ANNUAIRE", IDB: "IDB", SIM: "SIM", CLC: "CLC", ANL: "ANL"}

// String returns the code of the service, "IDB"; "" for NoService.
func (s Service) String() string {
	if int(s) >= len(serviceNames) {
		return fmt.Sprintf("Service(%d)", uint8(s))
	}
	return serviceNames[s]
}

// ParseService reads the code of a service, "IDB".
func ParseService(s string) (Service, error) {
	for _, v := range Services {
		if serviceNames[v] == s {
			return v, nil
		}
	}
	return NoService, fmt.Errorf("unknown service %q: ANNUAIRE, IDB, SIM, CLC or ANL", s)
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
