package nation

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A Call is what the RPN told a webhook of the nation.
type Call struct {
	Type     string   `json:"type"` // "panne", "retour"
	Nom      string   `json:"nom"`  // of the insurer
	Services []string `json:"services"`
	Depuis   string   `json:"depuis"`
	Jusque   string   `json:"jusque"`
	Echanges []struct {
		Echange string `json:"echange"`
	} `json:"echanges"` // to play again
}

// startWebhook has the first establishment told of outages, by a webhook that is
// at hand.
func (n *Nation) startWebhook() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p := n.PKI.Server(igc.AMCTLS, "127.0.0.1", igc.ECDSA())
	n.serve(ln, &http.Server{
		Handler: http.HandlerFunc(n.hear), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{p.TLS()}},
	})
	first := &n.opts.Etablissements[0]
	first.Register = append(slices.Clone(first.Register), fmt.Sprintf("alertes: [{webhook: \"https://%s/rpn\"}]", ln.Addr()))
	n.opts.Sections = maps.Clone(n.opts.Sections)
	if n.opts.Sections == nil {
		n.opts.Sections = map[string]string{}
	}
	n.opts.Sections["alerts"] = "every: 100ms\ndown: 1ms\nup: 1ms\nnetworks: [127.0.0.0/8]\nca: confiance/amc-tls.pem"
	n.opts.Sections["indicators"] = "every: 200ms"
	return nil
}

// serve serves until the nation ends, or the server is closed.
func (n *Nation) serve(ln net.Listener, s *http.Server) {
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(ln, "", "") }()
	n.onClose(func() error {
		s.Close()
		<-done
		return nil
	})
}

func (n *Nation) hear(w http.ResponseWriter, r *http.Request) {
	var c Call
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&c); err != nil || r.Header.Get("webhook-signature") == "" {
		http.Error(w, "not a signed call", http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, c)
}

// told are the calls of a kind.
func (n *Nation) told(kind string) (list []Call) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.calls {
		if c.Type == kind {
			list = append(list, c)
		}
	}
	return list
}

// advance moves the clock of everybody on.
func (n *Nation) advance(d time.Duration) { n.ahead.Add(int64(d)) }

// rises starts the server of an insurer again that fell.
func (n *Nation) rises(i Insurer) error {
	fell := n.servers[i.Host]
	if fell == nil {
		return fmt.Errorf("the nation has no %q", i.ID)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", n.ports[i.Host]))
	if err != nil {
		return err
	}
	s := &http.Server{Handler: fell.Handler, ErrorLog: fell.ErrorLog, ReadHeaderTimeout: fell.ReadHeaderTimeout, TLSConfig: fell.TLSConfig.Clone()}
	n.servers[i.Host] = s
	n.serve(ln, s)
	return nil
}

// Outage goes on from an insurer that fell (Day): an establishment that has a
// webhook is told, the insurer answers again, and in the next window of the
// definition of an outage, to which the clock of everybody is moved, it is told of
// the end. It returns both calls.
func (n *Nation) Outage(ctx context.Context, id string) (calls []Call, err error) {
	i, known := n.insurer(id)
	e, there := n.Etablissement(n.opts.Etablissements[0].ID)
	if !known || !there {
		return nil, fmt.Errorf("the nation has no %q", id)
	}
	send := func() Outcome { return e.Send(ctx, roc.IDB, roc.V1, soap.SOAP12, id) }
	until := func(what string, do func() (bool, error)) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		for {
			if done, err := do(); done || err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
			case <-time.After(250 * time.Millisecond):
			}
		}
	}
	err = until("the outage of "+i.Nom+" is told", func() (bool, error) {
		if len(n.told("panne")) > 0 {
			return true, nil
		}
		send()
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	if err := n.rises(i); err != nil {
		return nil, err
	}
	if err := until(i.Nom+" answers again", func() (bool, error) { return send().Origin() == roc.FromAMC, nil }); err != nil {
		return nil, err
	}
	n.advance(n.now().Truncate(store.Window).Add(store.Window + time.Second).Sub(n.now()))
	for range 6 {
		if o := send(); o.Origin() != roc.FromAMC {
			return nil, fmt.Errorf("%s is up, and %s got: %s", i.Nom, e.Nom, o)
		}
	}
	err = until("the end of the outage of "+i.Nom+" is told", func() (bool, error) {
		n.advance(10 * time.Second) // exchanges that are under way are waited for
		return len(n.told("retour")) > 0, nil
	})
	if err != nil {
		return nil, err
	}
	calls = append(n.told("panne"), n.told("retour")...)
	if len(calls) != 2 || len(calls[1].Echanges) == 0 {
		return calls, errors.New("the outage and its end are not told once each, with what is to be played again")
	}
	return calls, nil
}
