package message

import (
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// Key reads the routing key of a ROC request: its operation and its adressage,
// from the signed Body only. A field that is missing, malformed or repeated is
// a bad-key refusal that names it. An annuaire search has no key: it is an
// unknown-operation here.
func Key(c *xmlsig.Checked) (roc.Key, error) {
	body, op, err := rocRequest(c)
	if err != nil {
		return roc.Key{}, err
	}
	adressage, err := onlyBlock(body, "adressage")
	if err != nil {
		return roc.Key{}, err
	}
	k := roc.Key{Service: op.Service, Version: op.Version}
	err = readBlock(adressage, "adressage", keyFields[:], func(f *field, s string) error { return keyField(&k, f.path, s) })
	if err != nil {
		return roc.Key{}, err
	}
	return k, nil
}

// keyFields are the children of adressage, in the order of the schema.
var keyFields = [...]field{
	{"numero_amc", "adressage/numero_amc", false},
	{"code_type_convention", "adressage/code_type_convention", true},
	{"code_csr", "adressage/code_csr", true},
	{"domaine_conventionnel", "adressage/domaine_conventionnel", false},
}

// keyField reads one value of adressage into k. An empty convention or CSR
// counts as absent: the attestation prints the label even with no value.
func keyField(k *roc.Key, path, s string) (err error) {
	switch path {
	case "adressage/numero_amc":
		k.AMC, err = roc.ParseNumeroAMC(s)
	case "adressage/code_type_convention":
		if s != "" {
			k.Convention, err = roc.ParseConvention(s)
		}
	case "adressage/code_csr":
		k.CSR, err = roc.ParseCSR(s)
	case "adressage/domaine_conventionnel":
		k.Domaine, err = roc.ParseDomaine(s)
	}
	if err != nil {
		return malformed(path, s, err)
	}
	return nil
}

// Sites reads the establishment that the signed Body names: its legal entity,
// and its site or "". A malformed or missing number is a bad-key refusal. The
// register decides whether they belong to the caller.
func Sites(c *xmlsig.Checked) (ej, eg roc.FINESS, err error) {
	body, op, err := rocRequest(c)
	if err != nil {
		return "", "", err
	}
	etablissement, err := onlyBlock(body, "etablissement")
	if err != nil {
		return "", "", err
	}
	fields := siteFields[:]
	if op.Version == roc.V1 {
		fields = fields[:2]
	}
	err = readBlock(etablissement, "etablissement", fields, func(f *field, s string) (err error) {
		switch f.path {
		case "etablissement/finess_ej":
			ej, err = roc.ParseFINESS(s)
		case "etablissement/finess_eg":
			if s != "" {
				eg, err = roc.ParseFINESS(s)
			}
		}
		if err != nil {
			return malformed(f.path, "", err)
		}
		return nil
	})
	if err != nil {
		return "", "", err
	}
	return ej, eg, nil
}

// siteFields are the children of etablissement, in the order of the schema;
// V1 has the first two. Of champ and statut the RPN reads nothing: whether they
// must be there, and what they say, is the insurer's business.
var siteFields = [...]field{
	{"finess_ej", "etablissement/finess_ej", false},
	{"finess_eg", "etablissement/finess_eg", true},
	{"champ", "etablissement/champ", true},
	{"statut", "etablissement/statut", true},
}

// rocRequest returns the signed child of the Body, when it is a request of IDB,
// SIM, CLC or ANL.
func rocRequest(c *xmlsig.Checked) (soap.Node, Operation, error) {
	body := c.Body()
	if body.IsZero() {
		return body, Operation{}, roc.Refuse(roc.PartNotSigned, "the Body is not signed").Because(roc.BodyNotSigned).
			Saying("Le Body n'est pas couvert par la signature : rien n'y est lu.")
	}
	op, ok := operationOf(body)
	if !ok || op.Service == roc.Annuaire {
		return body, Operation{}, roc.Refuse(roc.UnknownOperation, "the Body's child is no request that is routed to an AMC").Because(roc.UnknownRequest)
	}
	return body, op, nil
}

func missing(field string) error {
	return roc.Refuse(roc.BadKey, "field %s is missing", field).Because(roc.FieldMissing).
		Saying("Le champ %s manque (les éléments du corps sont sans espace de noms).", field)
}

func twice(field string) error {
	return roc.Refuse(roc.BadKey, "field %s is there twice", field).Because(roc.FieldTwice).Saying("Le champ %s figure deux fois.", field)
}

func notText(field string) error {
	return roc.Refuse(roc.BadKey, "field %s is not a plain text", field).Because(roc.FieldMalformed).
		Saying("Le champ %s doit être un simple texte, sans élément ni commentaire.", field)
}

func misplaced(field string) error {
	return roc.Refuse(roc.BadKey, "field %s is out of its place", field).Because(roc.FieldMisplaced).
		Saying("Le champ %s n'est pas à sa place : les champs suivent l'ordre du schéma.", field)
}

func attributed(field string) error {
	return roc.Refuse(roc.BadKey, "%s has an attribute", field).Because(roc.FieldMisplaced).
		Saying("L'élément %s porte un attribut : il n'en admet aucun (xsi:nil seulement sur un champ facultatif et vide).", field)
}

// unexpected is the refusal of a block that holds more than its fields.
func unexpected(block string) error {
	return roc.Refuse(roc.BadKey, "%s holds something else than its fields", block).Because(roc.FieldMisplaced).
		Saying("L'élément %s contient autre chose que ses champs (sans espace de noms, en minuscules, dans l'ordre du schéma), ou figure aussi sous un autre nom : rien d'autre n'y est admis.", block)
}

// formats are what a field must look like, for the French detail.
var formats = map[string]string{
	"adressage/numero_amc":            "8 à 10 chiffres",
	"adressage/code_type_convention":  "deux lettres majuscules",
	"adressage/code_csr":              "au plus 15 chiffres et lettres majuscules",
	"adressage/domaine_conventionnel": "HOSP ou EXTE",
	"etablissement/finess_ej":         "un FINESS de 9 caractères",
	"etablissement/finess_eg":         "un FINESS de 9 caractères, ou l'élément absent",
}

// malformed quotes the value, when there is one to quote, to the caller alone:
// the Cause, which is logged, says the rule only.
func malformed(field, value string, err error) error {
	r := roc.Refuse(roc.BadKey, "field %s is malformed: %w", field, err).Because(roc.FieldMalformed)
	if value == "" {
		return r.Saying("Le champ %s est mal formé ; attendu : %s.", field, formats[field])
	}
	return r.Saying("Le champ %s vaut « %s » ; attendu : %s.", field, cut(value), formats[field])
}

// cut keeps 20 runes of a value, without control characters.
func cut(s string) string { return cutTo(s, 20) }

// maxQuotedName is how much of a name of the message is quoted to its sender.
const maxQuotedName = 80

func cutTo(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 {
			return ' '
		}
		return r
	}, s)
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}
