package chaos

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
	"github.com/piano-roc/rpn/test/relay"
)

// brief are timeouts that a test has the time for, on a loaded machine too.
const brief = "exchange: 5s\nconnect: 2s"

// faultOf is what a relay does in each way; a flapping line is broken by Down.
var faultOf = map[way]relay.Fault{down: relay.Down, slow: relay.Slow, half: relay.Half, resets: relay.Reset, blackHole: relay.BlackHole}

// unlimited establishments are held by no rate.
func unlimited(n *nation.Nation) *nation.Etablissement {
	return n.Etablissement(nation.Limited(10_000, 10_000))
}

// stageOf starts a country and those who send beside what is played.
func stageOf(n *nation.Nation) *stage {
	who := []*nation.Etablissement{unlimited(n), unlimited(n)}
	n.Start()
	return &stage{Nation: n, others: begin(who...)}
}

// onRelay is an act whose line is a relay.
func onRelay(r *relay.Relay, send func() *nation.Reply) act {
	return act{set: func(w way) { r.Set(faultOf[w]) }, mend: func() { r.Set(relay.None) }, send: send}
}

// hostport is where the insurer of that ID listens.
func hostport(t *testing.T, n *nation.Nation, id string) string {
	t.Helper()
	u, err := url.Parse(n.URLOf(id))
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", u.Port())
}

// amc: each cell has an insurer of its own, behind a relay; what is sent is a
// calculation, which is not sent twice.
func amc(t *testing.T) *stage {
	var lines []*relay.Relay
	options := []nation.Option{nation.NotStarted, nation.Section("timeouts", brief), nation.Section("limits", "rest_after: 3")}
	id := func(nth int) string { return fmt.Sprintf("chaos-%d", nth) }
	for range ways {
		r := relay.New(t)
		r.SlowBy(100 * time.Millisecond)
		nth := len(lines)
		host := fmt.Sprintf("roc.mutuelle-%d.example", nth)
		options = append(options, nation.AnotherInsurer(inner.Insurer{
			ID: id(nth), Nom: fmt.Sprintf("Mutuelle %d", nth), Numero: roc.NumeroAMC(fmt.Sprintf("00990001%02d", nth)), Etat: "cercle", Host: host,
			URL: "https://" + host + ":" + r.Port() + "/roc",
		}))
		lines = append(lines, r)
	}
	n := nation.New(t, options...)
	chu := unlimited(n)
	s := stageOf(n)
	s.together = true // an address rests for some seconds
	s.begin = func(_ cell, nth int) act {
		r := lines[nth]
		r.To(hostport(t, n, id(nth)))
		a := onRelay(r, func() *nation.Reply { return chu.Send(roc.CLC, id(nth)) })
		a.says = ":" + r.Port()
		await.Until(t, "a connection is kept", func() bool { return a.send().Code == answered })
		return a
	}
	return s
}

// annuaire: each exchange is of a routing key that was never asked about.
func annuaire(t *testing.T) *stage {
	r := relay.New(t)
	r.SlowBy(50 * time.Millisecond)
	n := nation.New(t, nation.NotStarted, nation.Annuaire("ttl: 1s\nmax_age: 1h\nprobe: 0s\ntimeout: 2s"))
	for _, p := range n.Places() {
		if p.Name == "Annuaire AMC" {
			u, err := url.Parse(strings.Fields(p.URL)[0])
			if err != nil {
				t.Fatal(err)
			}
			r.To("127.0.0.1:" + u.Port())
			n.Edit("rpn.yaml", "url: https://"+u.Host, "url: https://"+u.Hostname()+":"+r.Port())
		}
	}
	chu := unlimited(n)
	s := stageOf(n)
	asked := 0
	s.begin = func(cell, int) act {
		return onRelay(r, func() *nation.Reply {
			asked++
			return chu.Send(roc.IDB, "bleue", func(d *inner.Draft) { d.Demande.Adressage.CSR = roc.CSR(fmt.Sprintf("CHAOS%d", asked)) })
		})
	}
	return s
}

func redis(t *testing.T) *stage {
	r := relay.New(t)
	r.SlowBy(1500 * time.Millisecond) // more than a command and a probe may take
	r.To(redistest.Start(t).Addr())
	n := nation.New(t, nation.NotStarted, nation.Section("redis", fmt.Sprintf("urls: [%q]", "redis://"+r.Addr())))
	chu := unlimited(n)
	s := stageOf(n)
	s.begin = func(cell, int) act {
		await.Until(t, "Redis is there", func() bool { c := n.Ready().Check("limits"); return c.OK && !c.Degraded })
		a := onRelay(r, func() *nation.Reply { return chu.Send(roc.IDB, "bleue") })
		a.send() // what the outage before was served on credit is paid
		return a
	}
	return s
}

func crl(t *testing.T) *stage {
	r := relay.New(t)
	r.SlowBy(50 * time.Millisecond)
	n := nation.New(t, nation.NotStarted, nation.Section("revocation", fmt.Sprintf("lists: [%q]\nevery: 300ms\ntimeout: 1s", "http://"+r.Addr()+"/liste.crl")))
	list := n.PKI.CRL(igc.EtablissementTLS, igc.List{Number: 1})
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(list) }))
	t.Cleanup(source.Close)
	r.To(source.Listener.Addr().String())
	chu := unlimited(n)
	s := stageOf(n)
	s.begin = func(cell, int) act {
		await.Until(t, "the list is obtained", func() bool { c := n.Ready().Check("revocation"); return c.OK && !c.Degraded })
		return onRelay(r, func() *nation.Reply { return chu.Send(roc.IDB, "bleue") })
	}
	return s
}

