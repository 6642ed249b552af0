package mutuelle

// The published numbers: the numero_adherent of a request chooses the case.
// Establishments test their software with them: a number never changes its
// meaning. docs/mutuelle.md is their table, and a test compares it.
const (
	DroitsOuverts   = "ADH0000001"
	DroitsFermes    = "ADH0000002"
	CalculRefuse    = "ADH0000003"
	AccordPartiel   = "ADH0000004"
	Inconnu         = "ADH0000009"
	PanneTechnique  = "PANNE00001"
	Lente           = "PANNE00002"
	Coupee          = "PANNE00003"
	Volumineuse     = "PANNE00004"
	NonSignee       = "PANNE00005"
	Alteree         = "PANNE00006"
	PasSOAP         = "PANNE00007"
	CoupeeEnSilence = "PANNE00008"
)

// A panne is a simulated technical failure.
type panne uint8

const (
	noPanne panne = iota
	technicalFault
	slow
	cutShort
	bigAnswer
	unsignedAnswer
	alteredAnswer
	htmlError
	closed
)

// droits are what an IDB answers.
type droits uint8

const (
	inconnu droits = iota
	ouverts
	fermes
)

// A Case is the behaviour chosen by one published number.
type Case struct {
	Adherent string // the numero_adherent that chooses it
	Effet    string // French, one line

	droits droits
	part   int // percent that CLC and SIM pay of what the AMO leaves; 0 refuses
	panne  panne
}

var cases = []Case{
	{DroitsOuverts, "droits ouverts ; calcul accepté, tout le reste après l'AMO est pris en charge", ouverts, 100, noPanne},
	{DroitsFermes, "droits fermés (CR 02), calcul refusé de même", fermes, 0, noPanne},
	{CalculRefuse, "droits ouverts ; calcul refusé (CR 03)", ouverts, 0, noPanne},
	{AccordPartiel, "droits ouverts ; calcul accepté pour moitié, le reste à la charge du patient", ouverts, 50, noPanne},
	{Inconnu, "bénéficiaire inconnu (CR 01), comme tout numéro absent de cette table", inconnu, 0, noPanne},
	{PanneTechnique, "panne : faute SOAP de l'organisme (AMC90), HTTP 500", ouverts, 100, technicalFault},
	{Lente, "panne : réponse de droits ouverts après un long délai (30 s, réglable)", ouverts, 100, slow},
	{Coupee, "panne : connexion coupée au milieu de la réponse", ouverts, 100, cutShort},
	{Volumineuse, "panne : réponse signée de plus de 4 Mio (réglable)", ouverts, 100, bigAnswer},
	{NonSignee, "panne : réponse sans signature", ouverts, 100, unsignedAnswer},
	{Alteree, "panne : réponse modifiée après sa signature", ouverts, 100, alteredAnswer},
	{PasSOAP, "panne : HTTP 503 et une page HTML", ouverts, 100, htmlError},
	{CoupeeEnSilence, "panne : connexion fermée sans réponse", ouverts, 100, closed},
}

// Cases returns the published cases, in the order of docs/mutuelle.md.
func Cases() []Case { return append([]Case(nil), cases...) }

func caseOf(adherent string) Case {
	for _, c := range cases {
		if c.Adherent == adherent {
			return c
		}
	}
	return Case{Adherent: adherent, droits: inconnu}
}
