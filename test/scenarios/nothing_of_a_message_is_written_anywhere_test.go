package scenarios

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/mutuelle"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// Profile section 9: never a body, a NIR, a name, a numéro adhérent. Canaries
// are put wherever a caller or an insurer can write, in good and in bad
// messages, at the log level that says most; then every output is searched.
func TestNothingOfAMessageIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("log", "level: debug"), nation.Annuaire("timeout: 2s\nprobe: 0s"),
		nation.Section("limits", "answer_bytes: 1MiB\nper_second: 1000\nburst: 2000"), nation.Section("timeouts", "exchange: 10s"),
		nation.Section("journal", "origin: rpn.example/journal/demo\nsegment_bytes: 64KiB\nsegment_age: 1s\nseal: 1s")) // so that some are closed
	c := newCanaries()
	chu, other := n.Etablissement(), n.Etablissement()
	answered := c.inGoodMessages(t, n, chu)
	c.inBadMessages(t, chu)
	c.inMalformedHTTP(t, n, chu)
	c.inAnswers(t, n, chu)
	c.whileTheAnnuaireFails(n, chu)
	c.flewBy(t, n, answered)

	var seen searched
	for _, reason := range []*nation.Reply{
		other.Send(roc.IDB, "bleue", inner.Altered), other.Send(roc.IDB, "grise"), other.Send(roc.IDB, "0099000098"),
		other.Send(roc.IDB, "bleue", raw("<a>")), other.Send(roc.IDB, "absente"),
	} {
		seen.add("what another establishment is told", fmt.Sprint(reason.Status, reason.Header, string(reason.Body.Bytes())))
	}
	for _, path := range []string{"/metrics", "/metrics/etablissements", "/readyz", "/livez", "/", "/inconnue"} {
		_, body, err := n.Admin(path)
		if err != nil {
			t.Error(err)
		}
		seen.add(path, body)
	}
	c.inTheJournal(t, n, &seen)
	// What Go itself says of a process that dies with messages in flight.
	verte := n.AMC("verte") // the bad answers have put the other one to rest
	verte.Hold()
	before := verte.Received()
	lost := make(chan *nation.Reply)
	go func() { lost <- chu.Send(roc.IDB, "verte", c.everywhere) }()
	await.Until(t, "a message is in flight", func() bool { return verte.Received() == before+1 })
	n.RPN().Signal(syscall.SIGQUIT)
	n.RPN().WantExit(2)
	<-lost
	if !strings.Contains(n.RPN().Errors.String(), "goroutine ") {
		t.Errorf("no stack was written:\n%s", n.RPN().Errors)
	}
	seen.add("standard error", n.RPN().Errors.String())
	seen.add("the log", n.Log())
	seen.files(t, n.Dir)
	c.search(t, seen)
}

// inTheJournal adds what the journal says in every form: its compressed
// segments are read, a proof is made. The tiles and the open segment are files.
func (c canaries) inTheJournal(t *testing.T, n *nation.Nation, seen *searched) {
	t.Helper()
	await.Until(t, "a segment is closed and all is sealed", func() bool {
		return n.Metric(`rpn_journal_segments{state="closed"}`) != "0" && n.Metric("rpn_journal_unsealed_records") == "0"
	})
	records := rpn(t, 0, "journal", "cat", "--json", "--dir", journalOf(n))
	if strings.Count(records, `"kind":"exchange"`) < 100 {
		t.Errorf("the journal has too few exchanges:\n%.2000s", records)
	}
	if strings.Count(records, `"dossier":"`) < 10 {
		t.Error("the exchanges of the journal are of no dossier: what is made of an adherent was not searched")
	}
	if strings.Contains(n.Log(), "dossier\"") {
		t.Error("the log holds links of dossiers")
	}
	seen.add("the journal as JSON", records)
	seen.add("the journal in words", rpn(t, 0, "journal", "cat", "--dir", journalOf(n)))
	id := n.Lines("exchange")[0].Text("record.echange")
	proof := rpn(t, 0, "journal", "prove", id, "--dir", journalOf(n))
	seen.add("a proof", proof)
	seen.add("an exchange", rpn(t, 0, "exchange", id, "--dir", journalOf(n)))
	for line := range strings.Lines(proof) {
		if extra, ok := strings.CutPrefix(line, "extra "); ok {
			b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(extra))
			if err != nil {
				t.Fatal(err)
			}
			seen.add("the record in a proof", string(b))
		}
	}
}

