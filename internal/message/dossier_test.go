package message_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

const chu = roc.StructureID("1010003812")

// request is a signed request of a service for an adherent.
func request(t testing.TB, service roc.Service, v roc.Version, adherent string, change ...string) *xmlsig.Checked {
	t.Helper()
	d := message.Demande{
		Etablissement: message.Etablissement{EJ: "010003812"}, Adressage: message.Adressage{AMC: "0099000003", Convention: "AB", Domaine: roc.HOSP},
		Beneficiaire: message.Beneficiaire{NumeroAdherent: adherent, Nom: "FICTIF", Prenom: "F", DateNaissance: "1980-02-29"},
	}
	m := map[roc.Service]roc.Content{
		roc.IDB: message.IDBRequest{Version: v, Demande: d}.Envelope(soap.SOAP12), roc.CLC: message.CLCRequest{Version: v, Demande: d}.Envelope(soap.SOAP12),
		roc.ANL: message.ANLRequest{Version: v, Demande: d}.Envelope(soap.SOAP12),
	}[service]
	if len(change) > 0 {
		text := strings.NewReplacer(change...).Replace(string(m.Bytes()))
		if text == string(m.Bytes()) {
			t.Fatalf("%v changes nothing", change)
		}
		m = roc.NewContent([]byte(text))
	}
	return checked(t, m)
}

func link(t testing.TB, k message.DossierKey, es roc.StructureID, c *xmlsig.Checked) roc.Dossier {
	t.Helper()
	key, err := message.Key(c)
	if err != nil {
		t.Fatal(err)
	}
	return k.Link(es, key, c)
}

// The exchanges of one establishment about one adherent have one link, whatever
// the service and the version; of anybody else, or with another key, none is the
// same.
func TestTheExchangesOfADossierHaveOneLink(t *testing.T) {
	t.Parallel()
	k := message.NewDossierKey()
	one := link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001"))
	if one == (roc.Dossier{}) {
		t.Fatal("no link")
	}
	for name, same := range map[string]roc.Dossier{
		"again":              link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001")),
		"a calculation":      link(t, k, chu, request(t, roc.CLC, roc.V1, "ADH0000001")),
		"a cancellation, V2": link(t, k, chu, request(t, roc.ANL, roc.V2, "ADH0000001")),
		"white space":        link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001", "ADH0000001", " ADH0000001\n")),
		"a reference":        link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001", "ADH0000001", "ADH000000&#49;")),
		"another name":       link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001", "FICTIF", "AUTRE")),
	} {
		if same != one {
			t.Errorf("%s: another link", name)
		}
	}
	for name, other := range map[string]roc.Dossier{
		"another adherent":      link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000002")),
		"another establishment": link(t, k, "1010003820", request(t, roc.IDB, roc.V1, "ADH0000001")),
		"another convention":    link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001", ">AB<", ">AC<")),
		"another domaine":       link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001", ">HOSP<", ">EXTE<")),
		"another insurer":       link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000001", "0099000003", "0099000004")),
		"another key":           link(t, message.NewDossierKey(), chu, request(t, roc.IDB, roc.V1, "ADH0000001")),
	} {
		if other == one || other == (roc.Dossier{}) {
			t.Errorf("%s: %x", name, other)
		}
	}
	again, err := message.ParseDossierKey(k.Secret())
	if err != nil || link(t, again, chu, request(t, roc.IDB, roc.V1, "ADH0000001")) != one {
		t.Errorf("the same key, read again: another link (%v)", err)
	}
}

