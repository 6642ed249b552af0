package message_test

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// changed is the IDB example with some of its text replaced.
func changed(t testing.TB, old, new string) roc.Content {
	t.Helper()
	text := string(exempleIDB().Envelope(soap.SOAP12).Bytes())
	if !strings.Contains(text, old) {
		t.Fatalf("the example does not hold %s", old)
	}
	return roc.NewContent([]byte(strings.Replace(text, old, new, 1)))
}

const (
	xsi = "http://www.w3.org/2001/XMLSchema-instance"

	numeroAMC  = "<numero_amc>77565712</numero_amc>"
	convention = "<code_type_convention>RO</code_type_convention>"
	csr        = "<code_csr>030255400</code_csr>"
	domaine    = "<domaine_conventionnel>HOSP</domaine_conventionnel>"
)

func TestKey(t *testing.T) {
	t.Parallel()
	usual := roc.Key{AMC: "0077565712", Convention: "RO", CSR: "030255400", Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1}
	with := func(change func(*roc.Key)) roc.Key { k := usual; change(&k); return k }
	for name, c := range map[string]struct { // profile section 4
		old, new string
		want     roc.Key
	}{
		"the example":               {"", "", usual},
		"AMC of 10 digits":          {"77565712", "0077565712", usual},
		"AMC of 9 digits":           {"77565712", "775671993", with(func(k *roc.Key) { k.AMC = "0775671993" })},
		"AMC with spaces":           {"77565712", " 774 734 488 ", with(func(k *roc.Key) { k.AMC = "0774734488" })},
		"AMC in CDATA":              {"77565712", "<![CDATA[77565712]]>", usual},
		"AMC by references":         {"77565712", "&#55;7565712", usual},
		"no convention":             {convention, "", with(func(k *roc.Key) { k.Convention = "" })},
		"an empty convention":       {convention, "<code_type_convention/>", with(func(k *roc.Key) { k.Convention = "" })},
		"no CSR":                    {csr, "", with(func(k *roc.Key) { k.CSR = "" })},
		"an empty CSR":              {csr, "<code_csr></code_csr>", with(func(k *roc.Key) { k.CSR = "" })},
		"external acts":             {"HOSP", "EXTE", with(func(k *roc.Key) { k.Domaine = roc.EXTE })},
		"a tab in the AMC":          {"77565712", "7756\t5712", usual},
		"AMC on a line of its own":  {"77565712", "\r\n\t77565712\r\n", usual},
		"domaine between line ends": {"HOSP", "\n HOSP&#13;\n", usual},
		"a nil CSR":                 {csr, `<code_csr xmlns:i="` + xsi + `" i:nil="true"/>`, with(func(k *roc.Key) { k.CSR = "" })},
		"a nil convention":          {convention, `<code_type_convention xmlns:i="` + xsi + `" i:nil="1"></code_type_convention>`, with(func(k *roc.Key) { k.Convention = "" })},
		"comments between":          {csr, "<!-- a -->" + csr + "<!-- b -->", usual},
		"declarations repeated":     {"<adressage>", `<adressage xmlns="" xmlns:q="urn:q">`, usual},
		"V2":                        {"urn:roc:idb:1.0.0", "urn:roc:idb:2.0.0", with(func(k *roc.Key) { k.Version = roc.V2 })},
		"a field of ours elsewhere": {"<contexte>", "<numero_amc>99999999</numero_amc><contexte>", usual},
	} {
		m := exempleIDB().Envelope(soap.SOAP12)
		if c.old != "" {
			m = changed(t, c.old, c.new)
		}
		if c.old == "urn:roc:idb:1.0.0" { // wsa:Action comes first, and is another rule
			m = roc.NewContent([]byte(strings.ReplaceAll(string(exempleIDB().Envelope(soap.SOAP12).Bytes()), c.old, c.new)))
		}
		if got, err := message.Key(checked(t, m)); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestKeyOfEveryService(t *testing.T) {
	t.Parallel()
	for _, v := range []roc.Version{roc.V1, roc.V2} {
		idb, clc := exempleIDB(), exempleCLC()
		idb.Version, clc.Version = v, v
		for service, m := range map[roc.Service]builder{roc.IDB: idb, roc.CLC: clc, roc.SIM: exempleSIM(v), roc.ANL: exempleANL(v)} {
			k, err := message.Key(checked(t, m.Envelope(soap.SOAP11)))
			if err != nil || k.Service != service || k.Version != v {
				t.Errorf("%s %s: %v, %v", service, v, k, err)
			}
		}
	}
}

func TestKeyRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, new string
		says     string // in the French detail
	}{
		"no adressage":             {"adressage>", "adresse>", "adressage manque"},
		"no AMC":                   {numeroAMC, "", "adressage/numero_amc manque"},
		"an empty AMC":             {"77565712", "", "adressage/numero_amc est mal formé"},
		"AMC of 7 digits":          {"77565712", "7756571", "« 7756571 » ; attendu : 8 à 10 chiffres"},
		"AMC of 11 digits":         {"77565712", "00775657120", "8 à 10 chiffres"},
		"a letter in the AMC":      {"77565712", "7756571X", "8 à 10 chiffres"},
		"digits of another script": {"77565712", "７７５６５７１２", "8 à 10 chiffres"},
		"a no-break space":         {"77565712", "7756\u00a05712", "8 à 10 chiffres"},
		"another order":            {numeroAMC + convention, convention + numeroAMC, "adressage/numero_amc n'est pas à sa place"},
		"domaine before CSR":       {csr + domaine, domaine + csr, "adressage/code_csr n'est pas à sa place"},
		"a field of another one's": {domaine, domaine + "<autre>x</autre>", "autre chose que ses champs"},
		"a foreign AMC":            {numeroAMC, numeroAMC + `<numero_amc xmlns="urn:x">99999999</numero_amc>`, "autre chose que ses champs"},
		"a foreign AMC first":      {numeroAMC, `<q:numero_amc xmlns:q="urn:x">99999999</q:numero_amc>` + numeroAMC, "autre chose que ses champs"},
		"a foreign CSR at the end": {domaine, domaine + `<code_csr xmlns="urn:x">1</code_csr>`, "autre chose que ses champs"},
		"AMC in other case":        {numeroAMC, numeroAMC + "<Numero_AMC>99999999</Numero_AMC>", "autre chose que ses champs"},
		"AMC as an attribute":      {"<adressage>", `<adressage numero_amc="99999999">`, "adressage porte un attribut"},
		"an attribute on the AMC":  {"<numero_amc>", `<numero_amc valeur="99999999">`, "adressage/numero_amc porte un attribut"},
		"a foreign attribute":      {"<numero_amc>", `<numero_amc xmlns:q="urn:q" q:valeur="99999999">`, "adressage/numero_amc porte un attribut"},
		"an xi:include":            {numeroAMC, numeroAMC + `<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="https://fictif.example/"/>`, "autre chose que ses champs"},
		"text beside the fields":   {numeroAMC, numeroAMC + "99999999", "autre chose que ses champs"},
		"nil beside a value":       {"<code_csr>", `<code_csr xmlns:i="` + xsi + `" i:nil="true">`, "adressage/code_csr porte un attribut"},
		"not nil beside a value":   {"<code_csr>", `<code_csr xmlns:i="` + xsi + `" i:nil="false">`, "adressage/code_csr porte un attribut"},
		"a nil AMC":                {numeroAMC, `<numero_amc xmlns:i="` + xsi + `" i:nil="true"/>`, "adressage/numero_amc porte un attribut"},
		"nil of another namespace": {csr, `<code_csr xmlns:i="urn:i" i:nil="true"/>`, "adressage/code_csr porte un attribut"},
		"an xsi:type":              {"<numero_amc>", `<numero_amc xmlns:i="` + xsi + `" i:type="xs:string">`, "adressage/numero_amc porte un attribut"},
		"a foreign adressage":      {"<adressage>", `<q:adressage xmlns:q="urn:q"><numero_amc>99999999</numero_amc></q:adressage><adressage>`, "sous un autre nom"},
		"adressage in other case":  {"</adressage>", "</adressage><Adressage><numero_amc>99999999</numero_amc></Adressage>", "sous un autre nom"},
		"a long value is cut":      {"77565712", strings.Repeat("é", 30), "« " + strings.Repeat("é", 20) + "… »"},
		"AMC twice":                {numeroAMC, numeroAMC + numeroAMC, "adressage/numero_amc figure deux fois"},
		"CSR twice, once empty":    {csr, "<code_csr/>" + csr, "adressage/code_csr figure deux fois"},
		"adressage twice":          {"</adressage>", "</adressage><adressage/>", "adressage figure deux fois"},
		"an element in the AMC":    {"77565712", "<x>77565712</x>", "simple texte"},
		"a convention of 3":        {">RO<", ">ROC<", "deux lettres majuscules"},
		"a small convention":       {">RO<", ">ro<", "deux lettres majuscules"},
		"a CSR of 16":              {"030255400", "0302554000000000", "au plus 15"},
		"a wildcard in the CSR":    {"030255400", "94???????", "« 94??????? »"},
		"no domaine":               {domaine, "", "adressage/domaine_conventionnel manque"},
		"an unknown domaine":       {"HOSP", "hosp", "HOSP ou EXTE"},
		"a domaine with a space":   {"HOSP", "HO SP", "« HO SP » ; attendu : HOSP ou EXTE"},
		"a qualified adressage":    {"<adressage>", `<adressage xmlns="urn:roc:idb:1.0.0">`, "adressage manque"},
		"a qualified field":        {"<numero_amc>", `<numero_amc xmlns="urn:roc:idb:1.0.0">`, "sans espace de noms"},
	} {
		m := changed(t, c.old, c.new)
		if c.old == "adressage>" {
			m = roc.NewContent([]byte(strings.ReplaceAll(string(exempleIDB().Envelope(soap.SOAP12).Bytes()), c.old, c.new)))
		}
		_, err := message.Key(checked(t, m))
		if !roc.IsRefused(err, roc.BadKey) {
			t.Errorf("%s: %v, not refused as bad-key", name, err)
			continue
		}
		if d := roc.RefusalOf(err).Detail; !strings.Contains(d, c.says) {
			t.Errorf("%s: the detail says %q, not %q", name, d, c.says)
		}
		if strings.Contains(err.Error(), c.new) && c.new != "" {
			t.Errorf("%s: the cause quotes the message: %v", name, err)
		}
	}
}