// dns: once it is broken, each exchange is for an insurer whose name was never
// asked. Another, whose name was, is reached all the time: it keeps no connection.
func dns(t *testing.T) *stage {
	r := nation.NewResolver(t, "127.0.0.1")
	options := []nation.Option{nation.NotStarted, nation.Section("timeouts", brief),
		nation.Section("network", fmt.Sprintf("allow: [127.0.0.1/32]\nhosts: {annuaire.example: 127.0.0.1}\nresolver: %q", r.Addr()))}
	id := func(nth int) string { return fmt.Sprintf("chaos-%d", nth) }
	for nth := range 12 {
		options = append(options, nation.AnotherInsurer(inner.Insurer{
			ID: id(nth), Nom: fmt.Sprintf("Mutuelle %d", nth), Numero: roc.NumeroAMC(fmt.Sprintf("00990001%02d", nth)), Etat: "cercle",
			Host: fmt.Sprintf("roc.mutuelle-%d.example", nth),
		}))
	}
	n := nation.New(t, options...)
	chu := unlimited(n)
	s := stageOf(n)
	known, asked, broken := id(0), 0, false
	answer := chu.Send(roc.IDB, known).WantAnswer().Body.Bytes()
	n.AMC(known).Answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", soap.SOAP12.ContentType())
		w.Header().Set("Connection", "close")
		w.Write(answer)
	})
	faults := map[way]nation.DNSFault{down: nation.DNSDown, slow: nation.DNSLate, half: nation.DNSHalf, resets: nation.DNSFails, blackHole: nation.DNSSilent}
	s.begin = func(c cell, _ int) act {
		return act{
			set:  func(w way) { broken = true; r.Break(faults[w]) },
			mend: func() { broken = false; r.Break(nation.DNSAnswers) },
			send: func() *nation.Reply {
				for range 2 { // the first may find the connection that was kept before
					if reply := chu.Send(roc.IDB, known); !reply.Answered(answered) {
						t.Errorf("DNS, %s: an insurer whose name is known: %s", c.way.name, reply)
					}
				}
				if broken || asked == 0 { // the first cell may begin with it sound
					asked++
				}
				return chu.Send(roc.IDB, id(asked))
			},
		}
	}
	return s
}

// disk: that of the journal has no room for one more file, so that a segment that
// is closed gives none back either.
func disk(t *testing.T) *stage {
	n := nation.New(t, nation.NotStarted, nation.Section("journal", "origin: rpn.example/journal/chaos\nsegment_bytes: 64KiB\nseal: 1s"))
	dir := n.File("rpn/state/journal")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=16m,nr_inodes=200"); err != nil {
		t.Fatalf("a full disk is tried on a tmpfs, and none can be mounted here: %v; run the tests as root, or in a namespace where one may mount: unshare -rm", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	chu := unlimited(n)
	s := stageOf(n)
	s.begin = func(c cell, _ int) act {
		var ballast []string
		var a act
		a.send = func() *nation.Reply {
			if ballast == nil {
				return chu.Send(roc.IDB, "bleue")
			}
			// The segments that are there have their place already, for some hundreds.
			refused := make(chan *nation.Reply, 4)
			var all sync.WaitGroup
			for range cap(refused) {
				all.Go(func() {
					for range 1000 {
						if r := chu.Send(roc.IDB, "bleue"); r.Code != answered {
							refused <- r
							return
						}
					}
				})
			}
			all.Wait()
			select {
			case r := <-refused:
				return r
			default:
				return chu.Send(roc.IDB, "bleue")
			}
		}
		a.set = func(way) {
			for {
				file := fmt.Sprintf("%s/ballast-%d", dir, len(ballast))
				f, err := os.Create(file)
				if errors.Is(err, syscall.ENOSPC) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				f.Close()
				ballast = append(ballast, file)
			}
		}
		a.mend = func() {
			for _, file := range ballast {
				os.Remove(file)
			}
			ballast = nil
			if c.way == flapping { // the journal looks again each second
				await.Until(t, "there is room again", func() bool { return a.send().Code == answered })
			}
		}
		return a
	}
	return s
}

// sink: what reads the standard output of the RPN.
func sink(t *testing.T) *stage {
	n := nation.New(t, nation.NotStarted, nation.Section("log", "level: debug"))
	chu := unlimited(n)
	s := stageOf(n)
	s.begin = func(c cell, _ int) act {
		out := n.RPN().Output
		resume := func() {}
		a := act{send: func() *nation.Reply { return chu.Send(roc.IDB, "bleue") }}
		a.set = func(w way) {
			switch w {
			case slow:
				out.SlowBy(200 * time.Millisecond)
			case blackHole:
				resume = out.Stop()
				for range 120 { // more than a pipe holds
					a.send()
				}
			case down:
				if c.way == flapping { // it stops, and reads again
					resume = out.Stop()
				} else {
					out.Leave()
				}
			}
		}
		a.mend = func() { out.SlowBy(0); resume() }
		if c.way == down { // only a new process has a new standard output
			a.cure = func() {
				s.others.stop()
				n.RestartAfter(out.Return)
			}
		}
		return a
	}
	return s
}
