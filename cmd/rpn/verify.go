package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/internal/xmlsig/second"
)

// verifyOptions are the flags of `rpn verify`.
type verifyOptions struct {
	trust       []string
	crl         []string
	caller, at  string
	json        bool
	c14n        string
	allowSHA1   bool
	noTimestamp bool
	second      bool
	register    string
	signature   bool // --signature-only
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [flags] FILE...",
		Short: "Vérifie des messages SOAP signés comme le RPN, et dit pourquoi l'un est refusé",
		Long: `Vérifie chaque FILE (« - » : l'entrée standard) avec le code qui vérifie les
messages reçus, étape par étape : lecture, opération, signature, champs de
routage, FINESS et sites, puis tous les champs comme l'organisme les lira. Le
verdict vient avec le code, la cause, le libellé et le remède de la faute.

ACCEPTÉ n'est dit que si le RPN accepterait le message. Pour cela il faut --trust
(la chaîne du signataire), --caller (la structure du certificat TLS) et, quand
le message nomme un site, --register (le dossier du registre) ; sans eux,
ce qui n'a pas été vérifié est nommé. Ce qui dépend d'ailleurs (état de
l'établissement, annuaire, organisme, limites) n'est pas jugé ici.

--signature-only s'arrête à la signature, et le verdict est alors « signature
acceptée ».

Quand une empreinte diffère, ce qui a pu changer la partie est cherché : blancs
entre les éléments, fins de ligne, C14N 1.0, BOM, ISO-8859-1.

Avec --c14n ID, écrit à la place les octets canoniques de la partie de cet Id (ou
de SignedInfo) sur la sortie standard, et sur la sortie d'erreur son empreinte et
celle que le message annonce : deux logiciels peuvent ainsi être comparés.

Code de sortie : 0 quand rien n'est refusé, 1 quand un message l'est, 2 quand la
ligne de commande ou un fichier est faux.`,
		Example: `  rpn verify --trust igc-sante-signature.pem --caller 1010003812 message.xml
  rpn verify --json --at 2026-11-21T09:30:00Z *.xml
  rpn verify --c14n SignedInfo message.xml > signedinfo.c14n`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := newVerification(o)
			if err != nil {
				return refused(err)
			}
			if o.c14n != "" {
				return v.canonical(cmd, args)
			}
			return v.run(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.trust, "trust", nil, "fichier PEM d'autorités de signature (peut être répété)")
	f.StringArrayVar(&o.crl, "crl", nil, "liste de révocation de ces autorités, PEM ou DER (peut être répété)")
	f.StringVar(&o.caller, "caller", "", "structure que le certificat TLS porterait : 1 et le FINESS")
	f.StringVar(&o.register, "register", "", "dossier du registre (etablissements.yaml et amc.yaml), pour les sites et les mandats")
	f.BoolVar(&o.signature, "signature-only", false, "vérifie la signature seule")
	f.StringVar(&o.at, "at", "", "instant de la vérification, RFC 3339 (par défaut : maintenant)")
	f.BoolVar(&o.json, "json", false, "un objet JSON par ligne et par fichier")
	f.StringVar(&o.c14n, "c14n", "", "écrit les octets canoniques de la partie de cet Id, ou de SignedInfo")
	f.BoolVar(&o.allowSHA1, "allow-sha1", false, "admet SHA-1, comme un environnement de test le peut")
	f.BoolVar(&o.second, "second-opinion", false, "vérifie encore chaque signature avec etree, goxmldsig et la bibliothèque standard, et montre les deux verdicts")
	f.BoolVar(&o.noTimestamp, "no-timestamp", false, "n'exige pas de Timestamp signé, comme le registre peut en dispenser")
	return cmd
}

// A verification is what `rpn verify` checks with.
type verification struct {
	o        verifyOptions
	verifier *xmlsig.Verifier
	trust    *xmlsig.Trust // nil without --trust: made of each message's own certificate
	expect   xmlsig.Expect
	sites    func(ej, eg roc.FINESS) error // nil without --caller
	at       time.Time
}

// An examined message is what was found of it.
type examined struct {
	*xmlsig.Report
	unchecked []xmlsig.Step   // what a flag that was not given left out
	changed   []xmlsig.Change // of each part whose digest differs, where it is known
}

func newVerification(o verifyOptions) (*verification, error) {
	v := &verification{o: o, at: time.Now()}
	if o.at != "" {
		at, err := time.Parse(time.RFC3339, o.at)
		if err != nil {
			return nil, fmt.Errorf("--at %q n'est pas un instant RFC 3339, comme 2026-11-21T09:30:00Z", o.at)
		}
		v.at = at
	}
	if o.caller != "" {
		id, err := roc.ParseStructureID(o.caller)
		if err != nil {
			return nil, fmt.Errorf("--caller %q n'est pas une structure : donnez l'OU du certificat TLS, comme 1010003812 (%w)", o.caller, err)
		}
		v.expect.Structure = id
	}
	if err := v.readSites(o); err != nil {
		return nil, err
	}
	if len(o.crl) > 0 && len(o.trust) == 0 {
		return nil, errors.New("--crl demande --trust : une liste de révocation est vérifiée par l'autorité qui l'a signée")
	}
	if len(o.trust) > 0 {
		signers, err := readTrust(o.trust, o.crl)
		if err != nil {
			return nil, err
		}
		v.trust = signers
	}
	current := func() *xmlsig.Trust { return v.trust }
	v.verifier = xmlsig.NewVerifier(xmlsig.Options{Trust: current, AllowSHA1: o.allowSHA1})
	return v, nil
}

