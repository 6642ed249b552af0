package quota

import (
	"context"
	"time"
)

const (
	// tripsAtOnce bounds the pending questions: demands that come meanwhile go
	// with the next question, all accounts in one.
	tripsAtOnce = 4
	mostWants   = 512 // in one question
	idle        = 2 * memberLife
)

// run sends the questions until Close.
func (m *Meter) run() {
	turns := make(chan struct{}, tripsAtOnce)
	beat := time.NewTicker(probe)
	defer beat.Stop()
	for {
		wants := false
		select {
		case <-m.ending.Done():
			return
		case <-m.kick:
			wants = true
		case now := <-beat.C:
			m.sweep(now)
			if !m.due(now) {
				continue
			}
		}
		select {
		case turns <- struct{}{}:
		case <-m.ending.Done():
			return
		}
		list, more := m.take()
		if more {
			m.kickAgain()
		}
		if wants && len(list) == 0 {
			<-turns
			continue
		}
		m.ended.Go(func() {
			defer func() { <-turns }()
			m.trip(list)
		})
	}
}

func (m *Meter) kickAgain() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// due: no answer for a heartbeat, or the store is away.
func (m *Meter) due(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.away.Load().Outage > 0 || now.Sub(m.heard) > heartbeat-probe/2
}

func (m *Meter) take() (list []pending, more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(len(m.pending), mostWants)
	list = append(list, m.pending[:n]...)
	m.pending = append(m.pending[:0], m.pending[n:]...)
	return list, len(m.pending) > 0
}

// trip asks once, and applies the answer to the accounts.
func (m *Meter) trip(list []pending) {
	q := Question{Instance: m.o.Instance, Wants: make([]Want, len(list))}
	for i, p := range list {
		q.Wants[i] = p.want
	}
	m.mu.Lock()
	q.Mark, q.Sequence, q.Lost = m.mark, m.sequence, m.lost
	m.mu.Unlock()

	m.trips.Add(1)
	sent := time.Since(m.start)
	ctx, cancel := context.WithTimeout(m.ending, m.o.GivenUp)
	a, err := m.o.Store.Ask(ctx, q)
	cancel()
	if err == nil && len(a.Grants) != len(list) {
		err = errAnswer
	}
	if m.ending.Err() != nil {
		return
	}
	m.learn(a, err)
	now := time.Since(m.start)
	for i, p := range list {
		var g Grant
		if err == nil {
			g = a.Grants[i]
		}
		p.shard.mu.Lock()
		p.Answered(p.want.Units, g, err == nil, sent, now)
		p.shard.mu.Unlock()
	}
	m.mu.Lock()
	close(m.round)
	m.round = make(chan struct{})
	m.mu.Unlock()
}

// learn records what an answer says about the store, or that there was none. An
// instance works on its own while the store does not answer or is still
// settling.
func (m *Meter) learn(a Answer, err error) {
	m.mu.Lock()
	was, lost := m.away.Load().Outage > 0, m.lost
	alone := err != nil || a.Settling
	if m.lost = err != nil; err == nil {
		m.heard = time.Now()
		if a.Sequence > m.sequence { // answers may overtake one another
			m.mark, m.sequence = a.Mark, a.Sequence
			if n := int64(a.Instances); !a.Settling || n > m.known.Load() { // until then some instances are not counted
				m.known.Store(max(1, n))
			}
		}
	}
	if alone && !was {
		m.outages++
		m.away.Store(&Away{m.outages, time.Since(m.start)})
	} else if !alone && was {
		m.away.Store(&Away{})
	}
	m.mu.Unlock()
	if lost != (err != nil) && m.o.OnAway != nil {
		m.o.OnAway(err)
	}
}

// sweep forgets the accounts that nobody uses.
func (m *Meter) sweep(now time.Time) {
	if now.Sub(m.swept) < idle/4 {
		return
	}
	m.swept = now
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for name, e := range s.accounts {
			if e.Idle(now.Sub(m.start), idle) {
				delete(s.accounts, name)
				m.count.Add(-1)
			}
		}
		s.mu.Unlock()
	}
}
