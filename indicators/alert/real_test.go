package alert

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/indicators/mail/mailtest"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// An outage and its end reach a real mail server and a real HTTPS receiver, with
// the exchanges to play again.
func TestTheNoticeReachesRealServers(t *testing.T) {
	t.Parallel()
	postman, hook := mailtest.Start(t, true), newReceiver(t, http.StatusOK)
	w := newRehearsal(t, func(x time.Time) bool { return !x.Before(at(5, 0)) && x.Before(at(20, 0)) })
	s, err := w.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := at(0, 0)
	b := w.books[0]
	watcher := New(Options{
		Open: w.open, Reached: func(time.Time, time.Duration) bool { return true }, AMC: func(n roc.NumeroAMC) AMC { return AMC{"Mutuelle Bleue", []roc.NumeroAMC{n}} },
		Subscribers: func() []Subscriber {
			return []Subscriber{{ID: string(chu), Structures: []roc.StructureID{chu}, Channels: []Channel{{Mail: "dsi@chu.example"}, {Webhook: hook.URL + "/rpn"}}}}
		},
		Find: func() (Search, error) { return b, nil }, Origin: b.origin, Every: look, Down: time.Minute, Up: 5 * time.Minute, Mails: true, Host: "rpn.example",
		Post: hook.caller(loopback, true, ring(t, newKey)), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	smtp := mail.NewSMTP(mail.SMTPOptions{Host: "localhost", Port: postman.Port, From: "rpn@rpn.example", Roots: postman.Roots(), Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(address)
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}})
	deliver := func() mailtest.Message {
		t.Helper()
		if err := watcher.post(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		mailer := mail.New(mail.Options{Open: w.open, Reached: func(time.Time) bool { return false }, Recipients: func() []mail.Recipient { return nil }, Host: "rpn.example",
			Compose: watcher.Compose(), Send: smtp, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
		running.Go(func() { mailer.Run(ctx) })
		return postman.Next(t)
	}
	until := func(end time.Time) {
		t.Helper()
		for ; now.Before(end); now = now.Add(10 * time.Second) {
			w.call(b, chu, now)
			if err := s.Project(t.Context(), b, nil); err != nil {
				t.Fatal(err)
			}
			if err := watcher.round(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(at(10, 0))
	if m := deliver(); !m.TLS || strings.Join(m.To, " ") != "dsi@chu.example" || !strings.Contains(m.Text, "panne.0099000003.") {
		t.Errorf("the mail of the outage: %+v", m)
	}
	until(at(40, 0))
	if m := deliver(); !strings.Contains(m.Text, "retour.0099000003.") || !strings.Contains(m.Text, "a_rejouer_0099000003_2026-11-23_1005.csv") {
		t.Errorf("the mail of its end: %+v", m)
	}
	var body jsonEvent
	if err := json.Unmarshal([]byte(hook.body), &body); err != nil || len(hook.calls) != 2 || body.Type != Back || len(body.Echanges) != 90 {
		t.Errorf("the webhook was called %d times, at last with %d exchanges of %q, %v", len(hook.calls), len(body.Echanges), body.Type, err)
	}
	for _, l := range must(t, s) {
		if l.State != store.Sent {
			t.Errorf("%s is %s: %s", l.ID, l.State, l.Error)
		}
	}
	if more := postman.Taken(t); len(more) != 0 {
		t.Errorf("sent as well: %+v", more)
	}
}

func must(t *testing.T, s *store.Store) []store.Letter {
	t.Helper()
	list, err := s.Letters(t.Context())
	if err != nil || len(list) != 4 {
		t.Errorf("%d letters, %v", len(list), err)
	}
	return list
}
