package limits

import (
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/shares"
	"github.com/piano-roc/rpn/register"
)

// Shares divide the resources of one instance among the establishments;
// refusals are worded for them.
type Shares struct{ ledger *shares.Ledger }

// NewShares makes Shares over a ledger.
func NewShares(l *shares.Ledger) *Shares { return &Shares{l} }

// EnterConnection counts one more connection; es is nil for those that may not
// call.
func (s *Shares) EnterConnection(es *register.Etablissement) error {
	owner, own := connectionsOf(es)
	r := s.ledger.Take(owner, shares.Connections, 1, own)
	switch {
	case r == nil:
		return nil
	case r.Own:
		return roc.Refuse(roc.TooMany, "%w", r).Because(roc.TooManyConnections).After(time.Second).
			Saying("Part de l'établissement : %d connexions ouvertes sur %d. Gardez-en moins, ouvertes plus longtemps.", r.Held, r.Share)
	}
	return roc.Refuse(roc.Overloaded, "%w", r).Because(roc.ListenerFull).After(time.Second)
}

// LeaveConnection counts one less.
func (s *Shares) LeaveConnection(es *register.Etablissement) {
	owner, _ := connectionsOf(es)
	s.ledger.Give(owner, shares.Connections, 1)
}

func connectionsOf(es *register.Etablissement) (owner string, own int64) {
	if es == nil {
		return "", 0
	}
	return string(es.Structure), int64(es.Limite.Connexions)
}

// EnterExchange counts one more exchange in flight.
func (s *Shares) EnterExchange(es *register.Etablissement) error {
	if r := s.ledger.Take(string(es.Structure), shares.Exchanges, 1, int64(es.Limite.EnCours)); r != nil {
		return refusal(r)
	}
	return nil
}

// LeaveExchange counts one less.
func (s *Shares) LeaveExchange(es *register.Etablissement) {
	s.ledger.Give(string(es.Structure), shares.Exchanges, 1)
}

// TakeBytes asks for room in memory.
func (s *Shares) TakeBytes(es *register.Etablissement, n int) error {
	if r := s.ledger.Take(string(es.Structure), shares.Bytes, int64(n), int64(es.Limite.Octets)); r != nil {
		return refusal(r)
	}
	return nil
}

// FreeBytes gives room back.
func (s *Shares) FreeBytes(es *register.Etablissement, n int) {
	s.ledger.Give(string(es.Structure), shares.Bytes, int64(n))
}

var kindsInFrench = map[shares.Kind]string{
	shares.Exchanges: "échanges en cours",
	shares.Bytes:     "octets en mémoire",
}

func refusal(r *shares.Refusal) error {
	if r.Own {
		return roc.Refuse(roc.TooMany, "%w", r).Because(roc.ShareOfRPN).After(time.Second).
			Saying("Part de l'établissement : %d %s sur %d. Attendez la fin des échanges en cours avant d'en ouvrir d'autres.",
				r.Held, kindsInFrench[r.Kind], r.Share)
	}
	return roc.Refuse(roc.Overloaded, "%w", r).Because(roc.ExchangesFull).After(time.Second)
}
