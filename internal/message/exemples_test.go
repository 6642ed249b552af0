package message_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// The messages of the profile's examples, by our builders. Every test message
// is one of them, changed.

const exempleID = "urn:uuid:0f3c3f5e-6b0a-4a54-9a0c-6f8f4f1f2f10"

func exempleRequete(at string) message.Requete {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return message.Requete{Date: t, Editeur: "EDITEUR DEMO", Logiciel: "GAP-DEMO-0001", VersionLogiciel: "12.4"}
}

func exempleBeneficiaire() message.Beneficiaire {
	return message.Beneficiaire{NumeroAdherent: "ADH0000001", Nom: "FICTIF", Prenom: "Zoé", DateNaissance: "1980-02-29"}
}

func exempleIDB() message.IDBRequest {
	return message.IDBRequest{
		Version:    roc.V1,
		Addressing: &message.Addressing{MessageID: exempleID, To: "https://rpn.example/roc"},
		Demande: message.Demande{
			Requete:       exempleRequete("2026-11-21T09:30:00+01:00"),
			Etablissement: message.Etablissement{EJ: "010003812", EG: "010003820"},
			Adressage:     message.Adressage{AMC: "77565712", Convention: "RO", CSR: "030255400", Domaine: roc.HOSP},
			Beneficiaire:  exempleBeneficiaire(),
		},
		Contexte: &message.Contexte{Nature: "SEJOUR", Debut: "2026-11-21", DureeMoyenne: 3, Discipline: "03"},
	}
}

func exempleIDBAnswer() message.IDBAnswer {
	return message.IDBAnswer{
		Version:    roc.V1,
		Addressing: &message.Addressing{RelatesTo: exempleID},
		CR:         message.CR{Code: "00", Libelle: "Droits ouverts"},
		Organisme:  message.Organisme{AMC: "0077565712", Nom: "Mutuelle ANS"},
		Droits:     &message.Droits{Ouverts: true, Debut: "2026-01-01", Fin: "2026-12-31"},
		Garanties:  []message.Garantie{{Prestation: "FJ", Taux: 100}, {Prestation: "TM", Taux: 100}, {Prestation: "CHP", Montant: 6500}},
	}
}

func exempleCLC() message.CLCRequest {
	return message.CLCRequest{
		Version: roc.V2,
		Demande: message.Demande{
			Requete:       exempleRequete("2026-11-21T16:05:00+01:00"),
			Etablissement: message.Etablissement{EJ: "010003812", EG: "010003820", Champ: "SMR", Statut: "EX_OQN"},
			Adressage:     message.Adressage{AMC: "775671993", Convention: "RO", Domaine: roc.HOSP},
			Beneficiaire:  exempleBeneficiaire(),
		},
		Sejour: &message.Sejour{NumeroDossier: "D-2026-000123", Entree: "2026-11-18", Sortie: "2026-11-21"},
		Prestations: []message.Prestation{
			{Rang: 1, Code: "FJ", Date: "2026-11-18", Quantite: 3, Total: 6000},
			{Rang: 2, Code: "TM", Date: "2026-11-18", Quantite: 1, Total: 81240, AMO: 64992},
		},
	}
}

func exempleCLCAnswer() message.CLCAnswer {
	return message.CLCAnswer{
		Version:   roc.V2,
		CR:        message.CR{Code: "00", Libelle: "Calcul effectué"},
		Organisme: message.Organisme{AMC: "0775671993", Nom: "Mutuelle ANS"},
		Garantie:  &message.GarantiePaiement{Reference: "GP-2026-11-0000042", Fin: "2027-02-19"},
		Prestations: []message.PrestationCalculee{
			{Rang: 1, Code: "FJ", AMC: 6000},
			{Rang: 2, Code: "TM", AMC: 16248},
		},
	}
}

func exempleSearch() message.SearchRequest {
	return message.SearchRequest{
		Requete:   exempleRequete("2026-11-21T09:29:58+01:00"),
		Adressage: message.Adressage{AMC: "77565712", Convention: "RO", CSR: "030255400", Domaine: roc.HOSP},
		Service:   "IDB", Norme: "ROC", Version: "V1", Types: []string{"URL", "MEL"},
	}
}