// Nothing that decides a route is read outside a signed part (profile section 2).
func TestNothingIsReadOfAnUnsignedBody(t *testing.T) {
	t.Parallel()
	c := unsigned(t, exempleIDB().Envelope(soap.SOAP12))
	if k, err := message.Key(c); !roc.IsRefused(err, roc.PartNotSigned) || k != (roc.Key{}) {
		t.Errorf("Key: %v, %v", k, err)
	}
	if _, _, err := message.Sites(c); !roc.IsRefused(err, roc.PartNotSigned) {
		t.Errorf("Sites: %v", err)
	}
	if _, err := message.ReadIDB(c); !roc.IsRefused(err, roc.PartNotSigned) {
		t.Errorf("ReadIDB: %v", err)
	}
	if _, err := message.ReadSearchAnswer(unsigned(t, exempleSearchAnswer().Envelope(soap.SOAP11))); !roc.IsRefused(err, roc.AnnuaireRefused) {
		t.Errorf("ReadSearchAnswer: %v", err)
	}
}

func TestASearchHasNoKey(t *testing.T) {
	t.Parallel()
	if _, err := message.Key(checked(t, exempleSearch().Envelope(soap.SOAP11))); !roc.IsRefused(err, roc.UnknownOperation) {
		t.Error(err)
	}
}

