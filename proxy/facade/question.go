package facade

import (
	"crypto/sha256"
	"fmt"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A question is a search, as far as its answer depends on it.
type question struct {
	amc  roc.NumeroAMC
	text string // "": its answer is nobody else's
}

// questionOf reads a search. The answer to one that carries WS-Addressing
// headers, which it repeats, or that cannot be read, must not serve another.
func questionOf(env *soap.Envelope) question {
	s, err := message.ReadSearch(env)
	if err != nil {
		return question{}
	}
	q := question{amc: s.AMC}
	if _, addressed := message.AddressingOf(env); addressed {
		return q
	}
	q.text = fmt.Sprintf("%d %q %q", env.Version(), []string{string(s.AMC), string(s.Convention), string(s.CSR), string(s.Domaine), s.Service, s.Norme, s.Version}, s.Types)
	return q
}

// id is what the question is remembered by; zero: it is not.
func (q question) id() [32]byte {
	if q.text == "" {
		return [32]byte{}
	}
	return sha256.Sum256([]byte("search\x00" + q.text))
}
