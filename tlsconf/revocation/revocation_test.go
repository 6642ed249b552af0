package revocation_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A publisher is the web server of a CA, that a test tells what to do.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	does  func(w http.ResponseWriter, r *http.Request)
	asked atomic.Int32
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		does := p.does
		p.mu.Unlock()
		if does == nil {
			http.NotFound(w, r)
			return
		}
		does(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) now(does func(w http.ResponseWriter, r *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.does = does
}

func (p *publisher) publishes(list []byte) {
	p.now(func(w http.ResponseWriter, _ *http.Request) { w.Write(list) })
}

// What each behaviour of a CA's web server means for a certificate that is
// revoked and one that is not: when no list was ever obtained, and when a good
// one was.
func TestWhatAPublisherDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		server  func(w *tlstest.Registry, p *publisher, revoked *big.Int) // from now on
		first   trust.Reason                                              // of a good certificate, when there was no list before
		good    trust.Reason                                              // of a good certificate, after a good list
		revoked trust.Reason                                              // of one the good list revokes
		problem string                                                    // told of the source
	}{
		{"up", func(w *tlstest.Registry, p *publisher, revoked *big.Int) {
			p.publishes(w.PKI.CRL(es, igc.List{Revoked: []*big.Int{revoked}, Number: 2, From: w.Clock.Now().Add(-10 * time.Second)}))
		}, "", "", trust.Revoked, ""},
		{"down", func(_ *tlstest.Registry, p *publisher, _ *big.Int) {
			p.now(func(w http.ResponseWriter, _ *http.Request) {
				c, _, _ := http.NewResponseController(w).Hijack()
				c.Close()
			})
		}, trust.RevocationUnknown, "", trust.Revoked, "EOF"},
		{"an error page", func(_ *tlstest.Registry, p *publisher, _ *big.Int) {
			p.now(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "maintenance", http.StatusServiceUnavailable)
			})
		}, trust.RevocationUnknown, "", trust.Revoked, "503"},
		{"an error page that says 200", func(_ *tlstest.Registry, p *publisher, _ *big.Int) {
			p.publishes([]byte("<html>maintenance</html>"))
		}, trust.RevocationUnknown, "", trust.Revoked, "is not a revocation list"},
		{"nothing", func(_ *tlstest.Registry, p *publisher, _ *big.Int) { p.publishes(nil) },
			trust.RevocationUnknown, "", trust.Revoked, "answers nothing"},
		{"slow", func(_ *tlstest.Registry, p *publisher, _ *big.Int) {
			p.now(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte{0x30})
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
		}, trust.RevocationUnknown, "", trust.Revoked, "deadline"},
		{"redirected for ever", func(_ *tlstest.Registry, p *publisher, _ *big.Int) {
			p.now(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })
		}, trust.RevocationUnknown, "", trust.Revoked, "redirected"},
		{"expired", func(w *tlstest.Registry, p *publisher, revoked *big.Int) {
			p.publishes(w.PKI.CRL(es, igc.List{Revoked: []*big.Int{revoked}, Number: 2, From: w.Clock.Now().Add(-30 * time.Second), To: w.Clock.Now().Add(-time.Second)}))
		}, "", "", trust.Revoked, ""}, // late: it serves within the grace
		{"expired long ago", func(w *tlstest.Registry, p *publisher, _ *big.Int) {
			p.publishes(w.PKI.CRL(es, igc.List{Number: 2, From: w.Clock.Now().AddDate(0, 0, -30), To: w.Clock.Now().AddDate(0, 0, -20)}))
		}, trust.RevocationUnknown, "", trust.Revoked, "older than the list in use"},
		{"wrongly signed", func(w *tlstest.Registry, p *publisher, _ *big.Int) {
			p.publishes(w.PKI.CRL(es, igc.List{Number: 2, ByImpostor: true}))
		}, trust.RevocationUnknown, "", trust.Revoked, "not signed by the CA it names"},
		{"the list of another CA", func(w *tlstest.Registry, p *publisher, _ *big.Int) {
			p.publishes(w.PKI.CRL(igc.AMCTLS, igc.List{Number: 2}))
		}, trust.RevocationUnknown, "", trust.Revoked, "in no trust store"},
		{"older than the last", func(w *tlstest.Registry, p *publisher, _ *big.Int) {
			p.publishes(w.PKI.CRL(es, igc.List{Number: 1}))
		}, "", "", trust.Revoked, "older than the list in use"},
		{"of the future", func(w *tlstest.Registry, p *publisher, _ *big.Int) {
			p.publishes(w.PKI.CRL(es, igc.List{Number: 9, From: w.Clock.Now().Add(time.Hour)}))
		}, trust.RevocationUnknown, "", trust.Revoked, "in the future"},
		{"larger than the bound", func(_ *tlstest.Registry, p *publisher, _ *big.Int) {
			p.publishes(make([]byte, 1<<20+1))
		}, trust.RevocationUnknown, "", trust.Revoked, "larger than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			w := tlstest.NewRegistry(t, func(o *revocation.Options) { o.MaxBytes = 1 << 20 })
			good, bad := w.PKI.Auth(chu, "CH", igc.Points(p.URL+"/crl")), w.PKI.Auth(autre, "AUTRE", igc.Points(p.URL+"/crl"))
			w.Options.Lists = []string{p.URL + "/crl"}

			c.server(w, p, bad.Cert.SerialNumber)
			w.Open()
			if got := w.Says(good); got != c.first {
				t.Errorf("without a list before: %q, want %q", got, c.first)
			}

			w.Options.Folder = t.TempDir()
			p.publishes(w.PKI.CRL(es, igc.List{Revoked: []*big.Int{bad.Cert.SerialNumber}, Number: 2, From: w.Clock.Now().Add(-time.Minute)}))
			w.Open()
			if w.Says(good) != "" || w.Says(bad) != trust.Revoked {
				t.Fatal("the good list is not read")
			}
			c.server(w, p, bad.Cert.SerialNumber)
			w.Reread()
			if got := w.Says(good); got != c.good {
				t.Errorf("a good certificate, after a good list: %q, want %q", got, c.good)
			}
			if got := w.Says(bad); got != c.revoked {
				t.Errorf("a revoked one, after a good list: %q, want %q", got, c.revoked)
			}
			if s := w.Sources(); len(s) != 1 || (c.problem == "") != (s[0].Problem == "") || !strings.Contains(s[0].Problem, c.problem) {
				t.Errorf("told of the source: %+v, want %q", s, c.problem)
			}

			// A restart while the server still does so knows what was known.
			w.Open()
			if w.Says(good) != c.good || w.Says(bad) != c.revoked {
				t.Errorf("after a restart: %q, %q", w.Says(good), w.Says(bad))
			}
		})
	}
}

