package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func amcKitCommand() *cobra.Command {
	var f amcFlags
	var dir string
	var sources []string
	cmd := &cobra.Command{
		Use:   "kit -c FICHIER --amc NUMÉRO --out DOSSIER",
		Short: "Écrit le dossier à remettre à un organisme pour son raccordement",
		Long: `Écrit dans DOSSIER ce qu'un organisme doit savoir de ce RPN, d'après sa
configuration et son registre : LISEZMOI.md (adresses, délais, tailles, en-têtes, à
quelle identité se fier, ce qui n'est jamais renvoyé), le certificat que le RPN
présente avec ses autorités (jamais une clé), les WSDL et des demandes d'exemple.

Les adresses d'où partent les connexions ne sont pas dans la configuration :
donnez-les par --source.`,
		Example: `  rpn amc kit -c /etc/rpn/rpn.yaml --amc 0099000003 --out kit-bleue --source 192.0.2.10 --source 192.0.2.11`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Read(f.register.config)
			if err != nil {
				return refused(err)
			}
			n, err := roc.ParseNumeroAMC(f.number)
			if err != nil {
				return refused(fmt.Errorf("--amc %q n'est pas un numéro d'organisme : 8 à 10 chiffres", f.number))
			}
			list, err := register.LoadAMCs(c.AMC, time.Now())
			if err != nil {
				return refused(err)
			}
			amc, ok := list.AMC(n)
			if !ok {
				return refused(fmt.Errorf("aucun organisme de %s n'a le numéro %s", c.AMC, n))
			}
			if err := writeKit(c, amc, n, sources, dir); err != nil {
				return failed(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s : le dossier de %s (%s) est écrit ; commencez par LISEZMOI.md\n", dir, amc.Nom, n)
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.number, "amc", "", "le numéro de l'organisme")
	cmd.Flags().StringVar(&dir, "out", "", "le dossier à écrire")
	cmd.Flags().StringArrayVar(&sources, "source", nil, "adresse d'où le RPN se connecte (peut être répétée)")
	for _, name := range []string{"config", "amc", "out"} {
		cmd.MarkFlagRequired(name)
	}
	cmd.MarkFlagDirname("out")
	return cmd
}

// A kit is what LISEZMOI.md is made of.
type kit struct {
	Nom, Numero, Environment    string
	Certificate, Issuer, Serial string
	NotAfter                    string
	Sources, Domaines           []string
	Versions                    string
	Connect                     time.Duration
	Delais                      []kitDelai
	Request, Answer             int64
	AnswerSignatures            string
	Limite                      string
	PostQuantum                 bool
}

type kitDelai struct {
	Service string
	Delai   time.Duration
}

func writeKit(c *config.Config, amc *register.AMC, n roc.NumeroAMC, sources []string, dir string) error {
	certs, _, err := trust.ReadCertificates(c.Client.Certificate)
	if err != nil {
		return err
	}
	if len(certs) == 0 {
		return fmt.Errorf("%s ne contient aucun certificat", c.Client.Certificate)
	}
	k := kit{
		Nom: amc.Nom, Numero: string(n), Environment: string(c.Environment), Sources: sources,
		Certificate: certs[0].Subject.String(), Issuer: certs[0].Issuer.String(), Serial: fmt.Sprintf("%x", certs[0].SerialNumber),
		NotAfter: certs[0].NotAfter.Format("02/01/2006"), Connect: c.Timeouts.Connect,
		Request: int64(c.Limits.Bytes), Answer: int64(c.Limits.AnswerBytes),
		AnswerSignatures: string(c.Policies.AnswerSignatures), PostQuantum: amc.PostQuantum(), Versions: "V1 et V2",
	}
	for _, d := range amc.Domaines {
		k.Domaines = append(k.Domaines, string(d))
	}
	if len(amc.Versions) > 0 {
		k.Versions = strings.Join(roc.Texts(amc.Versions), " et ")
	}
	if amc.Limite.ParSeconde > 0 {
		k.Limite = fmt.Sprintf("%g messages par seconde, de chaque instance", amc.Limite.ParSeconde)
	}
	for _, s := range roc.AMCServices {
		d := c.Timeouts.Exchange
		for _, less := range []time.Duration{c.Timeouts.Services.Of(s), amc.Delai(s)} {
			if less > 0 {
				d = min(d, less)
			}
		}
		k.Delais = append(k.Delais, kitDelai{s.String(), d})
	}
	var chain, text bytes.Buffer
	for _, cert := range certs {
		pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	if err := template.Must(template.New("kit").Parse(kitText)).Execute(&text, k); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "exemples"), 0o755); err != nil {
		return err
	}
	files := map[string][]byte{"LISEZMOI.md": text.Bytes(), "certificat-rpn.pem": chain.Bytes()}
	for _, form := range message.WSDLForms() {
		files[form.File()] = message.WSDL(form, "https://organisme.example/roc")
	}
	for name, b := range files {
		if err := durable.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	_, err = writeSamples(filepath.Join(dir, "exemples"), message.SampleDemande(time.Now(), "010003812", n))
	return err
}

const kitText = `# Raccordement de {{.Nom}} ({{.Numero}}) au RPN ROC

Environnement : {{.Environment}}. Versions : {{.Versions}}. La référence est docs/amc.md ; ce qui suit est ce que dit la configuration de ce RPN.

## À autoriser

- Le certificat client que le RPN présente, dans certificat-rpn.pem avec ses autorités : {{.Certificate}},
  délivré par {{.Issuer}}, numéro de série {{.Serial}}, valable jusqu'au {{.NotAfter}}. Autorisez son autorité et son nom, non ses octets :
  il sera renouvelé.
- Les adresses d'où partent les connexions : {{range $i, $s := .Sources}}{{if $i}}, {{end}}{{$s}}{{else}}à demander à l'exploitant du RPN{{end}}.

## Où le RPN vous joint

Aux URL que l'annuaire AMC donne pour {{.Numero}}, si leur nom est dans : {{range $i, $s := .Domaines}}{{if $i}}, {{end}}{{$s}}{{else}}(aucun domaine n'est encore au registre){{end}}.
HTTPS, TLS 1.2 ou 1.3{{if not .PostQuantum}}, avec un ClientHello court{{end}}, HTTP/1.1, POST.

## Délais et tailles

- Connexion (nom, TCP, TLS) : {{.Connect}}.
- Échange entier, réponse comprise :{{range .Delais}} {{.Service}} {{.Delai}} ;{{end}} l'établissement peut demander moins.
- Demande : {{.Request}} octets au plus. Réponse : {{.Answer}} octets au plus ; au-delà elle est refusée (RPN403).
{{- if .Limite}}
- Débit : {{.Limite}}.
{{- end}}

## En-têtes

RPN-Echange (identifiant de l'échange, à garder pour l'assistance), RPN-Structure (la structure de l'appelant, prouvée par son
certificat TLS), Via: 1.1 rpn. Content-Type, SOAPAction et Accept sont ceux de l'établissement.

## À quelle identité se fier

À la signature du message : celle de l'établissement, sur le Body et le Timestamp, octet pour octet. RPN-Structure ne fait que répéter.

## Ce que le RPN ne fait jamais

- Renvoyer une demande dont un octet est parti : l'établissement décide.
- Modifier un octet, suivre une redirection, ou remettre une réponse qui n'est pas une enveloppe SOAP (RPN405).

## Signature de vos réponses

La politique de ce RPN est « {{.AnswerSignatures}} ». Avec « enforce », une réponse sans signature valable (Body et Timestamp, autorité de signature des
organismes) est refusée (RPN403).

## Maintenance

Annoncez-la à l'exploitant (rpn amc drain {{.Numero}} --until FIN), ou répondez 503 avec Retry-After : rien ne vous est envoyé d'ici là, une
heure au plus à chaque fois, et les établissements lisent RPN307 et le délai.

## Essais

rpn amc test --url https://... joue une douzaine d'échanges et écrit le rapport à remettre.
`
