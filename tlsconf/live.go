package tlsconf

import (
	"crypto/x509"
	"net"
	"sync"
	"sync/atomic"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// live is the open connections of one side, to be judged again when what let
// them in has changed.
type live struct {
	mu      sync.Mutex // guards members
	members map[*member]bool
}

// A member is one open connection whose peer was accepted.
type member struct {
	raw       net.Conn // under TLS: closing it waits for nobody
	presented []*x509.Certificate
	judge     func() error // as a new handshake would be
	refused   atomic.Pointer[trust.Failure]
}

func (l *live) enter(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.members == nil {
		l.members = map[*member]bool{}
	}
	l.members[m] = true
}

func (l *live) leave(m *member) {
	if m == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.members, m)
}

func (l *live) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.members)
}

// cut ends the connection. What it has still to say is not sent: revoked means
// out, in the middle of an answer too.
func (m *member) cut(f *trust.Failure) {
	m.refused.CompareAndSwap(nil, f)
	m.raw.Close()
}

// A Cut is the connections of one certificate that a sweep closed, and why.
type Cut struct {
	*trust.Failure
	Connections int
}

// sweep judges every connection again, and closes those that would no longer
// be let in; also, which may be nil, is a further question about the leaf.
func (l *live) sweep(also func(leaf *x509.Certificate) error) []Cut {
	l.mu.Lock()
	all := make([]*member, 0, len(l.members))
	for m := range l.members {
		all = append(all, m)
	}
	l.mu.Unlock()
	// Connections of one certificate share the answer: parsed once for each
	// connection, so told apart by their bytes.
	verdicts := map[string]*trust.Failure{}
	var cuts []Cut
	place := map[string]int{}
	for _, m := range all {
		leaf := m.presented[0]
		key := string(leaf.Raw)
		f, known := verdicts[key]
		if !known {
			f = m.verdict(also)
			verdicts[key] = f
		}
		if f == nil {
			continue
		}
		m.cut(f)
		if i, ok := place[key]; ok {
			cuts[i].Connections++
			continue
		}
		place[key] = len(cuts)
		cuts = append(cuts, Cut{f, 1})
	}
	return cuts
}

// verdict fails closed: an error that is no Failure refuses too.
func (m *member) verdict(also func(leaf *x509.Certificate) error) *trust.Failure {
	err := m.judge()
	if err == nil && also != nil {
		if err = also(m.presented[0]); err != nil && trust.AsFailure(err) == nil {
			err = (&trust.Failure{Reason: trust.StruckOff, Detail: trust.Safe(err.Error()), Err: err}).Presented(m.presented[0])
		}
	}
	if err == nil {
		return nil
	}
	if f := trust.AsFailure(err); f != nil {
		return f
	}
	return (&trust.Failure{Reason: trust.Other, Detail: trust.Safe(err.Error()), Err: err}).Presented(m.presented[0])
}

// A watched connection tells when it is closed. It sits below crypto/tls.
type watched struct {
	net.Conn
	live   *live
	member atomic.Pointer[member]
}

// NetConn is the connection beneath, as arriving's.
func (w *watched) NetConn() net.Conn { return w.Conn }

func (w *watched) Close() error {
	w.live.leave(w.member.Load())
	return w.Conn.Close()
}
