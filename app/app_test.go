package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/mutuelle"
	"github.com/piano-roc/rpn/nation"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// keys are shared by every nation of these tests: RSA keys are slow to make.
var keys = igc.NewKeys()

// A log keeps what the RPN wrote.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, o nation.Options) (*nation.Nation, *logged) {
	t.Helper()
	lines := &logged{}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Keys == nil {
		o.Keys = keys
	}
	o.Log = slog.New(slog.NewJSONHandler(lines, nil))
	n, err := nation.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log("the RPN's log:\n" + lines.String())
		}
	})
	return n, lines
}

func someone(t *testing.T, n *nation.Nation, id string) *nation.Etablissement {
	t.Helper()
	e, ok := n.Etablissement(id)
	if !ok {
		t.Fatalf("no establishment %q", id)
	}
	return e
}

func idb(t *testing.T, n *nation.Nation, who string, how ...nation.Mutation) nation.Outcome {
	t.Helper()
	return someone(t, n, who).Send(t.Context(), roc.IDB, roc.V2, soap.SOAP12, "bleue", how...)
}

func wantAnswer(t *testing.T, o nation.Outcome) {
	t.Helper()
	if !o.Answered("00") {
		t.Errorf("want an answer 00, got %s", o)
	}
}

func wantRefused(t *testing.T, o nation.Outcome, r roc.Reason) {
	t.Helper()
	if !o.Refused(r) {
		t.Errorf("want %s, got %s", r.Meaning().Code, o)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// ready asks /readyz and checks that status and body agree.
func ready(t *testing.T, n *nation.Nation) admin.Readiness {
	t.Helper()
	status, body := get(t, n.AdminURL()+"/readyz")
	var r admin.Readiness
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	want := http.StatusServiceUnavailable
	if r.Ready {
		want = http.StatusOK
	}
	if status != want || r.Ready != (len(r.Missing) == 0) {
		t.Errorf("status %d with %s", status, body)
	}
	return r
}

func lacks(t *testing.T, n *nation.Nation, what string) bool {
	t.Helper()
	return slices.Contains(ready(t, n).Missing, what)
}

func TestStartReloadStopAndStartAgainInTheSameDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n, _ := start(t, nation.Options{Dir: dir})
	wantAnswer(t, idb(t, n, "chu"))

	if err := n.Change("chu", func(c *nation.Character) { c.Etat = "suspendu" }); err != nil {
		t.Fatal(err)
	}
	// Its open connection is cut: a message may be lost with it, the next is refused.
	await.Until(t, "the establishment is suspended", func() bool { return idb(t, n, "chu").Refused(roc.Suspended) })
	if err := n.Change("chu", func(c *nation.Character) { c.Etat = "cercle" }); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, idb(t, n, "chu"))
	url := n.URL()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.App.Stop(t.Context()); !errors.Is(err, app.ErrStopped) {
		t.Errorf("a second Stop: got %v", err)
	}

	again, _ := start(t, nation.Options{Dir: dir, Keys: igc.NewKeys()})
	if again.URL() != url {
		t.Logf("another port was taken: %s, was %s", again.URL(), url)
	}
	if !again.PKI.Roots(igc.AMCTLS)[0].Equal(n.PKI.Roots(igc.AMCTLS)[0]) {
		t.Error("the authorities are not those of the first nation")
	}
	wantAnswer(t, idb(t, again, "chu"))
}

