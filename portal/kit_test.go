package portal

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/incident"
	"github.com/piano-roc/rpn/portal/invitation"
	"github.com/piano-roc/rpn/portal/proposal"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ownEJ, ownEG, otherEJ   = "990000011", "990000019", "990000021"
	ownAMC, otherAMC        = "0099000002", "0099000003"
	ownSIREN, otherSIREN    = "2099000002", "2099000003"
	exchangesOfTheCountry   = 900
	establishmentsOfCountry = 14
)

// noon is the instant of the pages, a Thursday.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, store.Paris)

// A country is a register, a journal with its figures, and the pages on them.
type country struct {
	t       testing.TB
	list    *register.List
	data    *access.Data
	portal  *Portal
	store   *store.Store
	dir     string // of the journal
	records []*roc.Record
	log     *buffer

	door    *access.Door
	people  map[string][]*x509.Certificate // by name; "": nobody
	revoked map[string]bool
	decided []string
	fails   bool // what is decided cannot be done

	proposals *proposal.Book
	incidents *incident.Book
	gone      string        // an operator who is no more
	later     time.Duration // by so much the clock of the proposals is ahead

	invitations atomic.Pointer[invitation.Book] // nil: nobody is invited
}

// A buffer is a log that tests read.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// people are made once: a certificate is the same in every test.
var people = sync.OnceValue(func() map[string][]*x509.Certificate {
	pki := igc.New(igc.Options{ECDSA: true})
	of := func(p igc.Pair) []*x509.Certificate { return []*x509.Certificate{p.Cert} }
	return map[string][]*x509.Certificate{
		"public": nil, "own": of(pki.Auth("1"+ownEJ, "CHU FICTIF")), "site": of(pki.Auth("1"+ownEG, "SITE FICTIF")), "other": of(pki.Auth("1"+otherEJ, "CLINIQUE FICTIVE")),
		"amc": of(pki.AMCAuth(ownSIREN, "MUTUELLE FICTIVE")), "amc2": of(pki.AMCAuth(otherSIREN, "MUTUELLE BIS FICTIVE")),
		"lecture": of(pki.Auth(igc.RPN, "RPN FICTIF", igc.Key("l"), igc.CN("lecture.test"))), "exploitation": of(pki.Auth(igc.RPN, "RPN FICTIF", igc.Key("e"), igc.CN("exploitation.test"))),
		"second":  of(pki.Auth(igc.RPN, "RPN FICTIF", igc.Key("s"), igc.CN("second.test"))),
		"renewed": of(pki.Auth(igc.RPN, "RPN FICTIF", igc.Key("e2"), igc.CN("exploitation.test"))), "samekey": of(pki.Auth(igc.RPN, "RPN FICTIF", igc.Key("e"), igc.CN("autre.test"))),
		"stranger": of(pki.Auth("1990000991", "INCONNU FICTIF")), "unlisted": of(pki.Auth(igc.RPN, "RPN FICTIF", igc.Key("u"), igc.CN("ancien.test"))),
	}
})

