package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// wsdlOptions are the flags of `rpn wsdl`.
type wsdlOptions struct {
	dir, endpoint, version, soap string
	caller, amc                  string
}

func wsdlCommand() *cobra.Command {
	var o wsdlOptions
	cmd := &cobra.Command{
		Use:   "wsdl [--version v1|v2] [--soap 1.1] | --dir DOSSIER",
		Short: "Écrit le WSDL du RPN, ses schémas et un message d'exemple par opération",
		Long: `Écrit sur la sortie standard le WSDL que le RPN sert en GET /roc?wsdl, sans
certificat ni connexion. Un fichier suffit : les schémas sont dedans.

--version v1 ou v2 ne garde que les services de cette version. Sans elle, les deux
y sont et leurs opérations portent la version : interrogerV1, interrogerV2.
--soap 1.1 retire les ports SOAP 1.2, qu'Axis 1.4 ne sait pas lire.

Avec --dir, écrit dans ce dossier tous les WSDL, les schémas, et dans exemples/
une demande fictive par opération et par version de SOAP, à signer par
« rpn send » ou par votre logiciel. Un exemple déjà là n'est pas écrasé.`,
		Example: `  rpn wsdl --version v2 --endpoint https://rpn.example/roc > rpn-roc-v2.wsdl
  rpn wsdl --dir wsdl --caller 1010003812 --amc 0099000003`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			form, err := o.form()
			if err != nil {
				return refused(err)
			}
			if o.dir == "" {
				_, err := cmd.OutOrStdout().Write(message.WSDL(form, o.endpoint))
				return err
			}
			if form != (message.WSDLForm{}) {
				return refused(errors.New("--dir écrit tous les WSDL : ni --version ni --soap avec lui"))
			}
			return o.write(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "dossier où tout écrire ; il est fait s'il n'existe pas")
	f.StringVar(&o.endpoint, "endpoint", "https://rpn.example/roc", "adresse du RPN, écrite dans chaque port")
	f.StringVar(&o.version, "version", "", "v1 ou v2 : les services de cette version seuls")
	f.StringVar(&o.soap, "soap", "", "1.1 : sans les ports SOAP 1.2")
	f.StringVar(&o.caller, "caller", "1010003812", "structure (OU du certificat) qui demande, dans les exemples")
	f.StringVar(&o.amc, "amc", "0099000001", "numéro de l'organisme, dans les exemples")
	cmd.MarkFlagDirname("dir")
	return cmd
}

func (o *wsdlOptions) form() (message.WSDLForm, error) {
	var form message.WSDLForm
	if o.version != "" {
		v, err := roc.ParseVersion(strings.ToUpper(o.version))
		if err != nil {
			return form, fmt.Errorf("--version %q : écrivez v1 ou v2", o.version)
		}
		form.Version = v
	}
	switch o.soap {
	case "":
	case "1.1":
		form.SOAP11 = true
	default:
		return form, fmt.Errorf("--soap %q : seul 1.1 se choisit ; sans lui, SOAP 1.1 et 1.2 y sont", o.soap)
	}
	if !strings.HasPrefix(o.endpoint, "https://") && !strings.HasPrefix(o.endpoint, "http://") {
		return form, fmt.Errorf("--endpoint %q : écrivez une adresse en https://", o.endpoint)
	}
	return form, nil
}

// write fills the folder.
func (o *wsdlOptions) write(out io.Writer) error {
	caller, err := roc.ParseStructureID(o.caller)
	ej, ok := caller.FINESS()
	if err != nil || !ok {
		return refused(fmt.Errorf("--caller %q n'est pas une structure : 1 et un FINESS, comme 1010003812", o.caller))
	}
	amc, err := roc.ParseNumeroAMC(o.amc)
	if err != nil {
		return refused(fmt.Errorf("--amc %q n'est pas un numéro d'organisme : 8 à 10 chiffres", o.amc))
	}
	if err := os.MkdirAll(filepath.Join(o.dir, "exemples"), 0o755); err != nil {
		return refused(err)
	}
	for _, form := range message.WSDLForms() {
		if err := durable.WriteFile(filepath.Join(o.dir, form.File()), message.WSDL(form, o.endpoint), 0o644); err != nil {
			return failed(err)
		}
	}
	schemas, err := fs.Glob(message.Schemas(), "*.xsd")
	if err != nil {
		return failed(err)
	}
	for _, name := range schemas {
		b, err := fs.ReadFile(message.Schemas(), name)
		if err == nil {
			err = durable.WriteFile(filepath.Join(o.dir, name), b, 0o644)
		}
		if err != nil {
			return failed(err)
		}
	}
	written, err := writeSamples(filepath.Join(o.dir, "exemples"), message.SampleDemande(time.Now(), ej, amc))
	if err != nil {
		return failed(err)
	}
	fmt.Fprintf(out, "%s : %d WSDL, %d schémas, %d exemples écrits\n", o.dir, len(message.WSDLForms()), len(schemas), written)
	return nil
}

// writeSamples writes a request of every operation in each version of SOAP, and
// keeps what is there: it may have been edited.
func writeSamples(dir string, d message.Demande) (written int, err error) {
	for _, op := range message.Operations() {
		for _, v := range []soap.Version{soap.SOAP11, soap.SOAP12} {
			name := strings.ToLower(op.Service.String())
			if op.Version != roc.NoVersion {
				name += "-" + strings.ToLower(op.Version.String())
			}
			name = filepath.Join(dir, name+"-soap"+strings.ReplaceAll(v.String(), ".", "")+".xml")
			if _, err := os.Lstat(name); err == nil {
				continue
			}
			if err := durable.WriteFile(name, message.SampleRequest(op, d, v).Bytes(), 0o644); err != nil {
				return written, err
			}
			written++
		}
	}
	return written, nil
}