func TestABadRegisterChangesNothingAndIsSaid(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{})
	file := filepath.Join(n.Dir, "etablissements.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(good, []byte("etat: cercle"), []byte("etat: cerlce"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	err = n.App.Reload()
	if err == nil || !strings.Contains(err.Error(), "cerlce") {
		t.Errorf("reload: got %v", err)
	}
	wantAnswer(t, idb(t, n, "chu"))
	if r := ready(t, n); !slices.Contains(r.Degraded, "register") || slices.Contains(r.Missing, "register") {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(lines.String(), `"part":"register"`) {
		t.Error("the log does not name the part that failed")
	}
	if err := os.WriteFile(file, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := n.App.Reload(); err != nil {
		t.Error(err)
	}
	if r := ready(t, n); len(r.Degraded) > 0 {
		t.Errorf("still degraded: %+v", r)
	}
}

// A register that asks for searches rewritten, where nothing would sign them,
// is a bad one: it changes nothing, and no establishment is told RPN500.
func TestARegisterThatNeedsTheFacadeIsRefusedWithoutIt(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{})
	replaceIn(t, filepath.Join(n.Dir, "etablissements.yaml"), "etat: cercle", "etat: suspendu\n    facade: reecriture")
	for name, reload := range map[string]func() error{"reload": n.App.Reload, "forced": func() error { _, err := n.App.ReloadForced(app.Force{Register: true, Certificates: true}); return err }} {
		if err := reload(); err == nil || !strings.Contains(err.Error(), "990000011") || !strings.Contains(err.Error(), "facade.signature") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	wantAnswer(t, idb(t, n, "chu"))
	if r := ready(t, n); !slices.Contains(r.Degraded, "register") {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(lines.String(), "facade: reecriture") {
		t.Error("the log does not say what is wrong")
	}
}

func TestAFileThatChangesIsReloaded(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{Reload: 20 * time.Millisecond})
	wantAnswer(t, idb(t, n, "chu"))
	if err := n.Renew(10 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the new certificate ends soon, and readyz says so", func() bool {
		return slices.Contains(ready(t, n).Degraded, "server_certificate")
	})
	wantAnswer(t, idb(t, n, "chu"))
}

// Each dependency is broken in turn; /readyz names it.
func TestReadyzTellsTheTruth(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	n, _ := start(t, nation.Options{Now: clock, Sections: map[string]string{}})
	await.Until(t, "ready", func() bool { return ready(t, n).Ready })

	const year = 365 * 24 * time.Hour
	for _, step := range []struct {
		ahead   time.Duration
		missing []string
	}{
		{4 * year, []string{"server_certificate", "client_certificate"}},
		{12 * year, []string{"trust_etablissements_tls", "trust_etablissements_signature", "trust_amc_tls", "trust_amc_signature"}},
	} {
		ahead.Store(int64(step.ahead))
		got := ready(t, n)
		for _, name := range step.missing {
			if !slices.Contains(got.Missing, name) {
				t.Errorf("%s later, %s should be missing: %+v", step.ahead, name, got.Missing)
			}
		}
	}
	ahead.Store(0)
	if r := ready(t, n); !r.Ready {
		t.Errorf("not ready again: %+v", r)
	}
}

func TestReadyzSaysWhenTheAnnuaireFails(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{Annuaire: "probe: 20ms\nttl: 100ms\nmax_age: 300ms"})
	await.Until(t, "ready", func() bool { return ready(t, n).Ready })
	for _, f := range []fictif.Fault{fictif.Down, fictif.Unsigned, fictif.BadSignature} {
		n.Annuaire.Break(f)
		await.Until(t, "degraded while remembered answers serve, or missing: "+f.String(), func() bool {
			r := ready(t, n)
			return slices.Contains(r.Degraded, "annuaire") || slices.Contains(r.Missing, "annuaire")
		})
		await.Until(t, "missing: "+f.String(), func() bool { return lacks(t, n, "annuaire") })
		if h := annuaireOf(ready(t, n)); h.LastError == "" || h.LastSuccess == "" {
			t.Errorf("%s: the last success and error are not told: %+v", f, h)
		}
		n.Annuaire.Break(fictif.None)
		await.Until(t, "ready again after "+f.String(), func() bool { return ready(t, n).Ready })
	}
}

func annuaireOf(r admin.Readiness) admin.Health {
	return r.Checks[slices.IndexFunc(r.Checks, func(h admin.Health) bool { return h.Name == "annuaire" })]
}

func TestReadyzIsNotReadyBeforeTheStart(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{WithoutRPN: true})
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := a.Readiness()
	if r.Ready || !slices.Contains(r.Missing, "accepting") || !slices.Contains(r.Missing, "annuaire") {
		t.Errorf("got %+v", r)
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStopLetsExchangesFinish(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{Slow: 700 * time.Millisecond, Sections: map[string]string{"timeouts": "drain: 100ms\nstop: 20s"}})
	outcome := make(chan nation.Outcome, 1)
	go func() { outcome <- idb(t, n, "chu", nation.ForAdherent(mutuelle.Lente)) }()
	bleue, _ := n.Mutuelle("bleue")
	await.Until(t, "the message is at the insurer", func() bool { return bleue.Received() == 1 })
	await.Until(t, "ready", func() bool { return ready(t, n).Ready })

	stopped := make(chan error, 1)
	go func() { stopped <- n.App.Stop(context.Background()) }()
	await.Until(t, "readyz says that it drains", func() bool { return lacks(t, n, "accepting") })
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	wantAnswer(t, <-outcome)
	if _, err := net.Dial("tcp", n.App.Addr().String()); err == nil {
		t.Error("it still accepts")
	}
	if got := strings.Count(lines.String(), `"msg":"exchange"`); got != 1 {
		t.Errorf("%d lines for one exchange", got)
	}
}