func newCountry(t testing.TB) *country {
	t.Helper()
	c := &country{t: t, dir: t.TempDir(), log: &buffer{}, people: people(), revoked: map[string]bool{}}
	c.register()
	c.write()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewJSONHandler(c.log, nil))
	c.data = access.New(access.Options{
		Open: func(ctx context.Context) (*store.Store, error) {
			return store.Open(ctx, filepath.Join(c.dir, "figures.db"), store.Options{Reads: true})
		},
		Journal: filepath.Join(c.dir, "journal"), Register: func() *register.List { return c.list },
		Certificates: func() []expiry.Expiry {
			return []expiry.Expiry{
				{Kind: expiry.CallerTLS, Owner: "1" + ownEJ, Nom: "CHU de Sainte-Fiction", Region: "Bretagne", Departement: "35", End: noon.AddDate(0, 0, 12), Days: 12, Subject: "CN=sien.test", Seen: noon},
				{Kind: expiry.CallerTLS, Owner: "1" + otherEJ, Nom: "Clinique des Tilleuls", Region: "Bretagne", Departement: "29", End: noon.AddDate(0, 0, 20), Days: 20, Subject: "CN=autre.test", Seen: noon},
				{Kind: expiry.PeerTLS, Owner: "roc.verte.example", End: noon.AddDate(0, 0, 40), Days: 40, Subject: "CN=verte.test", Seen: noon},
			}
		},
		Waiting: func() access.Waiting {
			return access.Waiting{
				Moves:   []access.Move{{AMC: ownAMC, Service: "IDB", Version: "V2", From: "https://a.verte.example/roc", To: "https://b.verte.example/roc", Host: "b.verte.example", Since: noon}, {AMC: ownAMC, Service: "CLC", Version: "V2", From: "https://a.verte.example/roc", Since: noon}},
				Domains: []access.Domain{{AMC: otherAMC, Host: "nulle-part.example", Since: noon, Last: noon, Refused: 3}, {AMC: "0099000009", Since: noon, Last: noon, Refused: 1}},
			}
		},
		Invitations: func() []invitation.Invitation {
			if book := c.invitations.Load(); book != nil {
				return book.All()
			}
			return nil
		},
		Incidents: func(o []incident.Incident) []incident.Incident { return c.incidents.Of(o) },
		Proposals: func() []proposal.Proposal { return c.proposals.All() },
		Log:       log, Now: func() time.Time { return noon },
	})
	var running sync.WaitGroup
	running.Go(func() { c.data.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); c.data.Close() })
	verify := func(presented []*x509.Certificate) error {
		for name, certs := range c.people {
			if len(certs) > 0 && certs[0] == presented[0] && c.revoked[name] {
				return errors.New("revoked")
			}
		}
		return nil
	}
	c.door = &access.Door{Etablissements: verify, AMCs: verify, Operators: verify, Register: func() *register.List { return c.list },
		Listed: func(id roc.CertificateID) (access.Listed, bool) {
			for who, o := range map[string]access.Listed{
				"lecture": {Name: "exploitant lecture", Role: access.Lecture}, "exploitation": {Name: "exploitant exploitation", Role: access.Exploitation},
				"second": {Name: "exploitant second", Role: access.Exploitation}, "renewed": {Name: "exploitant renouvelé", Role: access.Administration}, "samekey": {Name: "exploitant de même clé", Role: access.Exploitation},
			} {
				if id == roc.IDOfCertificate(c.people[who][0]) {
					return o, true
				}
			}
			return access.Listed{}, false
		},
		Operates: func(access.Identity) bool { return true }}
	var err error
	if c.incidents, err = incident.Open(incident.Options{File: filepath.Join(c.dir, "incidents"), Log: log, Now: c.now}); err != nil {
		t.Fatal(err)
	}
	c.proposals, err = proposal.Open(proposal.Options{File: filepath.Join(c.dir, "proposals"), Life: time.Hour, Operates: func(name string) bool { return name != c.gone }, Log: log, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	c.portal = New(Options{
		Data: c.data, Weather: true, Log: log, Now: c.now,
		Admit: func(r *http.Request) (access.Viewer, error) {
			return c.door.Admit(c.people[r.Header.Get("X-Test-Who")])
		},
		Decide: func(approve bool, amc roc.NumeroAMC, host, who, why string) (int, error) {
			if c.fails {
				return 0, errors.New("nothing is held any more")
			}
			c.decided = append(c.decided, fmt.Sprint(approve, amc, host, who, why))
			return 1, nil
		},
		Proposals: c.proposals, Incidents: c.incidents,
	})
	c.portal.pages = newLimit(10_000, 100_000)
	for _, r := range c.records[len(c.records)-40:] {
		c.data.Observe(r)
	}
	return c
}

// now is the clock of the proposals.
func (c *country) now() time.Time { return noon.Add(c.later) }

// register writes two lists and reads them.
func (c *country) register() {
	var b strings.Builder
	b.WriteString("etablissements:\n")
	for i := range establishmentsOfCountry {
		ej := fmt.Sprintf("99%06d1", i+1)
		fmt.Fprintf(&b, "  - finess_ej: %q\n    nom: %q\n    etat: cercle\n    region: Bretagne\n    departement: \"35\"\n", ej, nameOf(i))
		if ej == ownEJ {
			fmt.Fprintf(&b, "    finess_eg: [%q]\n", ownEG)
		}
	}
	es, amc := filepath.Join(c.dir, "etablissements.yaml"), filepath.Join(c.dir, "amc.yaml")
	for file, text := range map[string]string{es: b.String(), amc: "amcs:\n  - {nom: Mutuelle Verte, numeros: [\"" + ownAMC + "\", \"0099000012\"], etat: cercle, domaines: [roc.verte.example], structures: [\"" + ownSIREN + "\"]}\n" +
		"  - {nom: Mutuelle Bleue, numeros: [\"" + otherAMC + "\"], etat: cercle, structures: [\"" + otherSIREN + "\"]}\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	var err error
	if c.list, err = register.Load(es, amc, noon); err != nil {
		c.t.Fatal(err)
	}
}

func nameOf(i int) string {
	if i == 0 {
		return "CHU de Sainte-Fiction"
	}
	return fmt.Sprintf("Clinique fictive %d", i)
}

// write makes the journal of a month, and its figures. The hour before noon is an
// outage of the other insurer.
func (c *country) write() {
	const origin = "rpn.example/journal/portal"
	private, _, err := journal.NewKey(origin)
	if err != nil {
		c.t.Fatal(err)
	}
	keys, err := journal.ParseKeys(private, origin)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "journal.pub"), []byte(keys.Public()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	dir := filepath.Join(c.dir, "journal")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		c.t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: dir, Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 1 << 20, SegmentAge: 24 * time.Hour,
		Durability: journal.Relaxed, OnFull: journal.Refuse, SealEvery: time.Hour, KeepFor: 1000 * 24 * time.Hour})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	r := rand.New(rand.NewPCG(7, 7))
	reasons := []roc.Reason{"", "", "", "", "", roc.AMCSilent, roc.BadSignature, roc.TooMany, roc.UnknownAMC, roc.Internal}
	for i := range exchangesOfTheCountry {
		x := &roc.Record{Service: roc.AMCServices[r.IntN(4)], Version: roc.Version(1 + r.IntN(2)), Outcome: roc.Answered, Origin: roc.FromAMC, FarStatus: 200}
		x.From = roc.StructureOf(roc.FINESS(fmt.Sprintf("99%06d1", 1+r.IntN(establishmentsOfCountry))))
		if r.IntN(40) == 0 {
			x.From = "1" + ownEG
		}
		x.To.AMC = []roc.NumeroAMC{ownAMC, otherAMC}[r.IntN(2)]
		x.RequestIn = noon.Add(-time.Duration(exchangesOfTheCountry-i) * 47 * time.Minute)
		x.Reason = reasons[r.IntN(len(reasons))]
		if i >= exchangesOfTheCountry-20 { // the outage
			x.RequestIn = noon.Add(-30*time.Minute + time.Duration(i-exchangesOfTheCountry+20)*5*time.Second)
			x.To.AMC, x.Service, x.Reason = otherAMC, roc.IDB, roc.AMCSilent
		}
		if x.Reason != "" {
			x.Outcome, x.FarStatus, x.Origin = roc.Refused, 0, roc.FromRPN
		}
		x.ID = roc.NewExchangeID(x.RequestIn)
		x.MessageID = "6ba7b810-9dad-41d1-80b4-" + fmt.Sprintf("%012x", i)
		x.Read, x.Check, x.AMC = time.Duration(r.IntN(20))*time.Millisecond, time.Millisecond, time.Duration(100+r.IntN(2000))*time.Millisecond
		x.RequestOut = x.RequestIn.Add(x.Read + x.Check)
		x.AnswerIn = x.RequestOut.Add(x.AMC)
		x.AnswerOut = x.AnswerIn.Add(time.Millisecond)
		x.RequestBytes, x.AnswerBytes = 5300, 5100
		if _, err := j.Append(x); err != nil {
			c.t.Fatal(err)
		}
		c.records = append(c.records, x)
	}
	end()
	running.Wait()
	if err := j.Close(); err != nil {
		c.t.Fatal(err)
	}
	l, err := journal.OpenLog(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	defer l.Close()
	if c.store, err = store.Open(c.t.Context(), filepath.Join(c.dir, "figures.db"), store.Options{}); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.store.Close() })
	if err := c.store.Project(c.t.Context(), l, nil); err != nil {
		c.t.Fatal(err)
	}
}

// one returns the last record that is like that.
func (c *country) one(is func(*roc.Record) bool) *roc.Record {
	for i := len(c.records) - 1; i >= 0; i-- {
		if is(c.records[i]) {
			return c.records[i]
		}
	}
	c.t.Fatal("the country has no such exchange")
	return nil
}

// get asks for a page as somebody.
func (c *country) get(who, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("X-Test-Who", who)
	w := httptest.NewRecorder()
	c.portal.ServeHTTP(w, r)
	return w
}

// post sends a form as somebody.
func (c *country) post(who, path string, form url.Values, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Test-Who", who)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	c.portal.ServeHTTP(w, r)
	return w
}

// page asks for a page that must be there.
func (c *country) page(who, path string) string {
	c.t.Helper()
	w := c.get(who, path)
	if w.Code != http.StatusOK {
		c.t.Fatalf("%s as %s: %d\n%s", path, who, w.Code, text2(w.Body))
	}
	return w.Body.String()
}

func readFile(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func keysOf(keys ...note.Verifier) []note.Verifier { return keys }

func text2(r io.Reader) string {
	b, _ := io.ReadAll(r)
	return string(b[:min(len(b), 2000)])
}