// A canary is what must not be seen. They are made at run time: nothing in
// these sources looks like a number of a person.
type canaries struct{ nir, nom, adherent string }

func newCanaries() canaries {
	digits := rand.IntN(900) + 100
	return canaries{
		nir:      fmt.Sprintf("%d%02d%02d%02d%03d%03d%02d", 2, 85, 5, 99, digits, digits, 36),
		nom:      fmt.Sprintf("KANARI%dK", digits),
		adherent: fmt.Sprintf("KADH%d%d", digits, digits),
	}
}

func (c canaries) all() []string { return []string{c.nir, c.nom, c.adherent} }

// everywhere puts canaries in every field that a good message has room for.
func (c canaries) everywhere(d *inner.Draft) {
	d.Demande.Requete.Editeur, d.Demande.Requete.Logiciel, d.Demande.Requete.VersionLogiciel = c.nom, c.nir, c.adherent
	d.Demande.Adressage.CSR = roc.CSR(c.nir)
	d.Demande.Beneficiaire = message.Beneficiaire{NumeroAdherent: c.adherent, Nom: c.nom, Prenom: c.nir, DateNaissance: c.nir, RangNaissance: 1}
	for _, name := range []string{"X-Patient", "User-Agent", "Accept", "RPN-Structure", "RPN-Echange", "X-Forwarded-For", "Cookie", "Referer", "Traceparent"} {
		inner.WithHeader(name, c.nir+" "+c.nom)(d)
	}
}

// changed is a message of that draft, with texts replaced before it is signed.
func changed(t *testing.T, replace ...string) nation.Mutation {
	return with(func(d *inner.Draft) {
		d.Body = func(d *inner.Draft) roc.Content {
			b := message.IDBRequest{Version: d.Version, Demande: d.Demande, Addressing: &message.Addressing{MessageID: "MSGID"}}.Envelope(d.SOAP).Bytes()
			for i := 0; i < len(replace); i += 2 {
				if !bytes.Contains(b, []byte(replace[i])) {
					t.Errorf("the message does not hold %q:\n%s", replace[i], b)
				}
				b = bytes.Replace(b, []byte(replace[i]), []byte(replace[i+1]), 1)
			}
			return roc.NewContent(b)
		}
	})
}

// inGoodMessages sends messages that are carried, and returns how many.
func (c canaries) inGoodMessages(t *testing.T, n *nation.Nation, chu *nation.Etablissement) int {
	t.Helper()
	for _, how := range []nation.Mutation{
		changed(t, "MSGID", c.nir),
		changed(t, "MSGID", "uuid:"+c.nom),
		changed(t, "MSGID", "urn:uuid:00000000-0000-4000-8000-000000000000 "+c.nom),
		changed(t, "<requete>", `<requete><!-- `+c.nom+` --><`+c.nom+` a="`+c.nir+`" xmlns:p="urn:`+c.nom+`"/>`),
		changed(t, `:Id="`, `:Id="`+c.nom),
		changed(t, "<wsa:MessageID>", `<x xmlns="urn:`+c.nom+`" Id="K`+c.nir+`">`+c.nom+`</x><wsa:MessageID>`),
	} {
		r := chu.Send(roc.IDB, "bleue", c.everywhere, how)
		if r.Origin() != roc.FromAMC { // who may not like it
			t.Errorf("a good message was not carried: %s", r.Outcome)
		}
	}
	if !bytes.Contains(n.AMC("bleue").Last().Body, []byte(c.nom)) {
		t.Error("the canary is not in the message that was carried")
	}
	return n.AMC("bleue").Received()
}

