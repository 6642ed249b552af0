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
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [flags] FILE...",
		Short: "Vérifie des messages SOAP signés comme le RPN, et dit pourquoi l'un est refusé",
		Long: `Vérifie chaque FILE (« - » : l'entrée standard) avec le code qui vérifie les
messages reçus, et dit ce qui est signé, par qui, comment, chaque étape réussie,
et le verdict, avec le code, la cause, le libellé et le remède de la faute.

Sans --trust, la chaîne du signataire n'est pas vérifiée (son certificat est
admis tel quel, et le résultat le dit) ; sans --caller, sa structure n'est pas
comparée.

Avec --c14n ID, écrit à la place les octets canoniques de la partie de cet Id (ou
de SignedInfo) sur la sortie standard, et sur la sortie d'erreur son empreinte et
celle que le message annonce : deux logiciels peuvent ainsi être comparés.

Code de sortie : 0 quand chaque message est accepté, 1 quand l'un est refusé, 2
quand la ligne de commande ou un fichier est faux.`,
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
	at       time.Time
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
func (v *verification) check(data roc.Content) (*xmlsig.Report, error) {
	env, err := soap.Read(data, soap.DefaultLimits)
	if err != nil {
		return &xmlsig.Report{}, err
	}
	op, isRequest := message.OperationOf(env.Operation())
	policy := xmlsig.Policy{Optional: op.Service == roc.Annuaire, TimestampOptional: v.o.noTimestamp, Answer: !isRequest}
	if len(v.o.trust) == 0 {
		// First round with nobody trusted, to learn the certificate; second
		// round trusting exactly it.
		v.trust = xmlsig.NewTrust(nil)
		_, report, err := v.verifier.Explain(env, policy, v.expect, v.at)
		if report.Signer == nil {
			return report, err
		}
		v.trust = xmlsig.NewTrust(onlyThis{report.Signer})
	}
	_, report, err := v.verifier.Explain(env, policy, v.expect, v.at)
	return report, err
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
