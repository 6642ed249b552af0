package main

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/internal/xmlsig/second"
	"github.com/piano-roc/rpn/tlsconf/trust"
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

// readTrust reads the CAs, self-signed ones as roots, and their CRLs.
func readTrust(files, crls []string) (*xmlsig.Trust, error) {
	var roots, intermediates []*x509.Certificate
	for _, name := range files {
		certs, _, err := trust.ReadCertificates(name)
		if err != nil {
			return nil, err
		}
		for _, c := range certs {
			if bytes.Equal(c.RawIssuer, c.RawSubject) {
				roots = append(roots, c)
			} else {
				intermediates = append(intermediates, c)
			}
		}
	}
	if len(roots) == 0 { // an intermediate given alone is what the vendor trusts
		roots, intermediates = intermediates, nil
	}
	lists, err := readCRLs(crls)
	if err != nil {
		return nil, err
	}
	return xmlsig.NewTrust(trust.NewTrust(roots, intermediates).Signature(lists)), nil
}

type crlList []*x509.RevocationList

func readCRLs(files []string) (crlList, error) {
	var lists crlList
	for _, name := range files {
		l, err := trust.ReadLists(name)
		if err != nil {
			return nil, err
		}
		lists = append(lists, l...)
	}
	return lists, nil
}

// CheckLinks looks every certificate of a chain up in the CRLs its issuer signed.
func (l crlList) CheckLinks(chain []trust.Link, _ time.Time) *trust.Failure {
	for i := range chain[:len(chain)-1] {
		for _, list := range l {
			if list.CheckSignatureFrom(chain[i].Issuer) != nil {
				continue
			}
			for _, r := range list.RevokedCertificateEntries {
				if r.SerialNumber.Cmp(chain[i].Cert.SerialNumber) == 0 {
					return &trust.Failure{Reason: trust.Revoked, Detail: fmt.Sprintf("serial %x is on the CRL of %s", r.SerialNumber, list.ThisUpdate.Format(time.DateOnly))}
				}
			}
		}
	}
	return nil
}

// Seen has nothing to note: the lists are those given.
func (l crlList) Seen([]trust.Link) {}

// Wanted neither.
func (l crlList) Wanted([]trust.Link) {}

// onlyThis trusts one certificate, whoever issued it.
type onlyThis struct{ certificate *x509.Certificate }

func (o onlyThis) Verify(presented []*x509.Certificate, _ time.Time) (chain []*x509.Certificate, from, until time.Time, err error) {
	if c := presented[0]; c.Equal(o.certificate) {
		return []*x509.Certificate{c}, c.NotBefore, c.NotAfter, nil
	}
	return nil, from, until, roc.Refuse(roc.UntrustedSigner, "another certificate").Because(roc.CertificateAmbiguous)
}

func (onlyThis) Proved([]*x509.Certificate) {}

// A verdict is one line of --json.
type verdict struct {
	File    string   `json:"file"`
	Verdict string   `json:"verdict"` // accepted | refused
	Code    string   `json:"code,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Cause   string   `json:"cause,omitempty"`  // its stable name, as rpn:Cause of the fault has it
	Signer  string   `json:"signer,omitempty"` // structure id, else the subject
	Covered []string `json:"covered"`
	Chain   string   `json:"chain"`          // checked | unchecked
	Says    string   `json:"says,omitempty"` // what the fault says, in French
	Remedy  string   `json:"remedy,omitempty"`
	Second  string   `json:"second,omitempty"` // of the signature alone: holds | does-not-hold | cannot, and why
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

func (v *verification) verdict(name string, r *xmlsig.Report, err error) verdict {
	d := verdict{File: name, Verdict: "accepted", Covered: r.Covered(), Chain: "checked"}
	if d.Covered == nil {
		d.Covered = []string{}
	}
	if len(v.o.trust) == 0 {
		d.Chain = "unchecked"
	}
	if r.Signer != nil {
		d.Signer = r.Signer.Subject.String()
		if id, err := roc.StructureOfCertificate(r.Signer); err == nil {
			d.Signer = string(id)
		}
	}
	if err != nil {
		refusal := roc.RefusalOf(err)
		m := refusal.Meaning()
		d.Verdict, d.Code, d.Reason, d.Cause = "refused", m.Code, string(refusal.Reason), string(refusal.CauseCode)
		d.Says, d.Remedy = refusal.Libelle(), m.Remede
	}
	return d
}

// print writes the report for a person, in French, with the texts of the fault
// that the RPN would answer. The names of steps, reasons and causes are those of
// docs/refusals.md, for whoever looks them up.
func (v *verification) print(out io.Writer, d verdict, r *xmlsig.Report, err error) {
	fmt.Fprintf(out, "%s\n", d.File)
	if c := r.Signer; c != nil {
		fmt.Fprintf(out, "  signataire %s\n", c.Subject)
		fmt.Fprintf(out, "             %s, numéro de série %x, délivré par %s\n", keyName(c), c.SerialNumber, c.Issuer)
		fmt.Fprintf(out, "             valable du %s au %s, présenté en %s\n", c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly), r.Form)
	}
	if r.Algorithm != "" {
		fmt.Fprintf(out, "  signature  %s\n", r.Algorithm)
	}
	for _, ref := range r.References {
		if ref.Match {
			fmt.Fprintf(out, "  partie     %s (#%s), %v : conforme\n", ref.Part, ref.ID, ref.Hash)
			continue
		}
		fmt.Fprintf(out, "  partie     %s (#%s), %v : DIFFÉRENTE\n", ref.Part, ref.ID, ref.Hash)
		fmt.Fprintf(out, "             annoncée %s\n             calculée %s\n", base64.StdEncoding.EncodeToString(ref.Expected), base64.StdEncoding.EncodeToString(ref.Computed))
		fmt.Fprintf(out, "             à comparer : rpn verify --c14n %s %s\n", ref.ID, d.File)
	}
	for _, s := range r.Steps {
		if s.Name == xmlsig.ChainStep && d.Chain == "unchecked" { // only the certificate itself was trusted
			continue
		}
		fmt.Fprintf(out, "  étape      %-11s %s\n", s.Name, s.What)
	}
	if d.Chain == "unchecked" && r.Signer != nil {
		fmt.Fprintf(out, "  NON VÉRIFIÉE la chaîne de certificats du signataire : --trust n'est pas donné\n")
	}
	if d.Second != "" {
		fmt.Fprintf(out, "  2e avis    %s\n", frenchOpinion(d.Second))
	}
	if err == nil {
		fmt.Fprintf(out, "  ACCEPTÉ\n")
		return
	}
	fmt.Fprintf(out, "  REFUSÉ     %s %s, cause %s\n", d.Code, d.Reason, cmp.Or(d.Cause, "non précisée"))
	fmt.Fprintf(out, "  libellé    %s\n  remède     %s\n", d.Says, d.Remedy)
}

// frenchOpinion is a second opinion for a person. The detail is the libraries'.
func frenchOpinion(opinion string) string {
	result, detail, _ := strings.Cut(opinion, ": ")
	switch result {
	case "holds":
		return "signature conforme, d'après etree, goxmldsig et la bibliothèque standard"
	case "does-not-hold":
		return "SIGNATURE NON CONFORME, d'après etree, goxmldsig et la bibliothèque standard : " + detail
	}
	return "aucun avis possible : " + detail
}

func keyName(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
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
