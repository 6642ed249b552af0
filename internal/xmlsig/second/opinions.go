package second

import (
	"bytes"
	"crypto/x509"
	"math/rand/v2"
	"sync"

	"github.com/piano-roc/rpn/internal/roc"
)

// Options are what Opinions needs.
type Options struct {
	// OneIn is the share that is verified: one accepted message in that many,
	// chosen at random, so that no sender knows which. 0: none.
	OneIn int
	// OnResult is called with each result, one at a time. Required. The error
	// says where it differs, and quotes nothing of the message.
	OnResult func(id roc.ExchangeID, result Result, err error)
}

// queueLength bounds the queue: at most that many messages of 2 MiB.
const queueLength = 8

// Opinions verifies a share of the accepted messages a second time, one after
// another, in the background. It is safe for concurrent use.
type Opinions struct {
	o     Options
	queue chan question
	done  sync.WaitGroup
}

type question struct {
	id      roc.ExchangeID
	content roc.Content
	signer  *x509.Certificate
}

// New starts the verification; Close ends it.
func New(o Options) *Opinions {
	p := &Opinions{o: o, queue: make(chan question, queueLength)}
	p.done.Go(func() {
		for q := range p.queue {
			result, err := Verify(q.content, q.signer)
			p.o.OnResult(q.id, result, err)
		}
	})
	return p
}

// Offer presents an accepted message. It never waits: a message that finds the
// queue full is skipped, which only makes the share smaller.
func (p *Opinions) Offer(id roc.ExchangeID, m roc.Content, signer *x509.Certificate) {
	if p.o.OneIn <= 0 || signer == nil || rand.IntN(p.o.OneIn) != 0 || len(p.queue) == cap(p.queue) {
		return
	}
	select {
	case p.queue <- question{id, roc.NewContent(bytes.Clone(m.Bytes())), signer}:
	default:
	}
}

// Close empties the queue, then ends. Nothing may be offered afterwards.
func (p *Opinions) Close() {
	close(p.queue)
	p.done.Wait()
}