// inBadMessages has each step refuse a message at a place that holds a canary.
func (c canaries) inBadMessages(t *testing.T, chu *nation.Etablissement) {
	t.Helper()
	action := c.nom + ":" + c.nir
	nom, nir := c.nom, c.nir
	for i, how := range []nation.Mutation{
		with(func(d *inner.Draft) { d.SOAPAction = &action }),
		changed(t, "<wsa:Action>", "<wsa:Action>"+action),
		with(func(d *inner.Draft) { d.ContentType = "application/soap+xml; action=\"" + action }),
		with(func(d *inner.Draft) { d.ContentType = "text/" + nom }),
		with(func(d *inner.Draft) { d.ContentType = "text/xml; charset=" + nom }),
		inner.WithHeader("Content-Encoding", nom),
		inner.WithHeader("RPN-Delai-Ms", nir+" "+nom),
		inner.WithHeader("Via", "1.1 rpn ("+nom+")"),
		// XML
		raw(nir), raw("<" + nom), raw("<" + nom + ">" + nir + "</" + nom + ">"),
		replacing(t, "</nom>", "</"+nom+">"),
		replacing(t, "<nom>", "<"+nom+":nom>"),
		replacing(t, "<nom>", `<nom `+nom+`="" `+nom+`="">`),
		replacing(t, "<nom>", `<nom `+nom+`>`),
		replacing(t, "<nom>", "<nom>&"+nom+";"),
		replacing(t, "<nom>", "<nom><?"+nom+" "+nir+"?>"),
		replacing(t, "<nom>", "<nom>"+nir+"<!-- "+nom+" -->"),
		replacing(t, "<nom>", "<nom>"+nir+"\x00"),
		replacing(t, "<nom>", `<nom xmlns:q="`+nom+`">`),
		with(func(d *inner.Draft) {
			d.Alter = func(b []byte) []byte { return append([]byte(`<!DOCTYPE `+nom+` SYSTEM "`+nir+`">`), b...) }
		}),
		with(func(d *inner.Draft) {
			d.Alter = func(b []byte) []byte { return append([]byte(`<?xml version="1.0" encoding="`+nom+`"?>`), b...) }
		}),
		with(func(d *inner.Draft) { d.Alter = func(b []byte) []byte { return append(b, nir...) } }),
		raw(`<e:Envelope xmlns:e="` + soap.NS12 + `"><e:Body><` + nom + ` xmlns="urn:` + nir + `"/></e:Body></e:Envelope>`),
		raw(`<e:Envelope xmlns:e="urn:` + nom + `"><e:Body/></e:Envelope>`),
		raw(`<e:Envelope xmlns:e="` + soap.NS12 + `"><` + nom + `/><e:Body><a/></e:Body></e:Envelope>`),
		// the signature
		replacing(t, `URI="#`, `URI="#`+nom), replacing(t, `wsu:Id="`, `wsu:Id="`+nom), replacing(t, `Algorithm="`, `Algorithm="urn:`+nom),
		replacing(t, `#sha256"`, `#`+nom+`"`), replacing(t, `EncodingType="`, `EncodingType="`+nom), replacing(t, `ValueType="`, `ValueType="`+nom),
		replacing(t, "<ds:SignatureValue>", "<ds:SignatureValue>"+nir+nom), replacing(t, "<ds:DigestValue>", "<ds:DigestValue>"+nom),
		replacing(t, "<wsu:Created>", "<wsu:Created>"+nir), replacing(t, "<wsu:Expires>", "<wsu:Expires>"+nom),
		replacing(t, "<wsu:Timestamp", "<wsu:"+nom+"/><wsu:Timestamp"), replacing(t, "<wsse:BinarySecurityToken", "<wsse:"+nom+"/><wsse:BinarySecurityToken"),
		replacing(t, "</wsse:BinarySecurityToken>", nom+"</wsse:BinarySecurityToken>"), replacing(t, "<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyName>"+nom+"</ds:KeyName>"),
		replacing(t, "</wsse:Security>", `<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion" ID="`+nom+`"><s:Issuer>`+nir+`</s:Issuer></s:Assertion></wsse:Security>`),
		// the key and the identity
		with(func(d *inner.Draft) { d.Demande.Adressage.AMC = roc.NumeroAMC(nir) }),
		with(func(d *inner.Draft) { d.Demande.Adressage.AMC = roc.NumeroAMC(nom) }),
		with(func(d *inner.Draft) { d.Demande.Adressage.Convention = roc.Convention(nom) }),
		with(func(d *inner.Draft) { d.Demande.Adressage.CSR = roc.CSR(nom + nir) }),
		with(func(d *inner.Draft) { d.Demande.Adressage.Domaine = roc.Domaine(nir) }),
		with(func(d *inner.Draft) { d.Demande.Etablissement.EJ = roc.FINESS(nir) }),
		with(func(d *inner.Draft) { d.Demande.Etablissement.EG = roc.FINESS(nom) }),
		with(func(d *inner.Draft) { d.Demande.Adressage.AMC = "0099000097" }),
		with(func(d *inner.Draft) { d.Demande.Adressage.AMC = "0099000004" }),
		with(func(d *inner.Draft) { d.Demande.Adressage.AMC = "0099000005" }),
		inner.Unsigned, inner.SignedAt(time.Now().AddDate(0, 0, -2)),
	} {
		for _, r := range chu.SendBoth(roc.IDB, "bleue", c.everywhere, how) {
			if r.Origin() != roc.FromRPN || !strings.HasPrefix(r.Code, "RPN") {
				t.Errorf("bad message %d: got %s", i, r.Outcome)
			}
		}
	}
}