func TestStopCutsWhatIsLeftAndNamesTheStep(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{Slow: time.Minute})
	outcome := make(chan nation.Outcome, 1)
	go func() { outcome <- idb(t, n, "chu", nation.ForAdherent(mutuelle.Lente)) }()
	bleue, _ := n.Mutuelle("bleue")
	await.Until(t, "the message is at the insurer", func() bool { return bleue.Received() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := n.App.Stop(ctx)
	if err == nil || !strings.Contains(err.Error(), "exchanges in flight") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(lines.String(), `"step":"exchanges in flight"`) {
		t.Error("the log does not name the step")
	}
	if o := <-outcome; o.Answered("00") {
		t.Errorf("got %s", o)
	}
}

func TestOneLineForEachExchangeAndItsMetrics(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{})
	wantAnswer(t, idb(t, n, "chu"))
	wantRefused(t, idb(t, n, "clinique"), roc.OutsideCircle)
	ailleurs := idb(t, n, "ailleurs")
	if ailleurs.Err == nil {
		t.Errorf("a certificate of another authority was accepted: %s", ailleurs)
	}
	await.Until(t, "two lines", func() bool { return strings.Count(lines.String(), `"msg":"exchange"`) == 2 })
	for _, secret := range []string{"FICTIF\"", "Zoé", "ADH0000001", "1980-02-29", "EDITEUR DEMO"} {
		if strings.Contains(lines.String(), secret) {
			t.Errorf("the log holds %q of a message", secret)
		}
	}
	for _, want := range []string{ // counted once the exchange, or the handshake, is over
		`rpn_exchanges_total{code="answered",responsable="personne",service="IDB",version="V2"} 1`,
		`rpn_exchanges_total{code="RPN303",responsable="etablissement",service="IDB",version="V2"} 1`,
		`rpn_tls_handshake_failures_total{reason="unknown-ca"} `,
		`rpn_reload_last_successful{what="register"} 1`,
	} {
		await.Until(t, want+" in /metrics", func() bool {
			_, text := get(t, n.AdminURL()+"/metrics")
			return strings.Contains(text, want)
		})
	}
	if status, _ := get(t, n.AdminURL()+"/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
}

// The letters of the outbox are counted where no mail is sent, too: the alerts
// about them are for webhooks as well.
func TestTheOutboxIsCountedWithoutMail(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	await.Until(t, "the letters are in /metrics", func() bool {
		_, text := get(t, n.AdminURL()+"/metrics")
		return strings.Contains(text, `rpn_mail_letters{state="waiting"} 0`)
	})
}

// What keeps the RPN from starting is one line that names the file or the
// port, and says what to do.
func TestWhatKeepsItFromStartingIsOneLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, n *nation.Nation)
		want  []string
	}{
		{"the key is not that of the certificate", func(t *testing.T, n *nation.Nation) {
			replaceIn(t, n.ConfigFile(), "key: rpn/serveur.key", "key: rpn/client.key")
		}, []string{"server", "client.key", "is not the private key of"}},
		{"a certificate that has ended", func(t *testing.T, n *nation.Nation) {
			if err := n.Renew(-time.Minute); err != nil {
				t.Fatal(err)
			}
		}, []string{"server", "serveur.pem", "ended on"}},
		{"the certificate of another trade", func(t *testing.T, n *nation.Nation) {
			replaceIn(t, n.ConfigFile(), "client: {certificate: rpn/client.pem, key: rpn/client.key}", "client: {certificate: rpn/serveur.pem, key: rpn/serveur.key}")
		}, []string{"client", "serveur.pem", "clientAuth"}},
		{"an empty trust store", func(t *testing.T, n *nation.Nation) {
			if err := os.WriteFile(filepath.Join(n.Dir, "confiance", "amc-tls.pem"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"trust.amc_tls", "amc-tls.pem", "holds no certificate"}},
		{"a leaf in a trust store", func(t *testing.T, n *nation.Nation) {
			replaceIn(t, n.ConfigFile(), "amc_tls: confiance/amc-tls.pem", "amc_tls: rpn/serveur.pem")
		}, []string{"trust.amc_tls", "serveur.pem", "is not a CA certificate"}},
		{"searches rewritten that nothing signs", func(t *testing.T, n *nation.Nation) {
			replaceIn(t, filepath.Join(n.Dir, "etablissements.yaml"), "etat: cercle", "etat: cercle\n    facade: reecriture")
		}, []string{"etablissements.yaml", "facade: reecriture", "990000011 (CHU de Sainte-Fiction)", "facade.signature"}},
		{"a test authority in production", func(t *testing.T, n *nation.Nation) {
			replaceIn(t, n.ConfigFile(), "environment: test", "environment: production")
		}, []string{"trust.etablissements_tls", "not for production", "TEST"}},
		{"a port in use", func(t *testing.T, n *nation.Nation) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			config, err := os.ReadFile(n.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(config)) {
				if strings.HasPrefix(line, "listen:") {
					replaceIn(t, n.ConfigFile(), line, "listen: "+ln.Addr().String()+"\n")
				}
			}
		}, []string{"listen", "already in use", "ss -ltnp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, _ := start(t, nation.Options{WithoutRPN: true})
			c.spoil(t, n)
			read, err := config.Read(n.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // should it start after all, it stops at once
			err = app.Run(ctx, app.Options{Config: read, Log: slog.New(slog.DiscardHandler)}, nil)
			var setup *config.SetupError
			if !errors.As(err, &setup) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(strings.TrimSpace(setup.Error()), "\n") {
				t.Errorf("not one line: %s", setup)
			}
			for _, w := range append(c.want, "rpn.yaml") {
				if !strings.Contains(setup.Error(), w) {
					t.Errorf("%q is not in: %s", w, setup)
				}
			}
		})
	}
}

// checked is what Check says, and its faults.
func checked(t *testing.T, o app.Options) (summary string, err error) {
	t.Helper()
	r := app.Check(t.Context(), o, false)
	return r.Summary, r.Err()
}

func TestCheckSummarizesAndOpensNoPort(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{WithoutRPN: true})
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", c.Listen) // taken: check must not care
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got, err := checked(t, app.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rpn.yaml: ok (test)", "10 (1 accrochage, 1 surveillance, 7 cercle, 1 suspendu)", "6, 6 numbers", "CN=localhost", "days", "1 roots, 1 intermediates"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func replaceIn(t *testing.T, file, old, new string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%s does not hold %q", file, old)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte(old), []byte(new), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The annuaire moves an AMC: quarantined by default; by policy, used and told.
func TestAnAMCThatMovesIsQuarantinedOrAcceptedAndTold(t *testing.T) {
	t.Parallel()
	moved := nation.Insurers()
	for i := range moved {
		moved[i].Domain = "ancien.example"
	}
	for _, c := range []struct {
		policy string
		check  func(*testing.T, nation.Outcome)
		told   bool
	}{
		{"new_domain: quarantine", func(t *testing.T, o nation.Outcome) { wantRefused(t, o, roc.Quarantined) }, false},
		{"new_domain: accept", func(t *testing.T, o nation.Outcome) { wantAnswer(t, o) }, true},
	} {
		t.Run(c.policy, func(t *testing.T) {
			t.Parallel()
			n, lines := start(t, nation.Options{Insurers: moved, Sections: map[string]string{"policies": c.policy}})
			c.check(t, idb(t, n, "chu"))
			if got := strings.Contains(lines.String(), "is new, and accepted by policy"); got != c.told {
				t.Errorf("told: %t", got)
			}
		})
	}
}

// An AMC on a network that the configuration does not allow is not dialled.
func TestAnAMCOnAPrivateNetworkIsNotDialled(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{Sections: map[string]string{
		"network": "hosts:\n  annuaire.example: 127.0.0.1\n  roc.mutuelle-bleue.example: 127.0.0.1",
	}})
	wantRefused(t, idb(t, n, "chu"), roc.AnnuaireRefused)
	bleue, _ := n.Mutuelle("bleue")
	if got := bleue.Received(); got != 0 {
		t.Errorf("it received %d messages", got)
	}
}

// Without a probe only exchanges ask the annuaire: it must not keep them away.
func TestWithoutAProbeItIsReadyBeforeTheFirstExchange(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{Annuaire: "probe: 0s"})
	if r := ready(t, n); !r.Ready || !slices.Contains(r.Degraded, "annuaire") {
		t.Errorf("got %+v", r)
	}
	wantAnswer(t, idb(t, n, "chu"))
	if r := ready(t, n); len(r.Degraded) > 0 {
		t.Errorf("got %+v", r)
	}
}
