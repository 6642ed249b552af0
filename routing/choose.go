package routing

import (
	"strconv"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// A Policy says what to do with AMCs and domains that are not in the register.
// The zero Policy quarantines everything.
type Policy struct {
	// NewAMC is about an AMC that the annuaire knows and the register does not.
	// Insurers enter the circle without notice, and establishments must have
	// nothing to maintain: Accept carries messages to it at once, on the
	// annuaire's statement alone, for establishments in the circle. Quarantine,
	// the default, refuses until an operator has registered it: whoever
	// controls the annuaire could otherwise invent an insurer to receive health
	// data.
	//
	// Such an AMC has no known domain, so Accept covers its domain too.
	NewAMC NewcomerPolicy

	// NewDomain is about an address outside the known domains of an AMC of the
	// register.
	NewDomain NewcomerPolicy

	// Approved reports whether an operator has approved an AMC at that host,
	// outside the register. It is not used for an AMC that is not in the
	// register. nil: nothing was approved.
	Approved func(amc roc.NumeroAMC, host register.DNSName) bool
}

// A NewcomerPolicy is what to do with what is not in the register: quarantine
// it, or accept and count it.
type NewcomerPolicy uint8

// The two policies.
const (
	Quarantine NewcomerPolicy = iota // refused as roc.Quarantined
	Accept                           // used; the Route says so
)

// A Quarantined is the cause of a refusal as roc.Quarantined: which insurer, at
// which host. errors.As finds it.
type Quarantined struct {
	AMC    roc.NumeroAMC
	Host   register.DNSName // "": the AMC is not in the register, and no address was checked
	NewAMC bool             // it is not in the register
}

func (q *Quarantined) Error() string {
	switch {
	case q.Host == "":
		return "AMC " + string(q.AMC) + " is in the annuaire but not in the register"
	case q.NewAMC:
		return "AMC " + string(q.AMC) + ", which is not in the register, is at " + strconv.Quote(string(q.Host))
	}
	return "the annuaire moved AMC " + string(q.AMC) + " to " + strconv.Quote(string(q.Host)) + ", outside its known domains"
}

// A Route is where one message goes. Only Choose makes one; the zero Route
// leads nowhere.
type Route struct {
	urls     []address
	amcName  string
	newAMC   bool
	setAside []*roc.Refusal
}

// URL is the first address: https, a DNS name in lower case, a path.
func (r Route) URL() string {
	if len(r.urls) == 0 {
		return ""
	}
	return r.urls[0].url
}

// Host is the DNS name of the first address.
func (r Route) Host() string {
	if len(r.urls) == 0 {
		return ""
	}
	return string(r.urls[0].host)
}

// Alternatives are the other addresses of the same service of the same AMC, in
// the annuaire's order. They passed the same address policy.
func (r Route) Alternatives() []string {
	var urls []string
	for i := 1; i < len(r.urls); i++ {
		urls = append(urls, r.urls[i].url)
	}
	return urls
}

// AMCName is the name of the AMC in the register; "" when it is not there.
func (r Route) AMCName() string { return r.amcName }

// NewAMC reports an AMC that is not in the register, accepted by policy.
func (r Route) NewAMC() bool { return r.newAMC }

// NewDomain reports that one of the addresses is outside the known domains of
// the AMC, accepted by policy.
func (r Route) NewDomain() bool {
	for _, a := range r.urls {
		if a.isNew {
			return true
		}
	}
	return false
}

// SetAside gives why other addresses of the annuaire's answer were not used,
// for the log and the operator: a Route can exist beside a quarantined address.
func (r Route) SetAside() []*roc.Refusal { return r.setAside }

// maxAddresses bounds how many addresses of one service a Route holds: each
// takes its share of the time of the exchange, should they all be down.
const maxAddresses = 8

// A Permit is the proof that an establishment may send the message of a key,
// whatever the annuaire says. Only Allow makes one.
type Permit struct {
	amc *register.AMC
	key roc.Key
	p   Policy
}

// Allow says whether an establishment may send a message of that key at all, by
// the register alone, so that a message that is refused anyway does not wait
// for the annuaire. amc is the AMC of the key in the register, nil when it is
// not there.
//
// The refusals, in the order of the checks: Suspended (the establishment's
// state), OutsideCircle (what its state opens), AMCSuspended (the AMC's own
// state, of one that it could reach otherwise), OutsideCircle (the version of
// the establishment), ServiceNotOffered (by the AMC's versions in the register).
// An AMC that is not in the register waits for
// the annuaire: it may know none of that number.
func Allow(es *register.Etablissement, amc *register.AMC, key roc.Key, p Policy) (Permit, error) {
	if err := checkArguments(es, amc, key); err != nil {
		return Permit{}, err
	}
	if err := reachable(es, amc, key); err != nil {
		return Permit{}, err
	}
	if amc != nil && !amc.Speaks(key.Version) {
		return Permit{}, roc.Refuse(roc.ServiceNotOffered, "AMC %s does not speak %s by the register", key.AMC, key.Version).Because(roc.VersionNotOpen).
			Saying("L'organisme %s n'est pas ouvert à ROC %s.", key.AMC, key.Version)
	}
	return Permit{amc, key, p}, nil
}

// Key is the key of the message.
func (p Permit) Key() roc.Key { return p.key }

// Choose decides where the message goes, given the annuaire's answer for its
// key.
//
// The refusals, in the order of the checks: Quarantined (an AMC that is not in
// the register), AnnuaireRefused (an answer about another AMC),
// ServiceNotOffered, and AnnuaireRefused or Quarantined when no
// address passes the address policy.
//
// Several addresses that pass keep the annuaire's order, each once; the next
// one is tried only while nothing was sent.
func (p Permit) Choose(entry annuaire.Entry) (Route, error) {
	if p.key == (roc.Key{}) {
		return Route{}, roc.Refuse(roc.Internal, "a route was asked for without a permit").Because(roc.ProgramFault)
	}
	if p.amc == nil && p.p.NewAMC != Accept { // the annuaire knows it: else it would be RPN301
		return Route{}, roc.Refuse(roc.Quarantined, "%w", &Quarantined{AMC: p.key.AMC, NewAMC: true}).Because(roc.NewAMC).
			Saying("L'organisme %s est à l'annuaire mais n'est pas encore inscrit au RPN ROC.", p.key.AMC)
	}
	offered, err := offers(p.key, entry)
	if err != nil {
		return Route{}, err
	}
	return addressPolicy{p.amc, p.key, p.p}.choose(offered)
}

// Choose is Allow, then Permit.Choose: for callers that already have an answer
// of the annuaire.
func Choose(es *register.Etablissement, amc *register.AMC, key roc.Key, entry annuaire.Entry, p Policy) (Route, error) {
	permit, err := Allow(es, amc, key, p)
	if err != nil {
		return Route{}, err
	}
	return permit.Choose(entry)
}

// checkArguments refuses what only a mistake of the program can pass here.
func checkArguments(es *register.Etablissement, amc *register.AMC, key roc.Key) error {
	switch {
	case es == nil:
		return roc.Refuse(roc.Internal, "a route was asked for no establishment").Because(roc.ProgramFault)
	case amc != nil && !amc.Has(key.AMC):
		return roc.Refuse(roc.Internal, "a route to AMC %s was asked with the row of another AMC", key.AMC).Because(roc.ProgramFault)
	case !key.Service.OfAMC(), key.Version != roc.V1 && key.Version != roc.V2:
		return roc.Refuse(roc.Internal, "a route was asked for service %s %s", key.Service, key.Version).Because(roc.ProgramFault)
	}
	return nil
}

// Reaches reports whether the states of an establishment and of an AMC of the
// register let the establishment send that service to the AMC, whatever the
// annuaire says: the table of profile section 6 alone.
func Reaches(es *register.Etablissement, amc *register.AMC, service roc.Service) bool {
	return open(es, amc, roc.Key{AMC: amc.Numeros[0], Service: service}) == nil
}

// reachable applies the table of profile section 6, then the establishment's
// versions in the register.
func reachable(es *register.Etablissement, amc *register.AMC, key roc.Key) error {
	if err := open(es, amc, key); err != nil {
		return err
	}
	if !es.Speaks(key.Version) {
		return outside(roc.VersionOfEstablishment, "establishment %s does not speak %s", es.Structure, key.Version).
			Saying("L'établissement n'est pas ouvert à ROC %s.", key.Version)
	}
	return nil
}

// open applies the table of profile section 6: the state of the establishment
// against the state of the AMC.
func open(es *register.Etablissement, amc *register.AMC, key roc.Key) error {
	if !es.Active() {
		return roc.Refuse(roc.Suspended, "establishment %s is in state %s", es.Structure, es.Etat).Because(roc.EstablishmentClosed).
			Saying("L'établissement est à l'état « %s ».", es.Etat)
	}
	if err := within(es, amc, key); err != nil {
		return err
	}
	return closed(amc, key)
}

// closed refuses an AMC by its own state, once the establishment could reach it
// otherwise: to come back later helps nobody else.
func closed(amc *register.AMC, key roc.Key) error {
	if amc == nil || amc.Etat.Open() {
		return nil
	}
	r := roc.Refuse(roc.AMCSuspended, "AMC %s is in state %s", key.AMC, amc.Etat)
	r.Since, r.Until = amc.Depuis.Time, amc.Fin
	switch amc.Etat {
	case register.AMCMaintenance:
		return r.Because(roc.MaintainedAMC).Saying("L'organisme %s est en maintenance%s.", key.AMC, until(amc))
	case register.AMCClos:
		return r.Because(roc.ClosedAMC).Saying("L'organisme %s a quitté le cercle de confiance%s.", key.AMC, until(amc))
	}
	return r.Because(roc.SuspendedAMC).Saying("L'organisme %s est suspendu du cercle de confiance%s.", key.AMC, until(amc))
}

// until says when an AMC is open again, where the register says it.
func until(amc *register.AMC) string {
	if amc.Fin.IsZero() {
		return ""
	}
	return ", jusqu'au " + register.InParis(amc.Fin).Format("02/01/2006 à 15:04")
}

// within says what each state of an establishment allows.
func within(es *register.Etablissement, amc *register.AMC, key roc.Key) error {
	if amc != nil && es.Etat != register.Attendu && amc.OnTrial() {
		return onTrial(es, amc, key)
	}
	platform := amc != nil && amc.Ordinaire == register.AMCValidation
	switch es.Etat {
	case register.Accrochage:
		if !platform {
			return outside(roc.InAccrochage, "establishment %s is in accrochage, AMC %s is not the validation platform", es.Structure, key.AMC).
				Saying("En accrochage, seule la plateforme de validation est joignable ; l'organisme %s n'en est pas une.", key.AMC)
		}
		if key.Service != roc.IDB && !es.AccrochageComplet {
			return outside(roc.InAccrochage, "establishment %s is in accrochage, service %s is not IDB", es.Structure, key.Service).
				Saying("En accrochage, seul le service IDB est ouvert, avec un patient fictif ; les autres le sont quand le registre porte accrochage_complet.")
		}
		return nil
	case register.Formation:
		if !platform {
			return outside(roc.InFormation, "establishment %s is in formation, AMC %s is not the validation platform", es.Structure, key.AMC).
				Saying("En formation, seule la Mutuelle ANS est joignable ; l'organisme %s ne l'est pas.", key.AMC)
		}
		return nil
	case register.Surveillance:
		if amc == nil || es.Miroir == "" || !amc.Has(es.Miroir) {
			return outside(roc.UnderSurveillance, "establishment %s is under surveillance, AMC %s is not its AMC miroir", es.Structure, key.AMC).
				Saying("Sous surveillance, seule l'AMC miroir (%s) est joignable.", es.Miroir)
		}
		return inCircle(amc, key)
	case register.Cercle:
		if amc == nil {
			return nil // the policy decides
		}
		if platform && es.Formation {
			return nil
		}
		return inCircle(amc, key)
	}
	return outside(roc.NoState, "establishment %s is in no known state", es.Structure).
		Saying("L'état de l'établissement ne permet aucun échange.")
}

// onTrial lets the establishments of the trials of an AMC in validation reach
// it, in whichever state they may call, and nobody else.
func onTrial(es *register.Etablissement, amc *register.AMC, key roc.Key) error {
	if amc.Tries(es.EJ) {
		return nil
	}
	return outside(roc.AMCOnTrial, "establishment %s is none of the trials of AMC %s, which is in validation", es.Structure, key.AMC).
		Saying("L'organisme %s est en validation : il n'est joignable que par les établissements de ses essais.", key.AMC)
}

// inCircle keeps real patients away from the validation platform.
func inCircle(amc *register.AMC, key roc.Key) error {
	if amc.Ordinaire == register.AMCCercle {
		return nil
	}
	return outside(roc.AMCOutsideCircle, "AMC %s is not in the circle", key.AMC).
		Saying("L'organisme %s n'est pas dans le cercle de confiance : il ne reçoit pas d'échanges réels.", key.AMC)
}

func outside(cause roc.CauseCode, format string, args ...any) *roc.Refusal {
	return roc.Refuse(roc.OutsideCircle, format, args...).Because(cause)
}

// offers returns the addresses of the service in the version of the key.
func offers(key roc.Key, entry annuaire.Entry) ([]annuaire.Adresse, error) {
	if entry.AMC != key.AMC {
		return nil, roc.Refuse(roc.AnnuaireRefused, "the annuaire answered about another AMC than %s", key.AMC).Because(roc.AnnuaireBadAnswer)
	}
	if !entry.ROC {
		return nil, roc.Refuse(roc.ServiceNotOffered, "AMC %s takes no part in ROC", key.AMC).Because(roc.NotInROC).
			Saying("L'organisme %s ne participe pas à ROC.", key.AMC)
	}
	var offered []annuaire.Adresse
	other := roc.NoVersion
	for _, a := range entry.Adresses {
		switch {
		case a.Service != key.Service:
		case a.Version == key.Version:
			offered = append(offered, a)
		default:
			other = a.Version
		}
	}
	if len(offered) > 0 {
		return offered, nil
	}
	r := roc.Refuse(roc.ServiceNotOffered, "AMC %s offers no %s in %s", key.AMC, key.Service, key.Version).Because(roc.NoSuchService)
	if other != roc.NoVersion {
		return nil, r.Because(roc.VersionNotOpen).Saying("L'organisme %s offre le service %s en %s, pas en %s.", key.AMC, key.Service, other, key.Version)
	}
	return nil, r.Saying("L'organisme %s n'offre pas le service %s.", key.AMC, key.Service)
}
