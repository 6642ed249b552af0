package scenarios

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

var updateFaults = flag.Bool("update-faults", false, "write testdata/fautes.txt again; its diff is for a reader")

// written changes the message before it is signed.
func written(t *testing.T, old, now string) nation.Mutation {
	return with(func(d *inner.Draft) {
		d.Body = func(d *inner.Draft) roc.Content {
			op, _ := message.OperationFor(d.Service, d.Version)
			b := message.SampleRequest(op, d.Demande, d.SOAP).Bytes()
			if !bytes.Contains(b, []byte(old)) {
				t.Errorf("the message does not hold %q", old)
			}
			return roc.NewContent(bytes.ReplaceAll(b, []byte(old), []byte(now)))
		}
	})
}

// header changes what is said beside the message.
func header(change func(*inner.Draft)) nation.Mutation { return with(change) }

// The mistakes that vendors of hospital software make: each fault names what is
// wrong, where, and what to do. The whole text of each is in testdata/fautes.txt.
func TestEachMistakeOfAVendorIsTold(t *testing.T) {
	t.Parallel()
	n := nation.New(t)
	chu, other := n.Etablissement(nation.Row("limite: {par_seconde: 1000, rafale: 1000}")), n.Etablissement()
	before := func(text string) nation.Mutation {
		return with(func(d *inner.Draft) { d.Alter = func(b []byte) []byte { return append([]byte(text), b...) } })
	}
	action := func(s string) nation.Mutation {
		return header(func(d *inner.Draft) { d.SOAPAction = &s })
	}
	contentType := func(s string) nation.Mutation {
		return header(func(d *inner.Draft) { d.ContentType = s })
	}
	at := func(d time.Duration) nation.Mutation { return inner.SignedAt(time.Now().Add(d)) }
	var got strings.Builder
	for _, m := range []struct {
		name string
		amc  string
		how  []nation.Mutation
	}{
		{"vide", "bleue", []nation.Mutation{raw("")}},
		{"JSON au lieu de SOAP", "bleue", []nation.Mutation{raw(`{"numero_amc": "0099000003"}`)}},
		{"une page HTML", "bleue", []nation.Mutation{raw("<html><body>bonjour</body></html>")}},
		{"le corps sans enveloppe", "bleue", []nation.Mutation{raw(`<i:interroger xmlns:i="urn:roc:idb:1.0.0"/>`)}},
		{"deux Body", "bleue", []nation.Mutation{written(t, "</soap:Body>", "</soap:Body><soap:Body/>"), inner.Unsigned}},
		{"Body vide", "bleue", []nation.Mutation{raw(`<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body/></e:Envelope>`)}},
		{"tronqué", "bleue", []nation.Mutation{with(func(d *inner.Draft) { d.Alter = func(b []byte) []byte { return b[:len(b)-30] } })}},
		{"DTD", "bleue", []nation.Mutation{before("<!DOCTYPE e>")}},
		{"instruction PHP", "bleue", []nation.Mutation{before("<?php echo 1 ?>")}},
		{"déclaré en ISO-8859-1", "bleue", []nation.Mutation{before(`<?xml version="1.0" encoding="ISO-8859-1"?>`)}},
		{"octets en ISO-8859-1", "bleue", []nation.Mutation{replacing(t, "Zoé", "Zo\xe9")}},
		{"esperluette nue", "bleue", []nation.Mutation{replacing(t, "FICTIF", "A & B")}},
		{"entité HTML", "bleue", []nation.Mutation{replacing(t, "FICTIF", "FICTIF&nbsp;")}},
		{"balise mal fermée", "bleue", []nation.Mutation{replacing(t, "</nom>", "</mon>")}},
		{"préfixe non déclaré", "bleue", []nation.Mutation{replacing(t, "<nom>", "<x:nom>")}},
		{"Content-Type text/plain", "bleue", []nation.Mutation{contentType("text/plain")}},
		{"Content-Type d'une autre version de SOAP", "bleue", []nation.Mutation{contentType("text/xml; charset=utf-8")}},
		{"charset ISO-8859-1", "bleue", []nation.Mutation{contentType("application/soap+xml; charset=iso-8859-1")}},
		{"MTOM", "bleue", []nation.Mutation{contentType(`multipart/related; type="application/xop+xml"; boundary=x`)}},
		{"opération inconnue", "bleue", []nation.Mutation{written(t, "urn:roc:idb:1.0.0", "urn:roc:idb:3.0.0")}},
		{"opération sans espace de noms", "bleue", []nation.Mutation{raw(`<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><interroger/></e:Body></e:Envelope>`)}},
		{"SOAPAction d'une autre opération", "bleue", []nation.Mutation{nation.SOAP11, action("urn:roc:clc:1.0.0:calculer")}},
		{"SOAPAction d'une autre version", "bleue", []nation.Mutation{nation.SOAP11, action("urn:roc:idb:2.0.0:interroger")}},
		{"action du Content-Type d'une autre opération", "bleue", []nation.Mutation{contentType(`application/soap+xml; charset=utf-8; action="urn:roc:clc:1.0.0:calculer"`)}},
		{"non signé", "bleue", []nation.Mutation{inner.Unsigned}},
		{"changé après la signature", "bleue", []nation.Mutation{inner.Altered}},
		{"réindenté après la signature", "bleue", []nation.Mutation{replacing(t, "<nom>", "\n  <nom>")}},
		{"valeur de signature changée", "bleue", []nation.Mutation{with(func(d *inner.Draft) {
			value := regexp.MustCompile(`(<ds:SignatureValue>)(....)`)
			d.Alter = func(b []byte) []byte { return value.ReplaceAll(b, []byte("${1}AAAA")) }
		})}},
		{"sans Timestamp", "bleue", []nation.Mutation{with(func(d *inner.Draft) { d.Sign.NoTimestamp = true })}},
		{"expiré", "bleue", []nation.Mutation{at(-17 * time.Minute)}},
		{"daté dans l'avenir", "bleue", []nation.Mutation{at(17 * time.Minute)}},
		{"heure locale écrite comme UTC", "bleue", []nation.Mutation{at(time.Hour)}},
		{"fuseau d'une demi-heure", "bleue", []nation.Mutation{at(-5*time.Hour - 30*time.Minute)}},
		{"durée de vie de deux heures", "bleue", []nation.Mutation{with(func(d *inner.Draft) { d.Sign.Life = 2 * time.Hour })}},
		{"signé avec le certificat TLS", "bleue", []nation.Mutation{inner.SignedBy(chu.TLS)}},
		{"signé par une autre structure", "bleue", []nation.Mutation{inner.SignedBy(other.Signature)}},
		{"finess_ej d'un autre", "bleue", []nation.Mutation{written(t, "<finess_ej>"+string(chu.EJ), "<finess_ej>010003812")}},
		{"finess_ej de huit chiffres", "bleue", []nation.Mutation{written(t, "<finess_ej>"+string(chu.EJ), "<finess_ej>"+string(chu.EJ)[1:])}},
		{"finess_eg inconnu", "bleue", []nation.Mutation{written(t, "</finess_ej>", "</finess_ej><finess_eg>010003812</finess_eg>")}},
		{"numero_amc absent", "bleue", []nation.Mutation{written(t, "<numero_amc>0099000003</numero_amc>", "")}},
		{"numero_amc deux fois", "bleue", []nation.Mutation{written(t, "<numero_amc>", "<numero_amc>0099000003</numero_amc><numero_amc>")}},
		{"numero_amc avec une lettre", "bleue", []nation.Mutation{written(t, "<numero_amc>0099000003", "<numero_amc>009900000O")}},
		{"numero_amc trop court", "bleue", []nation.Mutation{written(t, "<numero_amc>0099000003", "<numero_amc>9900003")}},
		{"convention en minuscules", "bleue", []nation.Mutation{written(t, ">RO<", ">ro<")}},
		{"domaine inconnu", "bleue", []nation.Mutation{written(t, ">HOSP<", ">HOPITAL<")}},
		{"domaine absent", "bleue", []nation.Mutation{written(t, "<domaine_conventionnel>HOSP</domaine_conventionnel>", "")}},
		{"adressage qualifié", "bleue", []nation.Mutation{written(t, "<adressage>", `<adressage xmlns="urn:roc:idb:1.0.0">`)}},
		{"adressage absent", "bleue", []nation.Mutation{with(func(d *inner.Draft) {
			block := regexp.MustCompile(`<adressage>.*</adressage>`)
			d.Body = func(d *inner.Draft) roc.Content {
				op, _ := message.OperationFor(d.Service, d.Version)
				return roc.NewContent(block.ReplaceAll(message.SampleRequest(op, d.Demande, d.SOAP).Bytes(), nil))
			}
		})}},
		{"commentaire dans un texte", "bleue", []nation.Mutation{replacing(t, "FICTIF", "FIC<!-- x -->TIF")}},
		{"organisme inconnu", "bleue", []nation.Mutation{with(func(d *inner.Draft) { d.Demande.Adressage.AMC = "0099000099" })}},
		{"organisme suspendu", "grise", nil},
		{"mauvais chemin", "bleue", []nation.Mutation{inner.WithPath("/idb")}},
	} {
		r := chu.Send(roc.IDB, m.amc, append([]nation.Mutation{nation.V1}, m.how...)...)
		text := string(r.Body.Bytes())
		if r.Err != nil || r.Origin() != roc.FromRPN || r.Cause() == "" {
			t.Errorf("%s: %s", m.name, r.Outcome)
			continue
		}
		part := func(name string) string {
			_, rest, _ := strings.Cut(text, "<rpn:"+name+">")
			found, _, _ := strings.Cut(rest, "</rpn:"+name+">")
			return html.UnescapeString(found)
		}
		if part("Remede") == "" || strings.Contains(text, "FICTIF") || strings.Contains(text, "ADH0000001") {
			t.Errorf("%s: no remedy, or something of the patient:\n%s", m.name, text)
		}
		fmt.Fprintf(&got, "%s\n  HTTP %d, %s, %s\n  %s\n  %s\n\n", m.name, r.Status, r.Code, r.Cause(), part("Libelle"), part("Remede"))
	}
	said := got.String()
	for pattern, word := range map[string]string{
		`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`: "INSTANT", `\d\d/\d\d/\d{4}( à)? \d\d:\d\d(:\d\d)?`: "INSTANT", `#(corps|horodatage)-[0-9a-f]+`: "#$1-ID",
		string(chu.EJ): "EJ", string(other.EJ): "AUTRE_EJ", `(de|il y a) \d+( min| s)`: "$1 N$2", `colonne \d{3,}`: "colonne N",
	} {
		said = regexp.MustCompile(pattern).ReplaceAllString(said, word)
	}
	const golden = "testdata/fautes.txt"
	if *updateFaults {
		if err := os.WriteFile(golden, []byte(said), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != said {
		t.Errorf("the faults are not those of %s (%v); -update-faults writes it again:\n%s", golden, err, said)
	}
	n.AMC("bleue").WantReceived(0)
}
