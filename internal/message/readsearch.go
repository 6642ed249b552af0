package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/internal/xsd"
)

// ReadSearch reads a search. The request of the annuaire may be unsigned
// (profile section 3), so it is read from an Envelope; what it says proves
// nothing about the sender. The error is a *FieldError, or an unknown-operation
// refusal when the message is no search.
func ReadSearch(env *soap.Envelope) (SearchRequest, error) {
	var s SearchRequest
	op, ok := operationOf(env.Body().First())
	if !ok || op.Service != roc.Annuaire {
		return s, roc.Refuse(roc.UnknownOperation, "not a search of the annuaire").Because(roc.UnknownRequest)
	}
	r := &reader{}
	root := located{node: env.Body().First()}
	params := r.need(root, "paramsObj")
	s.Requete = r.requete(r.one(params, "requete"))
	adressage := r.need(params, "adressage")
	s.Adressage = r.adressage(adressage)
	s.Service = r.text(adressage, "code_service")
	s.Norme = r.text(adressage, "code_norme_service")
	s.Version = r.text(adressage, "version_norme_service")
	types := r.one(r.one(params, "typage"), "type_adresse")
	r.all(types, "item", func(p located) { s.Types = append(s.Types, r.textOf(p)) })
	return s, r.done()
}

// ReadSearchAnswer reads the answer of the annuaire, from its signed Body only.
// Any defect is an annuaire-refused refusal. An answer whose Code is not
// RetourTrouve is returned without error: its meaning is left to the caller.
func ReadSearchAnswer(c *xmlsig.Checked) (SearchAnswer, error) {
	var a SearchAnswer
	body := c.Body()
	if body.IsZero() {
		return a, roc.Refuse(roc.AnnuaireRefused, "the answer's Body is not signed").Because(roc.AnnuaireBadAnswer)
	}
	if !body.Is(NSAnnuaire, "searchResponse") {
		return a, roc.Refuse(roc.AnnuaireRefused, "the answer's Body is no searchResponse").Because(roc.AnnuaireBadAnswer)
	}
	r := &reader{}
	resultat := r.need(located{node: body}, "resultat")
	retour := r.need(resultat, "retour")
	a.Code = r.must(retour, "code")
	a.Libelle = r.text(retour, "libelle")
	if r.err == nil && a.Code == RetourTrouve {
		r.found(resultat, &a)
	}
	if r.err != nil {
		return SearchAnswer{}, roc.Refuse(roc.AnnuaireRefused, "searchResponse: field %s is missing or malformed", r.err.Field).Because(roc.AnnuaireBadAnswer)
	}
	return a, nil
}

func (r *reader) found(resultat located, a *SearchAnswer) {
	organisme := r.need(resultat, "organisme")
	a.AMC = parsed(r, organisme, "numero_amc", r.must(organisme, "numero_amc"), roc.ParseNumeroAMC)
	a.Nom = r.text(organisme, "nom")
	a.ROC = parsed(r, organisme, "roc", r.must(organisme, "roc"), xsd.Boolean)
	if v := r.one(resultat, "validite"); !v.absent() {
		a.Debut = parsed(r, v, "debut", r.must(v, "debut"), parseDay)
		a.Fin = parsed(r, v, "fin", r.text(v, "fin"), parseDay)
	}
	r.all(r.one(resultat, "adresses"), "adresse", func(p located) {
		a.Adresses = append(a.Adresses, Adresse{
			Service: r.must(p, "code_service"),
			Norme:   r.must(p, "code_norme_service"),
			Version: r.must(p, "version_norme_service"),
			Type:    r.must(p, "type_adresse"),
			Valeur:  r.must(p, "valeur"),
		})
	})
}