func (v *verification) run(cmd *cobra.Command, files []string) error {
	out, ok := cmd.OutOrStdout(), true
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, name := range files {
		data, err := readMessage(name, cmd.InOrStdin())
		if err != nil {
			return refused(err)
		}
		report, err := v.check(data)
		line := v.verdict(name, report, err)
		if v.o.second {
			line.Second = secondOpinion(data, report.Signer)
		}
		ok = ok && err == nil
		if v.o.json {
			if err := enc.Encode(line); err != nil {
				return failed(err)
			}
		} else {
			v.print(out, line, report, err)
		}
	}
	if !ok {
		return failed(nil)
	}
	return nil
}

// secondOpinion is what other libraries say of the signature, whatever the
// first verdict was: of digests and value, not of trust, time or structure.
func secondOpinion(m roc.Content, signer *x509.Certificate) string {
	if signer == nil {
		return "cannot: aucun certificat de signataire"
	}
	result, err := second.Verify(m, signer)
	switch result {
	case second.Agrees:
		return "holds"
	case second.Disagrees:
		return "does-not-hold: " + err.Error()
	}
	return "cannot: " + err.Error()
}

// check is the check of the request path, with the report kept.
func (v *verification) check(data roc.Content) (*examined, error) {
	x := &examined{Report: &xmlsig.Report{}}
	env, err := soap.Read(data, soap.DefaultLimits)
	if err != nil {
		return x, err
	}
	op, isAnswer := message.AnswerOf(env.Operation())
	if !isAnswer && !v.o.signature {
		media, err := message.ParseContentType(env.Version().ContentType())
		if err != nil {
			return x, err
		}
		if op, err = message.CheckActions(env, media, message.SOAPAction{}); err != nil {
			return x, err
		}
	} else if !isAnswer {
		op, _ = message.OperationOf(env.Operation())
	}
	policy := xmlsig.Policy{Optional: op.Service == roc.Annuaire, TimestampOptional: v.o.noTimestamp, Answer: isAnswer || op.Service == roc.NoService}
	checked, err := v.signed(x, env, policy)
	if err != nil {
		for _, ref := range x.References {
			if c, known := v.verifier.Changed(data, ref.ID); !ref.Match && known {
				x.changed = append(x.changed, c)
			}
		}
		return x, err
	}
	if isAnswer || v.o.signature {
		return x, nil
	}
	x.Steps = append([]xmlsig.Step{{Name: "operation", What: op.Service.String() + " " + op.Version.String() + ", l'action ne dit rien d'autre"}}, x.Steps...)
	return x, v.content(x, checked, env, op)
}

// signed checks the signature.
func (v *verification) signed(x *examined, env *soap.Envelope, policy xmlsig.Policy) (*xmlsig.Checked, error) {
	if len(v.o.trust) == 0 {
		// First round with nobody trusted, to learn the certificate; second
		// round trusting exactly it.
		v.trust = xmlsig.NewTrust(nil)
		checked, report, err := v.verifier.Explain(env, policy, v.expect, v.at)
		if x.Report = report; report.Signer == nil {
			return checked, err
		}
		v.trust = xmlsig.NewTrust(onlyThis{report.Signer})
		x.unchecked = append(x.unchecked, xmlsig.Step{Name: xmlsig.ChainStep, What: "la chaîne de certificats du signataire : --trust n'est pas donné"})
	}
	checked, report, err := v.verifier.Explain(env, policy, v.expect, v.at)
	x.Report = report
	return checked, err
}

func (v *verification) canonical(cmd *cobra.Command, files []string) error {
	if len(files) != 1 {
		return refused(errors.New("--c14n ne prend qu'un fichier"))
	}
	data, err := readMessage(files[0], cmd.InOrStdin())
	if err != nil {
		return refused(err)
	}
	env, err := soap.Read(data, soap.DefaultLimits)
	if err != nil {
		return failed(err)
	}
	if v.trust == nil {
		v.trust = xmlsig.NewTrust(nil)
	}
	part, err := v.verifier.CanonicalPart(env, v.o.c14n)
	if err != nil {
		return failed(errors.New(roc.RefusalOf(err).Libelle()))
	}
	if _, err := cmd.OutOrStdout().Write(part.Canonical.Bytes()); err != nil {
		return failed(err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%v de %d octets canoniques : %s\n", part.Hash, part.Canonical.Len(), base64.StdEncoding.EncodeToString(part.Computed))
	if part.Expected == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "aucune référence n'annonce d'empreinte pour cette partie\n")
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "le message annonce : %s\n", base64.StdEncoding.EncodeToString(part.Expected))
	if !bytes.Equal(part.Expected, part.Computed) {
		return failed(errors.New("les deux diffèrent"))
	}
	return nil
}