func TestSites(t *testing.T) {
	t.Parallel()
	const ej, eg = "<finess_ej>010003812</finess_ej>", "<finess_eg>010003820</finess_eg>"
	for name, c := range map[string]struct {
		old, new string
		ej, eg   roc.FINESS
		says     string // "" for an accepted message
	}{ // profile section 4
		"the example":         {ej, ej, "010003812", "010003820", ""},
		"Corsica":             {"010003812", "2A0000014", "2A0000014", "010003820", ""},
		"no site":             {eg, "", "010003812", "", ""},
		"an empty site":       {eg, "<finess_eg/>", "010003812", "", ""},
		"a blank site":        {eg, "<finess_eg> </finess_eg>", "010003812", "", ""},
		"a nil site":          {eg, `<finess_eg xmlns:i="` + xsi + `" i:nil="true"/>`, "010003812", "", ""},
		"a space":             {"010003812", "010003812 ", "010003812", "010003820", ""},
		"on its own line":     {"010003812", "\r\n  010003812\r\n", "010003812", "010003820", ""},
		"site first":          {ej + eg, eg + ej, "", "", "etablissement/finess_ej n'est pas à sa place"},
		"nil beside a site":   {"<finess_eg>", `<finess_eg xmlns:i="` + xsi + `" i:nil="true">`, "", "", "etablissement/finess_eg porte un attribut"},
		"champ in V1":         {eg, eg + "<champ>MCO</champ>", "", "", "autre chose que ses champs"},
		"a foreign entity":    {ej, ej + `<finess_ej xmlns="urn:x">010003820</finess_ej>`, "", "", "autre chose que ses champs"},
		"as an attribute":     {"<etablissement>", `<etablissement finess_ej="010003820">`, "", "", "etablissement porte un attribut"},
		"no legal entity":     {ej, "", "", "", "etablissement/finess_ej manque"},
		"short":               {"010003812", "10003812", "", "", "etablissement/finess_ej est mal formé"},
		"a small letter":      {"010003812", "2a0000014", "", "", "etablissement/finess_ej est mal formé"},
		"two legal entities":  {ej, ej + ej, "", "", "etablissement/finess_ej figure deux fois"},
		"two sites":           {eg, eg + eg, "", "", "etablissement/finess_eg figure deux fois"},
		"an element in it":    {"010003812", "<x/>", "", "", "etablissement/finess_ej doit être un simple texte"},
		"etablissement twice": {"<etablissement>", "<etablissement/><etablissement>", "", "", "etablissement figure deux fois"},
	} {
		gotEJ, gotEG, err := message.Sites(checked(t, changed(t, c.old, c.new)))
		switch {
		case c.says == "" && (err != nil || gotEJ != c.ej || gotEG != c.eg):
			t.Errorf("%s: %s %s %v", name, gotEJ, gotEG, err)
		case c.says != "" && (!roc.IsRefused(err, roc.BadKey) || !strings.Contains(roc.RefusalOf(err).Detail, c.says)):
			t.Errorf("%s: %v: %q", name, err, roc.RefusalOf(err).Detail)
		case c.says != "" && (gotEJ != "" || gotEG != ""):
			t.Errorf("%s: refused, and gives %s %s", name, gotEJ, gotEG)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	c := checked(b, exempleIDB().Envelope(soap.SOAP12))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Key(c); err != nil {
			b.Fatal(err)
		}
	}
}
