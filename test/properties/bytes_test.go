// Package properties holds what must be true of every message, tried on many
// made by chance: the real application in process, over real TLS, between a raw
// client and an insurer that answers anything.
//
//	go test ./test/properties -rapid.checks 10000
package properties

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/test/nation"
)

func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "500") // unless the command line says more
	flag.Set("rapid.nofailfile", "true")
	os.Exit(nation.Main(m))
}

// The first absolute rule of the profile (section 2): the bytes that were
// checked are the bytes that leave, in both directions, faults of the AMC
// included; whatever the body up to 2 MiB, its framing, the order of the
// headers, the version of SOAP.
func TestBytesOutAreBytesIn(t *testing.T) {
	t.Parallel()
	told := make(chan roc.Record, 16)
	n := nation.New(t, nation.Observer(func(r *roc.Record) { told <- *r }),
		nation.Section("limits", "per_second: 1000000\nburst: 1000000\nbytes_per_second: 1GiB\nbytes_burst: 1GiB"), nation.Annuaire("probe: 0s"))
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	var back answer
	bleue.Answers(func(w http.ResponseWriter, _ *http.Request) { back.write(w) })
	var kept *client // one connection for all cases, until one fails
	rapid.Check(t, func(rt *rapid.T) {
		c := kept
		if kept = nil; c == nil {
			c = dial(t, n, chu.TLS)
		}
		sent, contentType := anyMessage(rt, chu)
		back = anyAnswer(rt)
		before := bleue.Received()
		c.send(rt, sent, contentType)
		resp, body := c.hear(rt)
		rec := <-told

		got := bleue.Last()
		switch {
		case bleue.Received() != before+1:
			rt.Fatalf("%d messages reached the insurer; answer %d, %s %s", bleue.Received()-before, resp.StatusCode, rec.Reason, rec.Cause)
		case !bytes.Equal(got.Body, sent) || sha256.Sum256(got.Body) != rec.RequestSHA256:
			rt.Fatalf("%d other bytes than the %d that were sent left; the record has %s", len(got.Body), len(sent), hex.EncodeToString(rec.RequestSHA256[:]))
		case int(got.Length) != len(sent) || len(got.Coding) > 0:
			rt.Fatalf("it left with length %d and coding %v", got.Length, got.Coding)
		case !strings.EqualFold(got.Header.Get("Content-Type"), contentType): // written again, in small letters
			rt.Fatalf("Content-Type %q became %q", contentType, got.Header.Get("Content-Type"))
		case resp.StatusCode != back.status || strings.Join(resp.Header["Content-Type"], "|") != back.contentType:
			rt.Fatalf("%d %q came back, the insurer said %d %q", resp.StatusCode, resp.Header["Content-Type"], back.status, back.contentType)
		case !bytes.Equal(body, back.body) || sha256.Sum256(body) != rec.AnswerSHA256:
			rt.Fatalf("%d other bytes came back than the %d of the insurer", len(body), len(back.body))
		case resp.Header.Get("RPN-Origine") != "amc" || resp.Header.Get("RPN-Echange") != string(rec.ID):
			rt.Fatalf("RPN-Origine %q, RPN-Echange %q", resp.Header.Get("RPN-Origine"), resp.Header.Get("RPN-Echange"))
		}
		kept = c
	})
}

// chance is a source of many choices, seeded by one that rapid can shrink and
// replay.
func chance(rt *rapid.T, label string) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, label), 7))
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// anySize is mostly small, and one in ten anything up to most.
func anySize(rt *rapid.T, label string, most int) int {
	r := chance(rt, label)
	if r.IntN(10) == 0 {
		return r.IntN(most + 1)
	}
	return r.IntN(4000)
}

// anyMessage is a good signed message, written as no program would: any
// prologue, prefixes, quotes, white space, comments, CDATA, references, and
// anything beside the fields that are read.
func anyMessage(rt *rapid.T, e *nation.Etablissement) (message []byte, contentType string) {
	sv := rapid.SampledFrom([]soap.Version{soap.SOAP11, soap.SOAP12}).Draw(rt, "SOAP")
	version := rapid.SampledFrom([]string{"1.0.0", "2.0.0"}).Draw(rt, "version")
	size := anySize(rt, "filler", 2<<20-20_000)
	w := &writer{r: chance(rt, "message")}
	w.envelope(sv, e.EJ, version, size)
	signed, err := xmlsig.Sign(roc.NewContent([]byte(w.b.String())), xmlsig.Key{Certificate: e.Signature.Cert, Signer: e.Signature.Key}, xmlsig.SignOptions{})
	if err != nil {
		rt.Fatalf("sign: %v", err)
	}
	if signed.Len() > soap.DefaultLimits.Bytes {
		rt.Fatalf("the message has %d bytes", signed.Len())
	}
	return signed.Bytes(), one(w.r, sv.ContentType(), strings.Split(sv.ContentType(), ";")[0], strings.ToUpper(sv.ContentType()))
}

