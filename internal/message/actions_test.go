package message_test

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

func read(t testing.TB, text string) *soap.Envelope {
	t.Helper()
	env, err := soap.Read(roc.NewContent([]byte(text)), soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func idbWith(header string) string {
	return `<s:Envelope xmlns:s="` + soap.NS12 + `" xmlns:a="` + soap.NSWSA + `"><s:Header>` + header +
		`</s:Header><s:Body><interroger xmlns="urn:roc:idb:1.0.0"/></s:Body></s:Envelope>`
}

// checkActions parses both headers, then checks.
func checkActions(env *soap.Envelope, contentType, soapAction string) (message.Operation, error) {
	ct, err := message.ParseContentType(contentType)
	if err != nil {
		return message.Operation{}, err
	}
	sa, err := message.ParseSOAPAction(soapAction, true)
	if err != nil {
		return message.Operation{}, err
	}
	return message.CheckActions(env, ct, sa)
}

func TestOperations(t *testing.T) {
	t.Parallel()
	want := []string{ // profile section 1
		"ANNUAIRE  {https://ws.annuaireamc.fr/}search searchResponse https://ws.annuaireamc.fr/search",
		"IDB V1 {urn:roc:idb:1.0.0}interroger interrogerReponse urn:roc:idb:1.0.0:interroger",
		"IDB V2 {urn:roc:idb:2.0.0}interroger interrogerReponse urn:roc:idb:2.0.0:interroger",
		"SIM V1 {urn:roc:sim:1.0.0}simuler simulerReponse urn:roc:sim:1.0.0:simuler",
		"SIM V2 {urn:roc:sim:2.0.0}simuler simulerReponse urn:roc:sim:2.0.0:simuler",
		"CLC V1 {urn:roc:clc:1.0.0}calculer calculerReponse urn:roc:clc:1.0.0:calculer",
		"CLC V2 {urn:roc:clc:2.0.0}calculer calculerReponse urn:roc:clc:2.0.0:calculer",
		"ANL V1 {urn:roc:anl:1.0.0}annuler annulerReponse urn:roc:anl:1.0.0:annuler",
		"ANL V2 {urn:roc:anl:2.0.0}annuler annulerReponse urn:roc:anl:2.0.0:annuler",
	}
	for i, op := range message.Operations() {
		got := strings.Join([]string{op.Service.String(), op.Version.String(), "{" + op.Request.Space + "}" + op.Request.Local, op.Answer.Local, op.Action}, " ")
		if i >= len(want) || got != want[i] {
			t.Errorf("line %d: %s", i+1, got)
		}
		if op.Answer.Space != op.Request.Space {
			t.Errorf("line %d: the answer is in %s", i+1, op.Answer.Space)
		}
		if found, ok := message.OperationOf(op.Request); !ok || found != op {
			t.Errorf("line %d is not found by its request", i+1)
		}
		if _, ok := message.OperationOf(op.Answer); ok {
			t.Errorf("line %d: an answer is taken for a request", i+1)
		}
	}
}

func TestCheckActions(t *testing.T) {
	t.Parallel()
	const (
		idb   = "urn:roc:idb:1.0.0:interroger"
		other = "urn:roc:clc:1.0.0:calculer"
		ct    = "application/soap+xml; charset=utf-8"
	)
	for name, c := range map[string]struct {
		header, contentType, soapAction string
		refused                         bool
	}{
		// profile section 1; SOAP 1.1 section 6.1.1 for the quotes, RFC 3902 for action
		"nothing is stated":                {"", ct, "", false},
		"SOAPAction quoted":                {"", "text/xml", `"` + idb + `"`, false},
		"SOAPAction bare":                  {"", "text/xml", idb, false},
		"SOAPAction empty in quotes":       {"", "text/xml", `""`, false},
		"SOAPAction also in 1.2 (gSOAP)":   {"", ct, `"` + idb + `"`, false},
		"SOAPAction of another operation":  {"", "text/xml", `"` + other + `"`, true},
		"SOAPAction of the other version":  {"", "text/xml", "urn:roc:idb:2.0.0:interroger", true},
		"SOAPAction with the other's case": {"", "text/xml", strings.ToUpper(idb), true},
		"SOAPAction half quoted":           {"", "text/xml", `"` + idb, true},
		"action quoted":                    {"", ct + `; action="` + idb + `"`, "", false},
		"action bare":                      {"", ct + "; action=x", "", true},
		"action empty":                     {"", ct + `; action=""`, "", false},
		"action in capitals":               {"", ct + `; ACTION="` + other + `"`, "", true},
		"action of another operation":      {"", ct + `; action="` + other + `"`, "", true},
		"action in the type of 1.1":        {"", `text/xml; action="` + other + `"`, "", true},
		"wsa:Action":                       {"<a:Action>" + idb + "</a:Action>", ct, "", false},
		"wsa:Action between spaces":        {"<a:Action>\n " + idb + " </a:Action>", ct, "", false},
		"wsa:Action empty":                 {"<a:Action/>", ct, "", false},
		"wsa:Action of another operation":  {"<a:Action>" + other + "</a:Action>", ct, "", true},
		"wsa:Action twice":                 {"<a:Action>" + idb + "</a:Action><a:Action>" + idb + "</a:Action>", ct, "", true},
		"wsa:Action with an element":       {"<a:Action><x/></a:Action>", ct, "", true},
		"action bare and right":            {"", ct + "; action=" + idb, "", false},
		"wsa:Action of 2004/08":            {`<Action xmlns="` + soap.NSWSA2004 + `">` + idb + "</Action>", ct, "", false},
		"2004/08 disagrees":                {`<Action xmlns="` + soap.NSWSA2004 + `">` + other + "</Action>", ct, "", true},
		"2003/03 disagrees":                {`<Action xmlns="` + soap.NSWSA2003 + `">` + other + "</Action>", ct, "", true},
		"2005/08 agrees, 2004/08 does not": {"<a:Action>" + idb + `</a:Action><Action xmlns="` + soap.NSWSA2004 + `">` + other + "</Action>", ct, "", true},
		"2004/08 twice":                    {strings.Repeat(`<Action xmlns="`+soap.NSWSA2004+`">`+idb+"</Action>", 2), ct, "", true},
		"wsa:Action with a comment":        {"<a:Action>" + idb + "<!-- x --></a:Action>", ct, "", true},
		"wsa:Action and no-break spaces":   {"<a:Action>\u00a0" + idb + "</a:Action>", ct, "", true},
		"SOAPAction with spaces inside":    {"", ct, `" ` + idb + ` "`, true},
		"SOAPAction and something more":    {"", ct, `"` + idb + `"; action="` + other + `"`, true},
		"Action of another namespace":      {`<Action xmlns="urn:x">` + other + "</Action>", ct, "", false},
		"all three agree":                  {"<a:Action>" + idb + "</a:Action>", ct + `; action="` + idb + `"`, idb, false},
		"the third disagrees":              {"<a:Action>" + other + "</a:Action>", ct + `; action="` + idb + `"`, idb, true},
	} {
		env := read(t, idbWith(c.header))
		if strings.HasPrefix(c.contentType, "text/xml") { // the version goes with the media type
			env = read(t, strings.Replace(idbWith(c.header), soap.NS12, soap.NS11, 1))
		}
		op, err := checkActions(env, c.contentType, c.soapAction)
		switch {
		case c.refused && !roc.IsRefused(err, roc.UnknownOperation):
			t.Errorf("%s: %v, not refused as unknown-operation", name, err)
		case c.refused && roc.RefusalOf(err).Detail == "":
			t.Errorf("%s: the refusal has no detail", name)
		case !c.refused && (err != nil || op.Service != roc.IDB || op.Version != roc.V1):
			t.Errorf("%s: %v %v", name, op, err)
		}
	}
}

func TestUnknownOperations(t *testing.T) {
	t.Parallel()
	for name, child := range map[string]string{
		"another namespace":   `<interroger xmlns="urn:roc:idb:3.0.0"/>`,
		"no namespace":        `<interroger/>`,
		"another local name":  `<calculer xmlns="urn:roc:idb:1.0.0"/>`,
		"an answer":           `<interrogerReponse xmlns="urn:roc:idb:1.0.0"/>`,
		"a namespace's case":  `<interroger xmlns="URN:roc:idb:1.0.0"/>`,
		"annuaire, no slash":  `<search xmlns="https://ws.annuaireamc.fr"/>`,
		"DRE-ES, not carried": `<deposer xmlns="urn:roc:dre:1.0.0"/>`,
	} {
		env := read(t, `<s:Envelope xmlns:s="`+soap.NS11+`"><s:Body>`+child+`</s:Body></s:Envelope>`)
		if _, err := checkActions(env, "text/xml", ""); !roc.IsRefused(err, roc.UnknownOperation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	const uuid = "0f3c3f5e-6b0a-4a54-9a0c-6f8f4f1f2f10"
	for header, want := range map[string]string{
		"": "",
		"<a:MessageID>urn:uuid:" + uuid + "</a:MessageID>":                         "urn:uuid:" + uuid,
		"<a:MessageID>uuid:" + uuid + "</a:MessageID>":                             "uuid:" + uuid,
		"<a:MessageID>\n urn:uuid:" + uuid + "\n</a:MessageID>":                    "urn:uuid:" + uuid,
		"<a:MessageID>urn:uuid:" + strings.ToUpper(uuid) + "</a:MessageID>":        "urn:uuid:" + strings.ToUpper(uuid),
		"<a:MessageID>" + uuid + "</a:MessageID>":                                  "",
		"<a:MessageID>urn:uuid:FICTIF Zoe</a:MessageID>":                           "",
		"<a:MessageID>urn:uuid:" + uuid + "-FICTIF</a:MessageID>":                  "",
		"<a:MessageID>urn:uuid:0f3c3f5e-6b0a-4a54-9a0cZ6f8f4f1f2f10</a:MessageID>": "",
		"<MessageID>urn:uuid:" + uuid + "</MessageID>":                             "",
	} {
		if got := message.MessageID(read(t, idbWith(header))); got != want {
			t.Errorf("%s: %q, not %q", header, got, want)
		}
	}
	if got := message.MessageID(read(t, `<s:Envelope xmlns:s="`+soap.NS12+`"><s:Body><x/></s:Body></s:Envelope>`)); got != "" {
		t.Errorf("without a Header: %q", got)
	}
}

// Who sends what the profile does not know is told what was received; it is
// quoted to its sender only, and not whole.
func TestTheRequestThatWasReceivedIsSaid(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for _, c := range []struct{ child, said string }{
		{`<interroger xmlns="urn:roc:idb:3.0.0"/>`, "Reçu : « interroger » dans l'espace de noms « urn:roc:idb:3.0.0 »."},
		{`<search/>`, "Reçu : « search » sans espace de noms."},
		{`<` + long + `/>`, "Reçu : « " + long[:80] + "… » sans"},
	} {
		env := read(t, `<s:Envelope xmlns:s="`+soap.NS12+`"><s:Body>`+c.child+`</s:Body></s:Envelope>`)
		_, err := checkActions(env, "application/soap+xml", "")
		r := roc.RefusalOf(err)
		if r.CauseCode != roc.UnknownRequest || !strings.Contains(r.Detail, c.said) || strings.Contains(r.Error(), "xxx") || strings.Contains(r.Error(), "idb:3") {
			t.Errorf("%s %q, logged %q, want %q", r.CauseCode, r.Detail, r.Error(), c.said)
		}
	}
}

// Either header names the service; what names none of ours states nothing.
func TestTheServiceThatTheHeadersName(t *testing.T) {
	t.Parallel()
	stated := func(contentType, soapAction string) roc.Service {
		t.Helper()
		ct, err := message.ParseContentType(contentType)
		if err != nil {
			t.Fatal(err)
		}
		sa, err := message.ParseSOAPAction(soapAction, soapAction != "")
		if err != nil {
			t.Fatal(err)
		}
		return message.StatedService(ct, sa)
	}
	for _, op := range message.Operations() {
		if s := stated(`application/soap+xml; action="`+op.Action+`"`, ""); s != op.Service {
			t.Errorf("Content-Type with %s: %s", op.Action, s)
		}
		if s := stated("text/xml", `"`+op.Action+`"`); s != op.Service {
			t.Errorf("SOAPAction %s: %s", op.Action, s)
		}
	}
	for _, none := range []string{`""`, `"urn:roc:idb:1.0.0:interrogerReponse"`, ""} {
		if s := stated("text/xml", none); s != roc.NoService {
			t.Errorf("SOAPAction %s: %s", none, s)
		}
	}
}
