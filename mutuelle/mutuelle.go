package mutuelle

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// What Options leave out.
const (
	DefaultNom  = "Mutuelle ANS"
	DefaultSlow = 30 * time.Second
	DefaultBig  = 4 << 20 // bytes
)

// Options are what a Mutuelle needs. Optional fields say so.
type Options struct {
	// AMC holds the numbers this insurer answers for; a request for another one
	// gets code 04. Optional: none means every number.
	AMC []roc.NumeroAMC
	// Nom is the insurer's name in its answers. Optional: DefaultNom.
	Nom string
	// Key signs the answers.
	Key xmlsig.Key
	// Verifier checks the establishment's signature. The caller on TLS is the
	// RPN, so the signer is compared with nobody.
	Verifier *xmlsig.Verifier
	// Limits bound the messages that are read. Optional: soap.DefaultLimits.
	Limits soap.Limits
	// Now is the clock of signatures and dates. Optional: time.Now.
	Now func() time.Time
	// Slow is how long the case Lente waits before it answers. Optional: DefaultSlow.
	Slow time.Duration
	// Big is how many bytes the case Volumineuse adds to its answer. Optional: DefaultBig.
	Big int
	// OnRequest is called with each message as received, before it is checked.
	// Optional.
	OnRequest func(raw roc.Content, header http.Header)
	// Log gets one line per message that is not answered with a functional
	// answer; nothing of the message is in it. Optional: none.
	Log *slog.Logger
}

// A Mutuelle is the fictitious insurer, an http.Handler: it answers POST at any
// path. Safe for concurrent use.
type Mutuelle struct {
	o Options

	mu       sync.Mutex // guards what follows
	received int
	last     [sha256.Size]byte
}

// New makes a Mutuelle. Without a key or a verifier it returns an error:
// answers are always signed, and requests always checked.
func New(o Options) (*Mutuelle, error) {
	switch {
	case o.Key.Certificate == nil || o.Key.Signer == nil:
		return nil, errors.New("mutuelle: Options.Key is missing: answers are signed")
	case o.Verifier == nil:
		return nil, errors.New("mutuelle: Options.Verifier is missing: requests are checked")
	}
	if o.Nom == "" {
		o.Nom = DefaultNom
	}
	if o.Limits == (soap.Limits{}) {
		o.Limits = soap.DefaultLimits
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Slow == 0 {
		o.Slow = DefaultSlow
	}
	if o.Big == 0 {
		o.Big = DefaultBig
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Mutuelle{o: o}, nil
}

// Received returns how many messages came, good or bad.
func (m *Mutuelle) Received() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.received
}

// LastRequest returns the SHA-256 of the last message, as received.
func (m *Mutuelle) LastRequest() [sha256.Size]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// ServeHTTP answers one message.
func (m *Mutuelle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "Mutuelle ANS (fictive) : envoyez un message SOAP par POST.", http.StatusMethodNotAllowed)
		return
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, int64(m.o.Limits.Bytes)+1))
	if err != nil {
		m.o.Log.Warn("request cut short", "error", err)
		panic(http.ErrAbortHandler)
	}
	content := roc.NewContent(raw)
	m.note(content)
	if m.o.OnRequest != nil {
		m.o.OnRequest(content, r.Header)
	}
	m.answer(r.Context(), content, r.Header).write(w)
}

func (m *Mutuelle) note(c roc.Content) {
	sum := sha256.Sum256(c.Bytes())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received++
	m.last = sum
}

// answer reads, checks and answers one message. Whatever goes wrong is one of
// this insurer's own faults.
func (m *Mutuelle) answer(ctx context.Context, c roc.Content, header http.Header) reply {
	contentType := header.Get("Content-Type")
	env, err := soap.Read(c, m.o.Limits)
	if err != nil {
		return m.fault(soap.VersionFor(contentType, c.Bytes()), unreadable, err)
	}
	defer env.Release()
	op, err := message.CheckHeaders(env, header)
	if err != nil || op.Service == roc.Annuaire {
		return m.fault(env.Version(), unknownOperation, err)
	}
	checked, err := m.o.Verifier.Check(env, xmlsig.Policy{TimestampOptional: true}, xmlsig.Expect{}, m.o.Now())
	if err != nil {
		return m.fault(env.Version(), badSignature, err)
	}
	q, err := readQuestion(op, checked)
	if err != nil {
		return m.fault(env.Version(), badField, err)
	}
	return m.play(ctx, env, q)
}

// play answers a question by the case that its numero_adherent names.
func (m *Mutuelle) play(ctx context.Context, env *soap.Envelope, q question) reply {
	c := caseOf(q.demande.Beneficiaire.NumeroAdherent)
	switch c.panne {
	case technicalFault:
		return m.fault(env.Version(), outOfOrder, nil)
	case htmlError:
		return reply{status: http.StatusServiceUnavailable, contentType: "text/html; charset=utf-8", body: []byte(htmlPage)}
	case closed:
		return reply{cut: cutBeforeAnswer}
	case slow:
		if !wait(ctx, m.o.Slow) {
			return reply{cut: cutBeforeAnswer} // the caller left
		}
	}
	unsigned := m.functional(q, c, addressing(env)).Envelope(env.Version())
	if c.panne == unsignedAnswer {
		return ok(env.Version(), unsigned)
	}
	signed, err := xmlsig.Sign(unsigned, m.o.Key, xmlsig.SignOptions{At: m.o.Now()})
	if err != nil {
		return m.fault(env.Version(), outOfOrder, err)
	}
	return spoil(ok(env.Version(), signed), c.panne, m.o.Big)
}

// addressing makes the WS-Addressing headers of the answer; nil when the
// request had none.
func addressing(env *soap.Envelope) *message.Addressing {
	a, found := message.AddressingOf(env)
	if !found {
		return nil
	}
	return &message.Addressing{RelatesTo: a.MessageID}
}

// wait reports whether the whole delay passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