// A writer writes a message by chance.
type writer struct {
	r    *rand.Rand
	b    strings.Builder
	left int // elements that may still be written
}

func (w *writer) add(s ...string) {
	for _, s := range s {
		w.b.WriteString(s)
	}
}

func (w *writer) envelope(sv soap.Version, ej roc.FINESS, version string, size int) {
	w.left = 2000
	p := one(w.r, "soap:", "S:", "é-1.:", "")
	bind := ` xmlns="`
	if p != "" {
		bind = ` xmlns:` + strings.TrimSuffix(p, ":") + `="`
	}
	w.add(one(w.r, "", "\ufeff", `<?xml version="1.0" encoding="UTF-8"?>`+"\n", `<?xml version='1.0' encoding='utf-8' standalone="yes" ?>`+"\r\n<!-- -->"))
	w.add("<", p, "Envelope", bind, sv.Namespace(), `"`, w.space(), ">", w.space())
	if w.r.IntN(3) > 0 {
		w.add("<", p, "Header", w.space(), ">", w.space())
		w.tree(2)
		w.add("</", p, "Header>")
	}
	w.add(w.space(), "<", p, "Body", w.space(), ">", w.space())
	q := one(w.r, "r:", "roc-2_:", "_:")
	w.add("<", q, "interroger xmlns:", strings.TrimSuffix(q, ":"), "='urn:roc:idb:", version, "' xmlns='' ", w.attributes(3), ">")
	w.noise()
	w.add("<requete>", w.text(30), "</requete>")
	w.noise()
	w.add("<etablissement", w.space(), "><finess_ej>", string(ej), "</finess_ej ></etablissement>")
	w.noise()
	w.add("<adressage><numero_amc>", one(w.r, "0099000003", "99000003", "&#48;099000003", "<![CDATA[0099]]>000003"), "</numero_amc>")
	w.add(w.space(), one(w.r, "", "<code_type_convention>RO</code_type_convention>", "<code_csr/>"), "<domaine_conventionnel>HOSP</domaine_conventionnel></adressage>")
	w.noise()
	w.add("<beneficiaire>")
	w.tree(6)
	w.fill(size)
	w.add("</beneficiaire></", q, "interroger", w.space(), ">", w.space(), "</", p, "Body>", w.space(), "</", p, "Envelope>", w.space())
}

func (w *writer) space() string { return one(w.r, "", "", " ", "\n", "\r\n\t", "  \t ") }

// noise is what changes nothing between two elements.
func (w *writer) noise() { w.add(w.space(), one(w.r, "", "", "<!-- <x> & -->", "<!---->"), w.space()) }

// tree writes some elements of any name, depth and content.
func (w *writer) tree(depth int) {
	for range w.r.IntN(4) {
		if w.left--; w.left < 0 {
			return
		}
		name := one(w.r, "a", "nom", "é", "_x-1.y", "Body", "numero_amc", "n"+strings.Repeat("n", w.r.IntN(200)))
		space := one(w.r, "", "", ` xmlns="urn:x"`, ` xmlns:z="urn:z"`, ` xmlns="http://www.w3.org/2000/09/xmldsig#"`)
		w.add("<", name, space, " ", w.attributes(4))
		if w.r.IntN(5) == 0 {
			w.add("/>")
			continue
		}
		w.add(">", w.text(40))
		if depth > 0 {
			w.tree(depth - 1)
		}
		w.add("</", name, w.space(), ">")
	}
}

func (w *writer) attributes(most int) string {
	var b strings.Builder
	for i := range w.r.IntN(most + 1) {
		quote := one(w.r, `"`, "'")
		fmt.Fprintf(&b, " a%d%s=%s%s%s%s ", i, w.space(), w.space(), quote, one(w.r, "", "x", "\t&#x41;&lt;&amp;\n", "é𝄞", "]]>"), quote)
	}
	return b.String()
}

func (w *writer) text(most int) string {
	var b strings.Builder
	for range w.r.IntN(most + 1) {
		b.WriteString(one(w.r, "x", " ", "é", "日", "𝄞", "\r\n", "\t", "&amp;", "&lt;", "&#233;", "&#x1D11E;", "&quot;", "'", `"`, "<![CDATA[<&]]>", "<![CDATA[]]>"))
	}
	return b.String()
}

