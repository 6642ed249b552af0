package message

import (
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// Key reads the routing key of a ROC request: its operation and its adressage,
// from the signed Body only. A field that is missing, malformed or there twice
// is a bad-key refusal that names it. An annuaire search has no key: it is an
// unknown-operation here.
func Key(c *xmlsig.Checked) (roc.Key, error) {
	body, op, err := rocRequest(c)
	if err != nil {
		return roc.Key{}, err
	}
	adressage, err := onlyChild(body, "adressage")
	if err != nil {
		return roc.Key{}, err
	}
	k := roc.Key{Service: op.Service, Version: op.Version}
	var seen [len(keyFields)]bool
	for n := adressage.First(); !n.IsZero(); n = n.Next() {
		if err := keyField(&k, &seen, n); err != nil {
			return roc.Key{}, err
		}
	}
	if k.AMC == "" {
		return roc.Key{}, missing("adressage/numero_amc")
	}
	if k.Domaine == "" {
		return roc.Key{}, missing("adressage/domaine_conventionnel")
	}
	return k, nil
}

// keyFields are the children of adressage that make the key.
var keyFields = [...]string{"adressage/numero_amc", "adressage/code_type_convention", "adressage/code_csr", "adressage/domaine_conventionnel"}

// keyField reads one child of adressage into k. An empty convention or CSR is
// an absent one: the attestation prints the label even with no value. Elements
// that the profile does not name are left alone.
func keyField(k *roc.Key, seen *[len(keyFields)]bool, n soap.Node) error {
	i := 0
	for i < len(keyFields) && !n.Is("", keyFields[i][len("adressage/"):]) {
		i++
	}
	if i == len(keyFields) {
		return nil
	}
	field := keyFields[i]
	if seen[i] {
		return twice(field)
	}
	seen[i] = true
	s, ok := textOf(n)
	if !ok {
		return notText(field)
	}
	var err error
	switch field {
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
		return malformed(field, s, err)
	}
	return nil
}

// Sites reads the establishment that the signed Body names: its legal entity,
// and its site or "". A malformed or missing number is a bad-key refusal. That
// they are the caller's is for etablissements to say.
func Sites(c *xmlsig.Checked) (ej, eg roc.FINESS, err error) {
	body, _, err := rocRequest(c)
	if err != nil {
		return "", "", err
	}
	etablissement, err := onlyChild(body, "etablissement")
	if err != nil {
		return "", "", err
	}
	for n := etablissement.First(); !n.IsZero(); n = n.Next() {
		switch {
		case n.Is("", "finess_ej"):
			err = finess(n, "etablissement/finess_ej", &ej)
		case n.Is("", "finess_eg"):
			err = finess(n, "etablissement/finess_eg", &eg)
		}
		if err != nil {
			return "", "", err
		}
	}
	if ej == "" {
		return "", "", missing("etablissement/finess_ej")
	}
	return ej, eg, nil
}

func finess(n soap.Node, field string, into *roc.FINESS) error {
	if *into != "" {
		return twice(field)
	}
	s, ok := textOf(n)
	if !ok {
		return notText(field)
	}
	f, err := roc.ParseFINESS(s)
	if err != nil {
		return malformed(field, "", err)
	}
	*into = f
	return nil
}

// rocRequest returns the signed child of the Body, when it is a request of IDB,
// SIM, CLC or ANL.
func rocRequest(c *xmlsig.Checked) (soap.Node, Operation, error) {
	body := c.Body()
	if body.IsZero() {
		return body, Operation{}, roc.Refuse(roc.PartNotSigned, "the Body is not signed").
			Saying("Le Body n'est pas couvert par la signature : rien n'y est lu.")
	}
	op, ok := operationOf(body)
	if !ok || op.Service == roc.Annuaire {
		return body, Operation{}, roc.Refuse(roc.UnknownOperation, "the Body's child is no request that is routed to an AMC")
	}
	return body, op, nil
}

func onlyChild(body soap.Node, name string) (soap.Node, error) {
	var found soap.Node
	for n := body.First(); !n.IsZero(); n = n.Next() {
		if !n.Is("", name) {
			continue
		}
		if !found.IsZero() {
			return found, twice(name)
		}
		found = n
	}
	if found.IsZero() {
		return found, missing(name)
	}
	return found, nil
}

// textOf is n.Text with one allocation where the text stands in the message as
// it is, which is nearly always.
func textOf(n soap.Node) (string, bool) {
	if b, ok := n.RawText(); ok {
		return string(b), true
	}
	return n.Text()
}

func missing(field string) error {
	return roc.Refuse(roc.BadKey, "field %s is missing", field).
		Saying("Le champ %s manque (les éléments du corps sont sans espace de noms).", field)
}

func twice(field string) error {
	return roc.Refuse(roc.BadKey, "field %s is there twice", field).Saying("Le champ %s figure deux fois.", field)
}

func notText(field string) error {
	return roc.Refuse(roc.BadKey, "field %s is not a plain text", field).
		Saying("Le champ %s doit être un simple texte, sans élément ni commentaire.", field)
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
	r := roc.Refuse(roc.BadKey, "field %s is malformed: %w", field, err)
	if value == "" {
		return r.Saying("Le champ %s est mal formé ; attendu : %s.", field, formats[field])
	}
	return r.Saying("Le champ %s vaut « %s » ; attendu : %s.", field, cut(value), formats[field])
}

// cut keeps 20 runes of a value, without control characters.
func cut(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 {
			return ' '
		}
		return r
	}, s)
	runes := []rune(s)
	if len(runes) <= 20 {
		return s
	}
	return string(runes[:20]) + "…"
}
