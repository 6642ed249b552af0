package http1

import (
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Late is an answer that began after nobody waited for it any more: the far
// end may have done what it was asked.
type Late struct {
	Exchange roc.ExchangeID
	Service  roc.Service
	AMC      roc.NumeroAMC
	Host     string
	After    time.Duration // since the request left
}

// The bounds of what is waited for in vain: connections at once, in all and of
// one host.
const (
	mostLate     = 256
	mostLateHost = 8
)

// awaitLate keeps a connection whose answer did not come in time, without a
// place in its pool, until the answer begins or LateWait is over; then it is
// closed. Nor is it waited for beyond these bounds, or when the caller was in a
// hurry: then it is not counted.
func (s *Upstream) awaitLate(c *upstreamConn, p *pool, rec *roc.Record) {
	l := Late{Exchange: rec.ID, Service: rec.Service, AMC: rec.To.AMC, Host: p.host}
	sent := rec.RequestOut
	p.lost()
	if s.o.OnLate == nil || !s.late(p, 1) {
		s.drop(c)
		return
	}
	go func() {
		defer s.latecomers.Done()
		defer s.late(p, -1)
		defer s.drop(c)
		var b [1]byte
		if n, _ := c.readUntil(b[:], time.Now().Add(s.o.LateWait)); n > 0 {
			l.After = s.o.Now().Sub(sent)
			s.o.OnLate(l)
		}
	}()
}

// late counts the connections that are waited for; false: one more is too many.
func (s *Upstream) late(p *pool, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && (s.closed || s.lates >= mostLate || p.lates >= mostLateHost) {
		return false
	}
	if n > 0 {
		s.latecomers.Add(1)
	}
	s.lates, p.lates = s.lates+n, p.lates+n
	return true
}