// inMalformedHTTP writes canaries in every part of a request.
func (c canaries) inMalformedHTTP(t *testing.T, n *nation.Nation, chu *nation.Etablissement) {
	t.Helper()
	const length = "Content-Length: 3\r\n\r\n<a>"
	for _, request := range []string{
		"POST /roc/" + c.nir + " HTTP/1.1\r\nHost: x\r\n" + length,
		"POST /" + c.nom + " HTTP/1.1\r\nHost: x\r\n" + length,
		"POST /roc?nir=" + c.nir + " HTTP/1.1\r\nHost: x\r\n" + length,
		"GET /roc?xsd=" + c.nom + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /roc?wsdl HTTP/1.1\r\nHost: " + c.nom + "\r\n\r\n",
		c.nom + " /roc HTTP/1.1\r\nHost: x\r\n" + length,
		"POST /roc HTTP/" + c.nir + "\r\n\r\n",
		"POST /roc HTTP/1.1\r\nHost: x\r\n" + c.nom + " : y\r\n" + length,
		"POST /roc HTTP/1.1\r\nHost: x\r\nX: " + c.nom + "\x01\r\n" + length,
		"POST /roc HTTP/1.1\r\nHost: " + c.nom + "\r\nHost: " + c.nir + "\r\n" + length,
		"POST /roc HTTP/1.1\r\nHost: x\r\nContent-Length: " + c.nom + "\r\n\r\n",
		"POST /roc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + c.nom + "\r\n\r\n",
		"POST /roc HTTP/1.1\r\nHost: x\r\nExpect: " + c.nom + "\r\n" + length,
		"POST /roc HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n" + c.nom + "\r\n",
		"POST /roc HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n3;" + c.nom + "=" + c.nir + "\r\n<a>\r\n0\r\n" + c.nom + "\r\n\r\n",
	} {
		w := dial(t, n, chu.TLS)
		w.say(request)
		w.hear()
	}
	w := dial(t, n, chu.TLS)
	w.say("POST /roc HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 500\r\n\r\n<" + c.nom)
	w.Close() // in the middle
}

// inAnswers has the insurer write canaries.
func (c canaries) inAnswers(t *testing.T, n *nation.Nation, chu *nation.Etablissement) {
	t.Helper()
	bleue := n.AMC("bleue")
	for _, words := range []string{
		c.nom, "HTTP/1.1 " + c.nir + " " + c.nom + "\r\n\r\n",
		"HTTP/1.1 200 " + c.nom + "\r\nContent-Length: 15\r\n\r\n" + c.nir,
		"HTTP/1.1 500 " + c.nom + "\r\nContent-Type: text/" + c.nom + "\r\nX: " + c.nir + "\r\nContent-Length: 15\r\n\r\n" + c.nir,
		"HTTP/1.1 302 Found\r\nLocation: https://" + c.nom + ".example/" + c.nir + "\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + c.nom + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + c.nir,
		"HTTP/1.1 200 OK\r\n" + c.nom + "\r\n\r\n", "HTTP/1.1 200 OK\r\nX: " + c.nom + "\x01\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: " + c.nom + "\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + c.nom + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + c.nom + "\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n<" + c.nom + strings.Repeat(" ", 88-len(c.nom)) + ">",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + c.nir + c.nom,
	} {
		bleue.Answers(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, words)
			conn.Close()
		})
		if r := chu.Send(roc.IDB, "bleue", c.everywhere); r.Err != nil {
			t.Errorf("no answer: %v", r.Err)
		}
	}
	bleue.Answers(nil)
	for _, cas := range mutuelle.Cases() {
		if cas.Adherent != mutuelle.Lente {
			chu.SendBoth(roc.CLC, "bleue", c.everywhere, inner.ForAdherent(cas.Adherent))
		}
	}
}

