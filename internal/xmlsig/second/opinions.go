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
	// OneIn is the share that is verified: one accepted message in that many, by
	// chance, so that no sender knows which. 0: none.
	OneIn int
	// Told hears of each result, in turn. Required. The error says where it
	// differs, and quotes nothing of the message.
	Told func(id roc.ExchangeID, result Result, err error)
}

// queueLength bounds what waits: at most that many messages of 2 MiB.
const queueLength = 8

// Opinions verifies a share of the accepted messages a second time, one after
// another, off their path. It is safe for concurrent use.
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
			result, err := Look(q.content, q.signer)
			p.o.Told(q.id, result, err)
		}
	})
	return p
}

// Offer shows an accepted message. It never waits: a message that finds the
// queue full is not looked at, which only makes the share smaller.
func (p *Opinions) Offer(id roc.ExchangeID, m roc.Content, signer *x509.Certificate) {
	if p.o.OneIn <= 0 || signer == nil || rand.IntN(p.o.OneIn) != 0 || len(p.queue) == cap(p.queue) {
		return
	}
	select {
	case p.queue <- question{id, roc.NewContent(bytes.Clone(m.Bytes())), signer}:
	default:
	}
}

// Close looks at what waits, then ends. Nothing may be offered afterwards.
func (p *Opinions) Close() {
	close(p.queue)
	p.done.Wait()
}
