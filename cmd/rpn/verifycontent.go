package main

import (
	"errors"
	"fmt"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/register/ops"
)

// readSites says how the establishment of a message is compared: by the
// register, or by the structure of --caller alone.
func (v *verification) readSites(o verifyOptions) error {
	if o.register == "" {
		if ej, ok := v.expect.Structure.FINESS(); ok {
			v.sites = func(told, _ roc.FINESS) error {
				if told != ej {
					return roc.Refuse(roc.StructureMismatch, "finess_ej is not that of --caller").Because(roc.OtherEJ).
						Saying("finess_ej doit être %s pour ce certificat (%s).", ej, v.expect.Structure)
				}
				return nil
			}
		}
		return nil
	}
	if o.caller == "" {
		return errors.New("--register demande --caller : le registre dit ce que peut cette structure")
	}
	list, err := ops.In(o.register).Load(v.at)
	if err != nil {
		return err
	}
	es, err := list.Admit(v.expect.Structure)
	if err != nil {
		return fmt.Errorf("--caller %s : %s", o.caller, roc.RefusalOf(err).Libelle())
	}
	v.expect.Mandate = es.Mandates
	v.sites = func(ej, eg roc.FINESS) error { return list.CheckSites(es, v.expect.Structure, ej, eg) }
	return nil
}

// content is what the RPN reads of a message whose signature is accepted, in its
// order, and then what its insurer will.
func (v *verification) content(x *examined, checked *xmlsig.Checked, env *soap.Envelope, op message.Operation) error {
	passed := func(name, what string) { x.Steps = append(x.Steps, xmlsig.Step{Name: name, What: what}) }
	unchecked := func(name, what string) { x.unchecked = append(x.unchecked, xmlsig.Step{Name: name, What: what}) }
	if v.expect.Structure == "" {
		unchecked("caller", "la structure du signataire et le FINESS du message : --caller n'est pas donné")
	}
	if op.Service != roc.Annuaire {
		if _, err := message.Key(checked); err != nil {
			return err
		}
		passed("key", "les champs de routage (adressage) sont lus")
		ej, eg, err := message.Sites(checked)
		if err != nil {
			return err
		}
		if v.sites != nil {
			if err := v.sites(ej, eg); err != nil {
				return err
			}
			passed("sites", "l'établissement du message est celui de l'appelant")
		}
		if eg != "" && v.o.register == "" {
			unchecked("sites", "finess_eg : --register n'est pas donné")
		}
	}
	if err := message.CheckFields(checked, env, op); err != nil {
		var field *message.FieldError
		if errors.As(err, &field) {
			return &schemaError{field}
		}
		return err
	}
	passed("schema", "tous les champs se lisent comme les schémas le disent")
	return nil
}

// A schemaError is a field that the RPN does not read, and that who answers will
// refuse.
type schemaError struct{ field *message.FieldError }

func (e *schemaError) Error() string { return e.field.Error() }

func (e *schemaError) Unwrap() error { return e.field }