// whileTheAnnuaireFails asks it about keys that hold a canary: a CSR may be
// fifteen digits.
func (c canaries) whileTheAnnuaireFails(n *nation.Nation, chu *nation.Etablissement) {
	for _, f := range []fictif.Fault{fictif.Down, fictif.Silent, fictif.BadSignature, fictif.OtherAMC, fictif.SOAPFault, fictif.Garbage} {
		n.Annuaire.Break(f)
		chu.Send(roc.ANL, "verte", c.everywhere, with(func(d *inner.Draft) {
			d.Service = roc.CLC
			d.Demande.Adressage.CSR = roc.CSR(c.nir[:14])
		}))
	}
	n.Annuaire.Break(fictif.None)
}

// flewBy checks that the canaries came where they may be: at the insurer.
func (c canaries) flewBy(t *testing.T, n *nation.Nation, answered int) {
	t.Helper()
	if answered == 0 || n.AMC("bleue").Received() <= answered {
		t.Error("the messages with canaries did not reach the insurer")
	}
	if len(n.Lines("exchange")) < 100 {
		t.Errorf("only %d exchanges were logged", len(n.Lines("exchange")))
	}
}

// searched is what was written, by where.
type searched struct{ outputs []output }

type output struct{ where, text string }

func (s *searched) add(where, text string) { s.outputs = append(s.outputs, output{where, text}) }

// files adds every file under dir, with its name.
func (s *searched) files(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() { // a socket holds nothing
			return err
		}
		b, err := os.ReadFile(path)
		s.add("the file "+path, path+"\n"+string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// search looks for the canaries in every output, as they are and as programs
// write bytes: hexadecimal, base64, percent-encoded, spaced out.
func (c canaries) search(t *testing.T, s searched) {
	t.Helper()
	if len(s.outputs) < 10 {
		t.Fatalf("only %d outputs to search", len(s.outputs))
	}
	for _, canary := range c.all() {
		for form, text := range formsOf(canary) {
			for _, o := range s.outputs {
				if i := strings.Index(o.text, text); i >= 0 {
					t.Errorf("%s holds a canary (%s): ...%.300s", o.where, form, o.text[max(0, i-150):])
				}
			}
		}
	}
}

// The search must be able to find.
func TestTheSearchFindsACanaryHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for _, canary := range newCanaries().all() {
		message := "<nom>" + canary + "</nom>"
		for how, text := range map[string]string{
			"as it is": message, "%q": fmt.Sprintf("%q", message), "%x": fmt.Sprintf("%x", message), "%X": fmt.Sprintf("%X", message),
			"%v of bytes": fmt.Sprint([]byte(message)), "%#v of bytes": fmt.Sprintf("%#v", []byte(message)),
			"base64": base64.StdEncoding.EncodeToString([]byte(message)), "base64, one more": base64.StdEncoding.EncodeToString([]byte("x" + message)),
			"base64, two more": base64.URLEncoding.EncodeToString([]byte("xx" + message)),
		} {
			found := false
			for _, form := range formsOf(canary) {
				found = found || strings.Contains(text, form)
			}
			if !found {
				t.Errorf("%s is not found: %s", how, text)
			}
		}
	}
}

func formsOf(s string) map[string]string {
	forms := map[string]string{
		"as it is": s, "lower case": strings.ToLower(s),
		"hexadecimal": hex.EncodeToString([]byte(s)), "HEXADECIMAL": strings.ToUpper(hex.EncodeToString([]byte(s))),
		"bytes": strings.Trim(fmt.Sprint([]byte(s)), "[]"), "bytes, Go": strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(s)), "[]byte{"), "}"),
		"spaced": strings.Join(strings.Split(s, ""), " "),
	}
	for shift := range 3 { // what stands before it moves base64
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
		forms[fmt.Sprint("base64, shifted by ", shift)] = strings.TrimRight(text[4:], "=")[:8]
	}
	return forms
}