// The age policy: nextUpdate passed is not the end; the end of the grace is,
// closed or open; and a revocation is never too old to count.
func TestALastGoodListServesForAWhile(t *testing.T) {
	t.Parallel()
	for _, then := range []revocation.FailureMode{revocation.FailClosed, revocation.FailOpen} {
		p := newPublisher(t)
		w := tlstest.NewRegistry(t, func(o *revocation.Options) { o.Age = revocation.AgePolicy{Grace: 48 * time.Hour, Then: then} })
		good, bad := w.PKI.Auth(chu, "CH"), w.PKI.Auth(autre, "AUTRE")
		w.Options.Lists = []string{p.URL}
		p.publishes(w.PKI.CRL(es, igc.List{Revoked: []*big.Int{bad.Cert.SerialNumber}, To: time.Now().Add(24 * time.Hour)}))
		w.Open()
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { w.Run(ctx) })
		before := w.Generation()
		want := func(when string, reason trust.Reason, state string) {
			t.Helper()
			if got := w.Says(good); got != reason {
				t.Errorf("%s, then %s: %q, want %q", when, then, got, reason)
			}
			if got := w.Says(bad); got != trust.Revoked {
				t.Errorf("%s, then %s: the revoked one: %q", when, then, got)
			}
			if s := w.Status(); len(s) != 1 || s[0].State != state || s[0].Entries != 1 {
				t.Errorf("%s: %+v", when, s)
			}
		}
		p.now(nil)
		want("fresh", "", "current")
		w.Clock.Forward(25 * time.Hour)
		want("past nextUpdate", "", "late")
		if w.Generation() != before {
			t.Error("late is not a change of answers")
		}
		w.Clock.Forward(48 * time.Hour)
		if then == revocation.FailClosed {
			want("past the grace", trust.RevocationUnknown, "stale")
		} else {
			want("past the grace", "", "stale")
		}
		await.Until(t, "the passing of time is told", func() bool { return w.Generation() != before })
		await.Until(t, "the log says it", func() bool { return strings.Contains(w.Log.String(), "too old to rely on") })
		cancel()
		run.Wait()
	}
}