func exempleSearchAnswer() message.SearchAnswer {
	return message.SearchAnswer{
		Code: message.RetourTrouve, Libelle: "Organisme trouvé",
		AMC: "0077565712", Nom: "Mutuelle ANS", ROC: true,
		Debut: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Fin: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC),
		Adresses: []message.Adresse{
			{Service: "IDB", Norme: "ROC", Version: "V1", Type: "URL", Valeur: "https://services.mutuelle-ans.example/roc/idb"},
			{Service: "CLC", Norme: "ROC", Version: "V1", Type: "URL", Valeur: "https://services.mutuelle-ans.example/roc/clc"},
			{Service: "DRE", Norme: "DRE", Version: "V1.0", Type: "MEL", Valeur: "dre-es@oct.mutuelle-ans.example"},
		},
	}
}

// TestBuildersWriteTheExamples compares canonical forms: the examples are
// indented, the builders' messages are not, and nothing else differs.
func TestBuildersWriteTheExamples(t *testing.T) {
	t.Parallel()
	for file, built := range map[string]roc.Content{
		"idb-v1-requete.xml":   exempleIDB().Envelope(soap.SOAP12),
		"idb-v1-reponse.xml":   exempleIDBAnswer().Envelope(soap.SOAP12),
		"clc-v2-requete.xml":   exempleCLC().Envelope(soap.SOAP12),
		"clc-v2-reponse.xml":   exempleCLCAnswer().Envelope(soap.SOAP12),
		"sim-v2-requete.xml":   exempleSIM(roc.V2).Envelope(soap.SOAP12),
		"sim-v2-reponse.xml":   exempleSIMAnswer(roc.V2).Envelope(soap.SOAP12),
		"anl-v1-requete.xml":   exempleANL(roc.V1).Envelope(soap.SOAP11),
		"anl-v1-reponse.xml":   exempleANLAnswer(roc.V1).Envelope(soap.SOAP11),
		"annuaire-requete.xml": exempleSearch().Envelope(soap.SOAP11),
		"annuaire-reponse.xml": exempleSearchAnswer().Envelope(soap.SOAP11),
	} {
		want, err := os.ReadFile(filepath.Join("testdata", "exemples", file))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := canonical(t, built.Bytes()), canonical(t, want); !bytes.Equal(got, want) {
			t.Errorf("%s\n got %s\nwant %s", file, got, want)
		}
	}
}

func TestExamplesAreValidAndRead(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("testdata/exemples/*.xml")
	if len(files) != 10 {
		t.Fatalf("%d examples, not 10", len(files))
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := soap.Read(roc.NewContent(b), soap.DefaultLimits); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		messagetest.Valid(t, roc.NewContent(b))
	}
}

func exempleSIM(v roc.Version) message.SIMRequest {
	c := exempleCLC()
	return message.SIMRequest{Version: v, Demande: c.Demande, Sejour: c.Sejour, Prestations: c.Prestations}
}

func exempleSIMAnswer(v roc.Version) message.SIMAnswer {
	c := exempleCLCAnswer()
	return message.SIMAnswer{Version: v, CR: message.CR{Code: "00", Libelle: "Simulation effectuée, sans garantie"}, Organisme: c.Organisme, Prestations: c.Prestations}
}

func exempleANL(v roc.Version) message.ANLRequest {
	return message.ANLRequest{Version: v, Demande: exempleCLC().Demande, Reference: "GP-2026-11-0000042", Motif: "Séjour reporté"}
}

func exempleANLAnswer(v roc.Version) message.ANLAnswer {
	return message.ANLAnswer{Version: v, CR: message.CR{Code: "00", Libelle: "Annulation effectuée"},
		Organisme: message.Organisme{AMC: "0775671993", Nom: "Mutuelle ANS"}, Reference: "GP-2026-11-0000042", Date: "2026-11-21"}
}

// canonical is the canonical form of a message without white space between
// elements.
func canonical(t *testing.T, m []byte) []byte {
	t.Helper()
	blank := exec.Command("xmllint", "--nonet", "--noblanks", "-")
	blank.Stdin = bytes.NewReader(m)
	b, err := blank.Output()
	if err != nil {
		t.Fatalf("xmllint (apt-get install libxml2-utils): %v", err)
	}
	c14n := exec.Command("xmllint", "--nonet", "--c14n", "-")
	c14n.Stdin = bytes.NewReader(b)
	if b, err = c14n.Output(); err != nil {
		t.Fatal(err)
	}
	return b
}
