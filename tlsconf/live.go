package tlsconf

import (
	"crypto/x509"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// live is the open connections of one side, to be verified again when what let
// them in has changed.
type live struct {
	mu      sync.Mutex // guards members
	members map[*member]bool
}

// A member is one open connection whose peer was accepted.
type member struct {
	raw       net.Conn // under TLS: closing it waits for nobody
	presented []*x509.Certificate
	verify    func() (*trust.Accepted, error) // as a new handshake would be
	until     atomic.Int64                    // when the chain ends, in nanoseconds since 1970
	refused   atomic.Pointer[trust.Failure]
}

func newMember(raw net.Conn, presented []*x509.Certificate, accepted *trust.Accepted, verify func() (*trust.Accepted, error)) *member {
	m := &member{raw: raw, presented: presented, verify: verify}
	m.goodUntil(accepted)
	return m
}

func (m *member) goodUntil(accepted *trust.Accepted) {
	_, until := accepted.Valid()
	m.until.Store(until.UnixNano())
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

// ended verifies again the connections whose chain has ended by that time:
// another chain of the same certificate may still hold.
func (l *live) ended(at time.Time) []Cut {
	return l.close(l.those(func(m *member) bool { return m.until.Load() < at.UnixNano() }), nil)
}

// sweep verifies every connection again, and closes those that would no longer
// be let in; also, which may be nil, is a further question about the leaf.
func (l *live) sweep(also func(leaf *x509.Certificate) error) []Cut {
	return l.close(l.those(func(*member) bool { return true }), also)
}

func (l *live) those(which func(*member) bool) []*member {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*member
	for m := range l.members {
		if which(m) {
			all = append(all, m)
		}
	}
	return all
}

func (l *live) close(all []*member, also func(leaf *x509.Certificate) error) []Cut {
	// Connections that presented the same certificates share the answer.
	verdicts := map[string]verdict{}
	var cuts []Cut
	place := map[string]int{}
	for _, m := range all {
		key := m.key()
		v, known := verdicts[key]
		if !known {
			v = m.verdict(also)
			verdicts[key] = v
		}
		if v.refused == nil {
			m.goodUntil(v.accepted)
			continue
		}
		m.cut(v.refused)
		if i, ok := place[key]; ok {
			cuts[i].Connections++
			continue
		}
		place[key] = len(cuts)
		cuts = append(cuts, Cut{v.refused, 1})
	}
	return cuts
}

// key tells what was presented from anything else.
func (m *member) key() string {
	var key []byte
	for _, c := range m.presented {
		id := roc.IDOfCertificate(c)
		key = append(key, id[:]...)
	}
	return string(key)
}

// A verdict is what a connection verified again comes to: one of the two.
type verdict struct {
	accepted *trust.Accepted
	refused  *trust.Failure
}

// verdict fails closed: an error that is no Failure refuses too.
func (m *member) verdict(also func(leaf *x509.Certificate) error) verdict {
	accepted, err := m.verify()
	if err == nil && also != nil {
		if err = also(m.presented[0]); err != nil && trust.AsFailure(err) == nil {
			err = (&trust.Failure{Reason: trust.StruckOff, Detail: trust.Safe(err.Error()), Err: err}).Presented(m.presented[0])
		}
	}
	if err == nil {
		return verdict{accepted: accepted}
	}
	if f := trust.AsFailure(err); f != nil {
		return verdict{refused: f}
	}
	return verdict{refused: (&trust.Failure{Reason: trust.Other, Detail: trust.Safe(err.Error()), Err: err}).Presented(m.presented[0])}
}

// A watched connection tells when it is closed. It sits below crypto/tls.
type watched struct {
	net.Conn
	live   *live
	member atomic.Pointer[member]
}

// NetConn is the connection beneath, as pending's.
func (w *watched) NetConn() net.Conn { return w.Conn }

func (w *watched) Close() error {
	w.live.leave(w.member.Load())
	return w.Conn.Close()
}