// envoyproxy/envoy#38198: an expired list that is replaced on disk is taken up.
// Files are looked at by Run, each second.
func TestAListReplacedOnDiskIsTakenUp(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	file := filepath.Join(t.TempDir(), "liste.crl")
	w.Options.Lists = []string{file}
	good, bad := w.PKI.Auth(chu, "CH"), w.PKI.Auth(autre, "AUTRE")
	write := func(l igc.List) {
		t.Helper()
		if err := os.WriteFile(file, w.PKI.CRL(es, l), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(igc.List{From: time.Now().AddDate(0, -2, 0), To: time.Now().AddDate(0, -1, 0)})
	w.Open()
	if got := w.Says(good); got != trust.RevocationUnknown {
		t.Errorf("expired a month ago: %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	defer run.Wait()
	defer cancel()
	before := w.Generation()
	revoked := []x509.RevocationListEntry{{SerialNumber: bad.Cert.SerialNumber, RevocationTime: time.Now()}}
	write(igc.List{Number: 2, Entries: revoked})
	await.Until(t, "the new list is in use", func() bool { return w.Says(good) == "" && w.Says(bad) == trust.Revoked })
	if w.Generation() == before {
		t.Error("the generation has not changed")
	}

	before = w.Generation()
	write(igc.List{Number: 3, Entries: revoked})
	await.Until(t, "the third list is in use", func() bool { return w.Status()[0].Number == "3" })
	if w.Generation() != before {
		t.Error("a list that revokes the same ones is no change")
	}

	// A file that is being written, or is damaged, changes nothing; the
	// damaged one is told.
	if err := os.WriteFile(file, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the damaged file is told", func() bool { return w.Sources()[0].Problem != "" })
	if w.Says(good) != "" || w.Says(bad) != trust.Revoked {
		t.Error("a damaged file changed the answers")
	}
	write(igc.List{Number: 4})
	await.Until(t, "the fourth list is in use", func() bool { return w.Sources()[0].Problem == "" && w.Says(bad) == "" })
}

// envoyproxy/envoy#29197: a list for the intermediate, and none for the root
// above it, must not refuse everything.
func TestAListForTheIntermediateOnly(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	w := tlstest.NewRegistry(t, nil)
	w.Options.Lists = []string{p.URL}
	good := w.PKI.Auth(chu, "CH")
	p.publishes(w.PKI.CRL(es, igc.List{}))
	if got := w.Open().Says(good); got != "" {
		t.Errorf("%q", got)
	}
	// Unless the operator wants to know about every CA.
	w.Options.Unannounced = revocation.FailClosed
	if got := w.Open().Says(good); got != trust.RevocationUnknown {
		t.Errorf("unannounced: closed: %q", got)
	}
	// While a configured source has given nothing, whose list it is is not
	// known: everything waits for it.
	w.Options.Unannounced, w.Options.Folder = revocation.FailOpen, t.TempDir()
	p.now(nil)
	if got := w.Open().Says(good); got != trust.RevocationUnknown {
		t.Errorf("the configured source never answered: %q", got)
	}
}

func TestARevokedIntermediateTakesItsCertificatesWithIt(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	w := tlstest.NewRegistry(t, nil)
	w.Options.Lists = []string{p.URL}
	bad := w.PKI.Auth(chu, "CH", igc.Under("REVOQUEE"))
	p.publishes(w.PKI.CRL(es, igc.List{ByRoot: true, Revoked: []*big.Int{w.PKI.Intermediate(es, "REVOQUEE").SerialNumber}}))
	err := w.Open().Check(w.Chain(bad), time.Now())
	if tlstest.Reason(err) != trust.Revoked || !strings.Contains(err.Error(), "the CA C=FR") {
		t.Errorf("%v", err)
	}
	if got := w.Says(w.PKI.Auth(autre, "AUTRE")); got != "" {
		t.Errorf("under the other intermediate: %q", got)
	}
}

// The points that certificates name are followed once their chain is accepted,
// and remembered over a restart.
func TestDistributionPointsAreFollowed(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	w := tlstest.NewRegistry(t, nil)
	good, bad := w.PKI.Auth(chu, "CH", igc.Points("ldap://ignored", p.URL+"/a")), w.PKI.Auth(autre, "AUTRE", igc.Points(p.URL+"/a"))
	p.publishes(w.PKI.CRL(es, igc.List{Revoked: []*big.Int{bad.Cert.SerialNumber}}))
	w.Open()
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	if got := w.Says(good); got != trust.RevocationUnknown {
		t.Errorf("at first sight: %q: it fails closed until the list is there", got)
	}
	await.Until(t, "the list is obtained", func() bool { return w.Says(good) == "" && w.Says(bad) == trust.Revoked })
	cancel()
	run.Wait()

	p.now(nil)
	w.Open()
	if w.Says(good) != "" || w.Says(bad) != trust.Revoked {
		t.Errorf("after a restart without the server: %q, %q", w.Says(good), w.Says(bad))
	}
	w.Options.NoFollow = true
	w.Open()
	if got := w.Says(bad); got != trust.RevocationUnknown {
		t.Errorf("nothing is followed, and a list is announced: %q", got)
	}
}

// Lists cut in pieces: each speaks of the certificates that name it.
func TestAListForOneDistributionPoint(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	w := tlstest.NewRegistry(t, nil)
	here, elsewhere := w.PKI.Auth(chu, "CH", igc.Points(p.URL+"/1")), w.PKI.Auth(autre, "AUTRE", igc.Points(p.URL+"/2"))
	w.Options.Lists, w.Options.NoFollow, w.Options.Unannounced = []string{p.URL + "/1"}, true, revocation.FailClosed
	w.Options.Ages = nil
	p.publishes(w.PKI.CRL(es, igc.List{Point: p.URL + "/1"}))
	root := filepath.Join(t.TempDir(), "racine.crl")
	if err := os.WriteFile(root, w.PKI.CRL(es, igc.List{ByRoot: true}), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Options.Lists = append(w.Options.Lists, root)
	w.Open()
	if got := w.Says(here); got != "" {
		t.Errorf("the certificate the list speaks of: %q", got)
	}
	if got := w.Says(elsewhere); got != trust.RevocationUnknown {
		t.Errorf("the list of another point says nothing about it: %q", got)
	}
}

func TestDeltaLists(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	first, second := w.PKI.Auth(chu, "CH"), w.PKI.Auth(autre, "AUTRE")
	dir := t.TempDir()
	w.Options.Lists = []string{filepath.Join(dir, "a-complete.crl"), filepath.Join(dir, "b-delta.crl")}
	write := func(i int, l igc.List) {
		t.Helper()
		if err := os.WriteFile(w.Options.Lists[i], w.PKI.CRL(es, l), 0o600); err != nil {
			t.Fatal(err)
		}
		w.Reread()
	}
	want := func(when string, a, b trust.Reason) {
		t.Helper()
		if w.Says(first) != a || w.Says(second) != b {
			t.Errorf("%s: %q, %q, want %q, %q", when, w.Says(first), w.Says(second), a, b)
		}
	}
	w.Open()
	write(0, igc.List{Number: 10, Revoked: []*big.Int{first.Cert.SerialNumber}})
	write(1, igc.List{Number: 11, DeltaOf: 10, Revoked: []*big.Int{second.Cert.SerialNumber}})
	want("a delta adds", trust.Revoked, trust.Revoked)
	write(1, igc.List{Number: 12, DeltaOf: 10, Entries: []x509.RevocationListEntry{
		{SerialNumber: first.Cert.SerialNumber, RevocationTime: time.Now(), ReasonCode: 8}}})
	want("a delta takes back", "", "")
	write(1, igc.List{Number: 11, DeltaOf: 10, Revoked: []*big.Int{second.Cert.SerialNumber}})
	want("an older delta is refused", "", "")
	write(1, igc.List{Number: 21, DeltaOf: 20, Revoked: []*big.Int{second.Cert.SerialNumber}})
	want("a delta to a list we do not have is refused", "", "")
	write(0, igc.List{Number: 20, Revoked: []*big.Int{first.Cert.SerialNumber}})
	w.Reread()
	want("a later complete list ends the delta, and the delta to it counts", trust.Revoked, trust.Revoked)
	write(0, igc.List{Number: 22})
	want("a complete list later than the delta", "", "")
}

func TestKeptDataThatIsDamagedIsNotBelieved(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	w := tlstest.NewRegistry(t, nil)
	good := w.PKI.Auth(chu, "CH")
	w.Options.Lists = []string{p.URL}
	p.publishes(w.PKI.CRL(es, igc.List{}))
	w.Open()
	files, _ := filepath.Glob(filepath.Join(w.Options.Folder, "*.list"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	p.now(nil)
	for name, text := range map[string][]byte{
		"cut": whole[:len(whole)-3], "empty": nil, "one line": whole[:bytes.IndexByte(whole, '\n')],
		"a bit": append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
	} {
		if err := os.WriteFile(files[0], text, 0o600); err != nil {
			t.Fatal(err)
		}
		w.Open()
		if got := w.Says(good); got != trust.RevocationUnknown {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := os.WriteFile(files[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := w.Open().Says(good); got != "" {
		t.Errorf("whole again: %q", got)
	}
}

// If-Modified-Since and If-None-Match: what has not changed is not sent.
func TestAListThatHasNotChangedIsNotSent(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	w := tlstest.NewRegistry(t, nil)
	w.Options.Lists = []string{p.URL}
	list, when := w.PKI.CRL(es, igc.List{}), time.Now().Add(-time.Hour)
	var sent atomic.Int32
	p.now(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("ETag", `"a"`)
		if r.Header.Get("If-None-Match") == "" || r.Header.Get("If-Modified-Since") == "" {
			sent.Add(1)
		}
		http.ServeContent(rw, r, "", when, bytes.NewReader(list))
	})
	w.Open()
	w.Reread()
	w.Open() // and a restart remembers
	if sent.Load() != 1 || p.asked.Load() != 3 {
		t.Errorf("sent whole %d times, asked %d times", sent.Load(), p.asked.Load())
	}
	if s := w.Sources(); s[0].Problem != "" || s[0].Confirmed.IsZero() {
		t.Errorf("%+v", s)
	}
}

// A list of 50 MiB is read; the next byte past the bound is not.
func TestAListOf50MiB(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	good, bad := w.PKI.Auth(chu, "CH"), w.PKI.Auth(autre, "AUTRE")
	// Few entries with much to say: they are quicker to make. The benchmarks
	// have the million.
	pad := []pkix.Extension{{Id: []int{1, 2, 3}, Value: make([]byte, 1<<10)}}
	var entries []x509.RevocationListEntry
	for i := range int64(49 << 10) {
		entries = append(entries, x509.RevocationListEntry{SerialNumber: big.NewInt(i + 1), RevocationTime: time.Unix(1.7e9, 0), ExtraExtensions: pad})
	}
	entries = append(entries, x509.RevocationListEntry{SerialNumber: bad.Cert.SerialNumber, RevocationTime: time.Unix(1.7e9, 0)})
	list := w.PKI.CRL(es, igc.List{Entries: entries})
	if len(list) < 50<<20 {
		t.Fatalf("the list has %d bytes only", len(list))
	}
	file := filepath.Join(t.TempDir(), "liste.crl")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Options.Lists = []string{file}
	w.Open()
	if w.Says(good) != "" || w.Says(bad) != trust.Revoked {
		t.Errorf("%q, %q", w.Says(good), w.Says(bad))
	}
	w.Options.Folder, w.Options.MaxBytes = t.TempDir(), int64(len(list)-1)
	w.Open()
	if got := w.Says(good); got != trust.RevocationUnknown {
		t.Errorf("past the bound: %q", got)
	}
}

func TestOCSPIsAskedAsideAndNeverWaitedFor(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	w := tlstest.NewRegistry(t, func(o *revocation.Options) { o.OCSP = true })
	with := igc.Responder(p.URL)
	good, bad, forged := w.PKI.Auth(chu, "CH", with), w.PKI.Auth(autre, "AUTRE", with), w.PKI.Auth("1030000000", "FAUX", with)
	other := tlstest.NewPKI()
	answers := map[string][]byte{
		good.Cert.SerialNumber.String():   w.PKI.OCSP(es, good.Cert, false),
		bad.Cert.SerialNumber.String():    w.PKI.OCSP(es, bad.Cert, true),
		forged.Cert.SerialNumber.String(): other.OCSP(es, forged.Cert, true), // of a responder that is not the CA's
	}
	asked := make(chan string, 100)
	hold := make(chan struct{})
	p.now(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		<-hold
		for serial, answer := range answers {
			n, _ := new(big.Int).SetString(serial, 10)
			if bytes.Contains(body, n.Bytes()) {
				rw.Write(answer)
				asked <- serial
			}
		}
	})
	w.Open()
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	defer run.Wait()
	defer cancel()
	before := w.Generation()
	for _, pair := range []igc.Pair{good, bad, forged} {
		if got := w.Says(pair); got != "" {
			t.Errorf("while the responder is silent: %q", got)
		}
	}
	close(hold)
	await.Until(t, "the revoked one is out", func() bool { return w.Says(bad) == trust.Revoked })
	twin := bad
	twin.Cert = igc.Twin(bad.Cert)
	if got := w.Says(twin); got != trust.Revoked {
		t.Errorf("the other value of its signature: %q", got)
	}
	if w.Generation() == before {
		t.Error("the generation has not changed")
	}
	for range 3 {
		<-asked
	}
	if w.Says(good) != "" || w.Says(forged) != "" {
		t.Errorf("good: %q, forged: %q", w.Says(good), w.Says(forged))
	}
}

func TestARevocationNeedsAFolderItCanUse(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	file := filepath.Join(t.TempDir(), "fichier")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Options.Folder = file
	if _, err := revocation.Open(t.Context(), tlstest.Revocation(w.Options)); err == nil {
		t.Error("a file was taken for a folder")
	}
	var none *revocation.Checker
	if none.Check(w.Chain(w.PKI.Auth(chu, "CH")), time.Now()) != nil || none.Generation() != 0 || none.Status() != nil {
		t.Error("no revocation is nobody revoked")
	}
}