// fill writes a text of that many bytes.
func (w *writer) fill(size int) {
	w.add("<reste>")
	const line = "0123456789 abcdefghijklmnopqrstuvwxyz é &amp; \r\n"
	w.add(strings.Repeat(line, size/len(line)), strings.Repeat("x", size%len(line)), "</reste>")
}

// An answer is what the insurer says.
type answer struct {
	status      int
	contentType string // "": none
	body        []byte
	pieces      int // 0: with a length
}

func anyAnswer(rt *rapid.T) answer {
	a := answer{
		status: rapid.SampledFrom([]int{200, 200, 200, 201, 203, 206, 400, 403, 404, 407, 429, 500, 500, 502, 503, 599}).Draw(rt, "status"),
		contentType: rapid.SampledFrom([]string{
			"text/xml; charset=utf-8", "application/soap+xml", "", "Text/XML", "text/xml;charset=ISO-8859-1", `application/soap+xml; action="urn:x"; type=é`,
		}).Draw(rt, "Content-Type"),
		pieces: rapid.IntRange(0, 5).Draw(rt, "pieces"),
	}
	a.body = []byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/">`) // else it is no answer (RPN405)
	a.body = append(a.body, rapid.SampledFrom([]string{"", "\r\n\r\n", "0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "<?xml version='1.0'?><a/>", "\x1f\x8b"}).Draw(rt, "start")...)
	r := chance(rt, "answer")
	more := make([]byte, anySize(rt, "answer", 2<<20))
	for i := range more {
		more[i] = byte(r.Uint32())
	}
	a.body = append(a.body, more...)
	return a
}

func (a *answer) write(w http.ResponseWriter) {
	w.Header()["Content-Type"] = nil // net/http would guess one
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	if a.pieces == 0 {
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	w.WriteHeader(a.status)
	rest := a.body
	for i := range a.pieces {
		n := len(rest) / (a.pieces - i)
		w.Write(rest[:n])
		rest = rest[n:]
		http.NewResponseController(w).Flush()
	}
	w.Write(rest)
}

// A client is a raw connection of an establishment.
type client struct {
	*tls.Conn
	r *bufio.Reader
}

func dial(t *testing.T, n *nation.Nation, show igc.Pair) *client {
	t.Helper()
	u, err := url.Parse(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", u.Port()), &tls.Config{
		ServerName: "localhost", RootCAs: n.PKI.Pool(igc.EtablissementTLS), Certificates: []tls.Certificate{show.TLS()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

// send posts the message with its headers in any order and case, with a length
// or in chunks of any size, in writes of any size.
func (c *client) send(rt *rapid.T, body []byte, contentType string) {
	r := chance(rt, "framing")
	lines := []string{"Host: localhost", "Content-Type: " + contentType, "Accept: */*", "User-Agent: rapid", "X-Empty:", "Cookie: a=b", `SOAPAction: ""`}
	framed := body
	if rapid.Bool().Draw(rt, "chunked") {
		lines = append(lines, "Transfer-Encoding: chunked")
		framed = anyChunks(r, body)
	} else {
		lines = append(lines, fmt.Sprint("Content-Length: ", len(body)))
	}
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for i, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		lines[i] = one(r, name, strings.ToUpper(name), strings.ToLower(name)) + ":" + one(r, "", " ", "\t ") + strings.TrimSpace(value) + one(r, "", " ")
	}
	all := append([]byte("POST /roc HTTP/1.1\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n"), framed...)
	c.SetDeadline(time.Now().Add(await.Patience))
	for most := one(r, 1<<22, 1<<22, 20_000, 1500, 1+len(all)/8); len(all) > 0; {
		n := min(len(all), 1+r.IntN(most))
		if _, err := c.Write(all[:n]); err != nil {
			rt.Fatalf("send: %v", err)
		}
		all = all[n:]
	}
}

// anyChunks frames a body in chunks of any size.
func anyChunks(r *rand.Rand, body []byte) []byte {
	most := one(r, 1+len(body)/50, 3000, 70_000, 3<<20)
	var b bytes.Buffer
	for len(body) > 0 {
		n := min(len(body), 1+r.IntN(most))
		fmt.Fprintf(&b, one(r, "%x\r\n", "%X\r\n", "00%x\r\n"), n)
		b.Write(body[:n])
		b.WriteString("\r\n")
		body = body[n:]
	}
	b.WriteString(one(r, "0\r\n\r\n", "0\r\nX-Trailer: y\r\n\r\n", "0;a=b\r\n\r\n"))
	return b.Bytes()
}

func (c *client) hear(rt *rapid.T) (*http.Response, []byte) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: http.MethodPost})
	if err != nil {
		rt.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		rt.Fatalf("the answer was cut: %v", err)
	}
	return resp, b
}
