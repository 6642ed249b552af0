package message_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

type builder interface {
	Envelope(soap.Version) roc.Content
}

// everyMessage is what this package can write, in one version of ROC, with and
// without what may be left out.
func everyMessage(v roc.Version) map[string]builder {
	idb, clc, idbA, clcA := exempleIDB(), exempleCLC(), exempleIDBAnswer(), exempleCLCAnswer()
	idb.Version, clc.Version, idbA.Version, clcA.Version = v, v, v, v
	idb.Etablissement = message.Etablissement{EJ: "010003812", Champ: "MCO", Statut: "EX_DG"}
	idb.Beneficiaire.RangNaissance = 1
	bare, bareCLC := idb, clc
	bare.Contexte, bare.Addressing, bare.Adressage.Convention, bare.Adressage.CSR = nil, nil, "", ""
	bareCLC.Sejour, bareCLC.Adressage.Domaine = nil, roc.EXTE
	refusal := message.CR{Code: "01", Libelle: "Bénéficiaire inconnu"}
	return map[string]builder{
		"IDB": idb, "IDB bare": bare, "IDB answer": idbA, "IDB refusal": message.IDBAnswer{Version: v, CR: refusal},
		"CLC": clc, "CLC external": bareCLC, "CLC answer": clcA, "CLC refusal": message.CLCAnswer{Version: v, CR: refusal},
		"SIM": exempleSIM(v), "SIM answer": exempleSIMAnswer(v), "SIM refusal": message.SIMAnswer{Version: v, CR: refusal},
		"ANL": exempleANL(v), "ANL answer": exempleANLAnswer(v), "ANL refusal": message.ANLAnswer{Version: v, CR: refusal},
		"search": exempleSearch(), "search with addressing": message.SearchRequest{
			Addressing: &message.Addressing{MessageID: exempleID}, Requete: exempleSearch().Requete,
			Adressage: message.Adressage{AMC: "774 734 488", Domaine: roc.EXTE}},
		"search answer": exempleSearchAnswer(), "search unknown": message.SearchAnswer{Code: message.RetourInconnu, Libelle: "Organisme inconnu"},
		"search without end": message.SearchAnswer{Code: message.RetourTrouve, AMC: "0077565712", Nom: "Mutuelle ANS", Debut: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
}

func TestEveryMessageFollowsTheSchemas(t *testing.T) {
	t.Parallel()
	for _, v := range []roc.Version{roc.V1, roc.V2} {
		for name, m := range everyMessage(v) {
			for _, sv := range []soap.Version{soap.SOAP11, soap.SOAP12} {
				t.Run(fmt.Sprintf("%s %s SOAP %s", name, v, sv), func(t *testing.T) {
					t.Parallel()
					c := m.Envelope(sv)
					messagetest.Valid(t, c)
					env, err := soap.Read(c, soap.DefaultLimits)
					if err != nil {
						t.Fatal(err)
					}
					if env.Version() != sv {
						t.Errorf("SOAP %s, not %s", env.Version(), sv)
					}
				})
			}
		}
	}
}

func TestFaultsOfTheRPNFollowTheSchemas(t *testing.T) {
	t.Parallel()
	for _, reason := range roc.Reasons() {
		r := roc.Refuse(reason, "cause").Saying("Le champ « <x> » & la suite.")
		messagetest.Valid(t, soap.Fault(soap.SOAP11, "0199c0de-0000-7000-8000-000000000000", r))
		messagetest.Valid(t, soap.Fault(soap.SOAP12, "0199c0de-0000-7000-8000-000000000000", r))
	}
}

// The schemas refuse what the profile refuses: a validation that says yes to
// everything would pass every test above.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"an unknown operation":         {"interroger", "demander"},
		"a field of the other version": {"</finess_eg>", "</finess_eg><champ>MCO</champ><statut>EX_DG</statut>"},
		"a letter in the AMC number":   {"77565712", "7756571X"},
		"an unknown domaine":           {"HOSP", "MAIS"},
		"a qualified child":            {"<adressage>", `<adressage xmlns="urn:roc:idb:1.0.0">`},
		"another version of requete":   {"R01", "R02"},
		"a short FINESS":               {"010003812", "01000381"},
		"two children in the Body":     {"</soap:Body>", `<x xmlns="urn:x"/></soap:Body>`},
	} {
		text := string(exempleIDB().Envelope(soap.SOAP12).Bytes())
		changed := strings.ReplaceAll(text, change[0], change[1])
		if changed == text {
			t.Fatalf("%s: nothing to change", name)
		}
		if messagetest.Problems(t, roc.NewContent([]byte(changed))) == "" {
			t.Errorf("%s: the schemas accept it", name)
		}
	}
}

func TestBuildersEscape(t *testing.T) {
	t.Parallel()
	const odd = "a&b<c>]]>\"d'\r\n\té \x00\x1f\xff\U0001F600￾"
	const read = "a&b<c>]]>\"d'\r\n\té \uFFFD\uFFFD\uFFFD\U0001F600\uFFFD"
	a := exempleIDBAnswer()
	a.CR.Libelle = odd
	a.Addressing.RelatesTo = "<x>&"
	env, err := soap.Read(a.Envelope(soap.SOAP11), soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := env.Body().First().Path("CR", "LibelleCR").Text(); !ok || got != read {
		t.Errorf("read back %q, not %q", got, read)
	}
	if back, ok := message.AddressingOf(env); !ok || back.RelatesTo != "<x>&" {
		t.Errorf("addressing read back: %+v %v", back, ok)
	}
}

func TestABeneficiaryCannotBePrinted(t *testing.T) {
	t.Parallel()
	r := exempleIDB()
	var log strings.Builder
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("x", "request", r, "beneficiaire", r.Beneficiaire)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+verb, r, r.Beneficiaire)
	}
	for _, secret := range []string{"FICTIF", "Zoé", "1980", "ADH0000001", fmt.Sprintf("%x", "FICTIF")} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s was printed", secret)
		}
	}
}
