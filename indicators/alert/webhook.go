package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
)

// An Event is one call of a webhook.
type Event struct {
	ID, URL, Subscriber string
	Body                []byte
}

// ErrGone is why a webhook is not called again: it says itself that it is no
// more.
var ErrGone = errors.New("the webhook answers 410: it is no more")

const (
	postTime   = 15 * time.Second
	mostAnswer = 64 << 10
	firstPost  = 30 * time.Second // until the next attempt; doubled at each
	lastPost   = time.Hour
)

// secretPurpose binds what is derived to webhooks.
const secretPurpose = "webhook"

// Secret is what a subscriber verifies the calls of a webhook of his with, as
// Standard Webhooks writes it.
func Secret(keys *secret.Ring, subscriber, url string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(keys.Derived(secretPurpose, []byte(subscriber), []byte(url))[0])
}

// NewWebhook returns what calls a webhook, by HTTPS alone, with a client whose
// connections pass the egress filter. A call is signed by Standard Webhooks
// (webhook-id, webhook-timestamp, webhook-signature: HMAC-SHA256), once for each
// key of keys: who holds the secret of an older one goes on. No error names the
// URL: it may hold a secret.
func NewWebhook(client *http.Client, keys *secret.Ring, now func() time.Time) func(context.Context, Event) error {
	return func(ctx context.Context, e Event) error {
		ctx, cancel := context.WithTimeout(ctx, postTime)
		defer cancel()
		u, err := url.Parse(e.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return errors.New("the webhook is no https address")
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(e.Body))
		if err != nil {
			return errors.New("the webhook cannot be called")
		}
		at := strconv.FormatInt(now().Unix(), 10)
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.Header.Set("User-Agent", "rpn-roc")
		r.Header.Set("webhook-id", e.ID)
		r.Header.Set("webhook-timestamp", at)
		var signatures []string
		for _, k := range keys.Derived(secretPurpose, []byte(e.Subscriber), []byte(e.URL)) {
			signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(sign(k, e.ID, at, e.Body)))
		}
		r.Header.Set("webhook-signature", strings.Join(signatures, " "))
		answer, err := client.Do(r)
		if err != nil {
			var of *url.Error
			if errors.As(err, &of) {
				err = of.Err // without the URL
			}
			return fmt.Errorf("the webhook cannot be called: %w", err)
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, io.LimitReader(answer.Body, mostAnswer))
		switch {
		case answer.StatusCode == http.StatusGone:
			return ErrGone
		case answer.StatusCode < 200 || answer.StatusCode > 299:
			return fmt.Errorf("the webhook answers %d", answer.StatusCode)
		}
		return nil
	}
}

// sign is the signature of a call.
func sign(key []byte, id, at string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.", id, at)
	h.Write(body)
	return h.Sum(nil)
}

// post calls every webhook that is due.
func (w *Watcher) post(ctx context.Context, s *store.Store) error {
	for ctx.Err() == nil {
		l, err := s.ClaimLetter(ctx, []string{Outage + webhook, Back + webhook}, w.o.Now())
		if err != nil || l == nil {
			return err
		}
		w.postOne(ctx, s, l)
		// What became of it is written down even when the RPN stops meanwhile.
		if err := s.SettleLetter(context.WithoutCancel(ctx), l); err != nil {
			return err
		}
	}
	return nil
}

// postOne calls one webhook. A call that may have come, and was not answered, is
// made again with the same webhook-id: who is called drops what he has.
func (w *Watcher) postOne(ctx context.Context, s *store.Store, l *store.Letter) {
	e, err := w.event(ctx, s, l)
	if err == nil && e != nil {
		err = w.o.Post(ctx, *e)
	}
	now := w.o.Now()
	id := slog.String("letter", l.ID)
	switch {
	case err == nil && e == nil:
		l.State, l.Next, l.Error = store.Undelivered, now, "nobody to call"
	case err == nil:
		l.State, l.Next, l.Error = store.Sent, now, ""
		w.o.Log.Info("a webhook was called", slog.String("event", "webhook_called"), id)
	case errors.Is(err, ErrGone):
		l.State, l.Next, l.Error = store.Undelivered, now, err.Error()
		w.o.Log.Error("a webhook is no more", slog.String("event", "webhook_gone"), id)
	case errors.Is(err, mail.ErrLater):
		l.State, l.Next, l.Error, l.Attempts = store.Due, now.Add(lookPosts), err.Error(), l.Attempts-1
	case ctx.Err() != nil: // the next process does it
		l.State, l.Next, l.Error, l.Attempts = store.Due, now, err.Error(), l.Attempts-1
	default:
		if l.Attempts == 1 {
			w.o.Log.Error("a webhook could not be called; it is tried again", slog.String("event", "webhook_retried"), id, slog.String("error", err.Error()))
		}
		l.State, l.Error = store.Due, err.Error()
		l.Next = now.Add(min(lastPost, firstPost<<min(l.Attempts-1, 10)))
	}
}

// event writes the call of a letter; nil: nobody is to be called any more.
func (w *Watcher) event(ctx context.Context, s *store.Store, l *store.Letter) (*Event, error) {
	n, there, err := w.notice(ctx, s, l)
	if err != nil || !there {
		return nil, err
	}
	_, to, _ := strings.Cut(l.For, " ")
	if _, hooks := n.sub.channels(n.amc); !slices.Contains(hooks, to) {
		return nil, nil
	}
	body, err := json.Marshal(n.json(strings.TrimSuffix(l.Kind, webhook)))
	if err != nil {
		return nil, err
	}
	return &Event{ID: strings.ReplaceAll(l.ID, "/", "."), URL: to, Subscriber: n.sub.ID, Body: body}, nil
}

// A jsonEvent is the body of a call. docs/operating/indicators.md lists its
// fields.
type jsonEvent struct {
	Type       string       `json:"type"`
	AMC        string       `json:"amc"`
	Nom        string       `json:"nom,omitzero"`
	Services   []string     `json:"services"`
	Depuis     string       `json:"depuis"`
	Jusque     string       `json:"jusque,omitzero"`
	Echanges   []jsonReplay `json:"echanges,omitzero"`
	Incomplete bool         `json:"incomplet,omitzero"`
}

type jsonReplay struct {
	Instant   string `json:"instant"`
	Echange   string `json:"echange"`
	MessageID string `json:"message_id,omitzero"`
	Service   string `json:"service"`
	Version   string `json:"version"`
	Issue     string `json:"issue"`
	Verifier  string `json:"verifier"`
}

func (n *notice) json(kind string) jsonEvent {
	e := jsonEvent{Type: kind, AMC: string(n.outage.AMC), Nom: n.amc.Nom, Services: roc.Texts(n.outage.Services), Depuis: n.outage.Began.UTC().Format(time.RFC3339)}
	if kind != Back {
		return e
	}
	e.Jusque, e.Incomplete = n.outage.Over.UTC().Format(time.RFC3339), n.missed > 0 || n.waited > 0
	for _, r := range n.rows {
		e.Echanges = append(e.Echanges, jsonReplay{r[0], r[1], r[2], r[3], r[4], r[5], r[6]})
	}
	return e
}

// short names a webhook in the id of a letter, which may be logged.
func short(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:6])
}
