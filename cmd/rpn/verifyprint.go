package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

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
