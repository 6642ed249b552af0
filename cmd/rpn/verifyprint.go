package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
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
	Verdict string   `json:"verdict"` // accepted | incomplete (nothing is refused, and not all was verified) | signature-accepted | refused
	Steps   []step   `json:"steps"`
	Changed []string `json:"changed,omitempty"` // what explains a digest that differs
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

// A step is one step of a verdict.
type step struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"` // passed | unchecked | refused
	Says    string `json:"says"`
}

func (v *verification) verdict(name string, r *examined, err error) verdict {
	d := verdict{File: name, Verdict: "accepted", Covered: r.Covered(), Chain: "checked", Steps: []step{}}
	for _, s := range r.Steps {
		if s.Name != xmlsig.ChainStep || len(v.o.trust) > 0 { // else only the certificate itself was trusted
			d.Steps = append(d.Steps, step{s.Name, "passed", s.What})
		}
	}
	for _, s := range r.unchecked {
		d.Steps = append(d.Steps, step{s.Name, "unchecked", s.What})
		d.Verdict = "incomplete"
	}
	for _, c := range r.changed {
		d.Changed = append(d.Changed, c.Name)
	}
	if v.o.signature {
		d.Verdict = "signature-accepted"
	}
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
	var schema *schemaError
	if errors.As(err, &schema) {
		d.Verdict, d.Reason, d.Cause = "refused", "schema", "schema"
		d.Says = "Le message ne suit pas son schéma : " + schema.Error() + ". Le RPN ROC ne lit pas ce champ et transmettrait le message ; qui répond le refusera."
		d.Remedy = "Corrigez ce champ d'après le schéma : rpn wsdl --dir DOSSIER écrit les schémas et des exemples."
	} else if err != nil {
		refusal := roc.RefusalOf(err)
		m := refusal.Meaning()
		d.Verdict, d.Code, d.Reason, d.Cause = "refused", m.Code, string(refusal.Reason), string(refusal.CauseCode)
		d.Says, d.Remedy = refusal.Libelle(), m.Remede
	}
	if err != nil {
		d.Steps = append(d.Steps, step{d.Cause, "refused", d.Says})
	}
	return d
}

// print writes the report for a person, in French, with the texts of the fault
// that the RPN would answer. The names of steps, reasons and causes are those of
// docs/refusals.md, for whoever looks them up.
func (v *verification) print(out io.Writer, d verdict, r *examined, err error) {
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
	for _, s := range d.Steps {
		switch s.Verdict {
		case "passed":
			fmt.Fprintf(out, "  étape      %-11s %s\n", s.Name, s.Says)
		case "unchecked":
			fmt.Fprintf(out, "  NON VÉRIFIÉE %-9s %s\n", s.Name, s.Says)
		}
	}
	for _, c := range r.changed {
		fmt.Fprintf(out, "  trouvé     %s\n", c.Says)
	}
	if d.Second != "" {
		fmt.Fprintf(out, "  2e avis    %s\n", frenchOpinion(d.Second))
	}
	if err == nil {
		fmt.Fprintf(out, "  %s\n", map[string]string{
			"accepted": "ACCEPTÉ", "signature-accepted": "SIGNATURE ACCEPTÉE",
			"incomplete": "RIEN N'EST REFUSÉ, mais tout n'a pas été vérifié",
		}[d.Verdict])
		return
	}
	fmt.Fprintf(out, "  REFUSÉ     %s, cause %s\n", strings.TrimSpace(d.Code+" "+d.Reason), cmp.Or(d.Cause, "non précisée"))
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