// What names no adherent, or is not signed, or without a key, has no link, and is
// refused for nothing.
func TestWhatHasNoLink(t *testing.T) {
	t.Parallel()
	k := message.NewDossierKey()
	const field = "<numero_adherent>ADH0000001</numero_adherent>"
	for name, c := range map[string]*xmlsig.Checked{
		"none":             request(t, roc.IDB, roc.V1, "ADH0000001", field, ""),
		"empty":            request(t, roc.IDB, roc.V1, "ADH0000001", field, "<numero_adherent> </numero_adherent>"),
		"two":              request(t, roc.IDB, roc.V1, "ADH0000001", field, field+field),
		"two blocks":       request(t, roc.IDB, roc.V1, "ADH0000001", "</beneficiaire>", "</beneficiaire><beneficiaire/>"),
		"an element in it": request(t, roc.IDB, roc.V1, "ADH0000001", "ADH0000001", "<a/>"),
		"too long":         request(t, roc.IDB, roc.V1, strings.Repeat("A", 65)),
		"far too long":     request(t, roc.IDB, roc.V1, strings.Repeat("A", 1<<20)),
		"too long, CDATA":  request(t, roc.IDB, roc.V1, "ADH0000001", "ADH0000001", "<![CDATA["+strings.Repeat("A", 65)+"]]>"),
	} {
		if got := link(t, k, chu, c); got != (roc.Dossier{}) {
			t.Errorf("%s: %x", name, got)
		}
	}
	good := request(t, roc.IDB, roc.V1, "ADH0000001")
	if got := link(t, message.DossierKey{}, chu, good); got != (roc.Dossier{}) {
		t.Errorf("without a key: %x", got)
	}
	if got := k.Link(chu, roc.Key{AMC: roc.NumeroAMC(strings.Repeat("0", 200))}, good); got != (roc.Dossier{}) {
		t.Errorf("a key that is none: %x", got)
	}
	unsigned := unsigned(t, message.IDBRequest{Version: roc.V1, Demande: message.Demande{Beneficiaire: message.Beneficiaire{NumeroAdherent: "ADH0000001"}}}.Envelope(soap.SOAP12))
	if got := k.Link(chu, roc.Key{AMC: "0099000003"}, unsigned); got != (roc.Dossier{}) {
		t.Errorf("not signed: %x", got)
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := message.ParseDossierKey(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is one", n)
		}
	}
}

// A link is an HMAC: who tries every adherent without the key finds nothing, and
// the key is all that is missing. The oracle is written on its own.
func TestALinkIsAnHMAC(t *testing.T) {
	t.Parallel()
	k := message.NewDossierKey()
	secret := k.Secret()
	if len(secret) < sha256.Size {
		t.Fatalf("a key of %d bytes can be tried", len(secret))
	}
	text := []byte{}
	for _, part := range []string{string(chu), "0099000003", "AB", "", "HOSP", "ADH0000042"} {
		text = append(append(text, byte(len(part))), part...)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(text)
	got := link(t, k, chu, request(t, roc.IDB, roc.V1, "ADH0000042"))
	if want := mac.Sum(nil)[:6]; string(got[:]) != string(want) {
		t.Errorf("%x, want %x", got, want)
	}
	// Without it: every adherent of a small country, with the hash itself, and with
	// keys of other days.
	other := message.NewDossierKey().Secret()
	for n := range 100_000 {
		try := append(text[:len(text)-10:len(text)-10], fmt.Sprintf("ADH%07d", n)...)
		plain := sha256.Sum256(try)
		mac := hmac.New(sha256.New, other)
		mac.Write(try)
		if string(plain[:6]) == string(got[:]) || string(mac.Sum(nil)[:6]) == string(got[:]) {
			t.Fatalf("found by adherent %d", n)
		}
	}
}

// What a link costs on the path of an exchange: no allocation.
func TestALinkAllocatesNothing(t *testing.T) {
	k, c := message.NewDossierKey(), request(t, roc.IDB, roc.V1, "ADH0000001")
	key, err := message.Key(c)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(200, func() { k.Link(chu, key, c) }); n > mostAllocations {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLink(b *testing.B) {
	k, c := message.NewDossierKey(), request(b, roc.IDB, roc.V1, "ADH0000001")
	key, err := message.Key(c)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		k.Link(chu, key, c)
	}
}
