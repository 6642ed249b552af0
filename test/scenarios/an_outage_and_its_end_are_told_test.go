package scenarios

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/mail/mailtest"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/test/nation"
)

// A hook is a webhook of an establishment.
type hook struct {
	*httptest.Server
	ca string // file

	mu    sync.Mutex
	calls []hooked
}

type hooked struct {
	head http.Header
	body string
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.calls = append(h.calls, hooked{r.Header, string(b)})
	}))
	t.Cleanup(h.Close)
	h.ca = keep(t, "webhook.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}))
	return h
}

func (h *hook) called() []hooked {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// wantSigned checks the signature of a call as Standard Webhooks has it.
func (c hooked) wantSigned(t *testing.T, secret string) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(secret), "whsec_"))
	if err != nil {
		t.Fatalf("the secret %q: %v", secret, err)
	}
	sum := hmac.New(sha256.New, key)
	fmt.Fprintf(sum, "%s.%s.%s", c.head.Get("webhook-id"), c.head.Get("webhook-timestamp"), c.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(sum.Sum(nil)); c.head.Get("webhook-signature") != want {
		t.Errorf("the call is signed %q, want %q", c.head.Get("webhook-signature"), want)
	}
}

// failedBefore writes into the journal of an RPN that is stopped what an insurer
// failed six minutes ago: five exchanges without an answer, which are an outage.
func failedBefore(t *testing.T, n *nation.Nation, from roc.StructureID, to roc.NumeroAMC) (ids []string) {
	t.Helper()
	const origin = "rpn.example/journal/demo"
	private, err := os.ReadFile(filepath.Join(journalOf(n), "key"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := journal.ParseKeys(string(private), origin)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: journalOf(n), Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 2 << 20, SealEvery: 10 * time.Millisecond,
		Durability: journal.Relaxed, OnFull: journal.Refuse, SegmentAge: time.Hour, KeepFor: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	for i := range 5 {
		x := &roc.Record{From: from, To: roc.Key{AMC: to}, Service: roc.IDB, Version: roc.V2, Outcome: roc.Refused, Reason: roc.AMCSilent}
		x.RequestIn = time.Now().Add(-6*time.Minute + time.Duration(i)*time.Second)
		x.RequestOut, x.AnswerOut = x.RequestIn, x.RequestIn.Add(time.Second)
		x.ID = roc.NewExchangeID(x.RequestIn)
		await.Until(t, "the journal has room", func() bool { ok, err := j.Reserve(); return ok && err == nil })
		if _, err := j.Append(x); err != nil {
			t.Fatal(err)
		}
		j.Release()
		ids = append(ids, string(x.ID))
	}
	stop()
	running.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// opened is the subject of a mail, and the text of each of its parts.
func opened(t *testing.T, m mailtest.Message) (subject string, parts []string) {
	t.Helper()
	letter, err := mail.ReadMessage(strings.NewReader(m.Text))
	if err != nil {
		t.Fatal(err)
	}
	if subject, err = new(mime.WordDecoder).DecodeHeader(letter.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(letter.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return subject, []string{m.Text}
	}
	for r := multipart.NewReader(letter.Body, params["boundary"]); ; {
		p, err := r.NextPart() // which decodes quoted-printable
		if err == io.EOF {
			return subject, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		var from io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			from = base64.NewDecoder(base64.StdEncoding, p)
		}
		b, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(b))
	}
}

// An insurer that fails is out for those who asked, by mail and by a signed
// webhook; once it answers again they are told so, with their own exchanges to play
// again, which reconcile with the journal. Nothing of a patient is in any of it.
func TestAnOutageAndItsEndAreTold(t *testing.T) {
	t.Parallel()
	postman, receiver := mailtest.Start(t, true), newHook(t)
	url := receiver.URL + "/rpn"
	n := nation.New(t, nation.Binary, nation.Section("journal", "origin: rpn.example/journal/demo\nseal: 100ms"), nation.Section("indicators", "every: 50ms"),
		nation.Section("limits", "per_second: 1000\nburst: 2000\nrest_after: 1000"), nation.Section("timeouts", "head: 1s\nbody: 1s\nexchange: 2s\nwrite: 1s"),
		nation.Section("alerts", fmt.Sprintf("every: 50ms\ndown: 1ms\nup: 1ms\nnetworks: [127.0.0.0/8]\nca: %s", receiver.ca)),
		nation.Section("mail", fmt.Sprintf("server: localhost:%d\nfrom: rpn@rpn.example\nca: %s", postman.Port, postman.CA)))
	chu := n.Etablissement(nation.Row("alertes:", "  - courriel: dsi@chu.example", fmt.Sprintf("  - webhook: %q", url)))
	structure, bleue := roc.StructureOf(chu.EJ), n.AMC("bleue")
	dir, db := journalOf(n), n.File("rpn/state/indicateurs.db")
	c := newCanaries()
	all := []string{chu.Send(roc.IDB, "bleue", c.everywhere).Header.Get("RPN-Echange")}
	n.RestartAfter(func() { all = append(all, failedBefore(t, n, structure, bleue.Numero())...) })

	// It is told once it goes on failing.
	bleue.Answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<p>"+c.nom+" "+c.nir+"</p>")
	})
	failing := 0
	var outages string
	await.Until(t, "the outage is announced", func() bool {
		failing++
		all = append(all, chu.Send(roc.IDB, "bleue", c.everywhere).WantRefused(roc.AMCNotSOAP).Header.Get("RPN-Echange"))
		outages = rpn(t, 0, "indicators", "outages", "--store", db, "--json")
		return strings.Contains(outages, `"amc":"`+string(bleue.Numero())+`"`)
	})
	var seen searched
	var again string // the file of the exchanges to play again
	told := func(want string, calls int) {
		t.Helper()
		m := postman.Next(t)
		subject, parts := opened(t, m)
		if !strings.Contains(subject, "RPN ROC : "+want+" ") || strings.Join(m.To, " ") != "dsi@chu.example" || !m.TLS {
			t.Errorf("the mail is %q to %v, want %q", subject, m.To, want)
		}
		seen.add("a mail", m.Text)
		seen.add("the parts of a mail", subject+strings.Join(parts, "\n"))
		again = parts[len(parts)-1]
		await.Until(t, "the webhook is called", func() bool { return len(receiver.called()) == calls })
	}
	told("panne de", 1)
	bleue.Answers(nil)
	for range 5*failing + 6 { // fewer than one in five fail now
		all = append(all, chu.Send(roc.IDB, "bleue", c.everywhere).Header.Get("RPN-Echange"))
	}
	told("fin de la panne de", 2)
	if rows := strings.Count(again, ";RPN40"); rows != 5+failing || !strings.Contains(again, "instant;echange;") {
		t.Errorf("%d exchanges are to be played again, want %d:\n%s", rows, 5+failing, again)
	}
	secret := rpn(t, 0, "indicators", "webhook-secret", "--secrets", n.File("rpn/secrets.txt"), "--for", string(structure), "--url", url)
	for i, call := range receiver.called() {
		call.wantSigned(t, secret)
		var e struct {
			Type, AMC string
			Echanges  []struct{ Issue string }
		}
		if err := json.Unmarshal([]byte(call.body), &e); err != nil || e.Type != []string{"panne", "retour"}[i] || e.AMC != string(bleue.Numero()) || len(e.Echanges) != i*(5+failing) {
			t.Errorf("call %d: %v\n%s", i, err, call.body)
		}
		seen.add("a webhook", fmt.Sprint(call.head)+call.body)
	}

	// What was told reconciles with the journal.
	day := func(days int) string { return time.Now().AddDate(0, 0, days).Format(time.DateOnly) }
	await.Until(t, "it is sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })
	reconcile := func(code int, list string, more ...string) string {
		said := rpn(t, code, append([]string{"indicators", "reconcile", "--file", keep(t, "liste.csv", []byte(list)), "--dir", dir, "--structure", string(structure), "--from", day(-1), "--to", day(2)}, more...)...)
		seen.add("a reconciliation", said)
		return said
	}
	reconcile(0, "echange\n"+strings.Join(all, "\n")+"\n")
	proofs := t.TempDir()
	var r struct {
		Theirs []any `json:"vous_seul"`
		Ours   []any `json:"rpn"`
	}
	if err := json.Unmarshal([]byte(reconcile(1, again, "--json", "--proofs", proofs)), &r); err != nil || len(r.Theirs) != 0 || len(r.Ours) != len(all)-5-failing {
		t.Errorf("the file reconciles with %d of theirs and %d of ours, want 0 and %d: %v", len(r.Theirs), len(r.Ours), len(all)-5-failing, err)
	}
	rpn(t, 0, "receipt", "verify", "--key", filepath.Join(dir, "key.pub"), "--proof", filepath.Join(proofs, all[0]+".tlog-proof"))

	seen.files(t, proofs)
	seen.add("the outages", outages)
	seen.add("the letters", rpn(t, 0, "indicators", "mail", "list", "--store", db, "--all"))
	seen.add("the log", n.Log())
	c.search(t, seen)
}
