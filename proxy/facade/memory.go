package facade

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A question is a search, as far as its answer depends on it.
type question struct {
	soap  soap.Version
	amc   roc.NumeroAMC
	other string
}

// questionOf reads a search; false when its answer must not serve another: it
// carries WS-Addressing headers, which the answer repeats, or cannot be read.
func questionOf(env *soap.Envelope) (question, bool) {
	s, err := message.ReadSearch(env)
	if err != nil {
		return question{}, false
	}
	q := question{env.Version(), s.AMC, fmt.Sprintf("%q", []string{string(s.Convention), string(s.CSR), string(s.Domaine), s.Service, s.Norme, s.Version, strings.Join(s.Types, " ")})}
	_, addressed := message.AddressingOf(env)
	return q, !addressed
}

// A storedAnswer is an answer of the annuaire, when it came, and until when its
// signature is young.
type storedAnswer struct {
	Answer
	at, until time.Time
}

// remembered holds the last answers, a bounded number: the first in goes first.
type remembered struct {
	mu    sync.Mutex // guards all below
	by    map[question]storedAnswer
	order []question
}

// maxRemembered answers of a few kB.
const maxRemembered = 4096

// get returns an answer that is young, or not older than maxAge when that is
// given.
func (r *remembered) get(q question, now time.Time, maxAge time.Duration) (storedAnswer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.by[q]
	return a, ok && (now.Before(a.until) || now.Sub(a.at) < maxAge)
}

func (r *remembered) put(q question, a storedAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[question]storedAnswer{}
	}
	if _, ok := r.by[q]; !ok {
		if len(r.order) >= maxRemembered {
			delete(r.by, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, q)
	}
	r.by[q] = a
}
