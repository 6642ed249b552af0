package limits

import (
	"context"
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/crossbar"
	"github.com/piano-roc/rpn/register"
)

// Access controls the sending to the AMCs: a fair turn for one of the seats of
// an AMC, then a token of its rate.
type Access struct {
	rates *AMCs
	seats *crossbar.Crossbar
}

// NewAccess makes an Access.
func NewAccess(rates *AMCs, seats *crossbar.Crossbar) *Access { return &Access{rates, seats} }

// outside is the pool of the AMCs that are not in the register.
const outside = "outside the register"

// Enter waits for the turn of es. The AMCs that are not in the register share
// the seats of one: nobody outside chooses how many pools there are.
func (a *Access) Enter(ctx context.Context, amc *register.AMC, host string, es *register.Etablissement, at time.Time) (leave func(at time.Time), err error) {
	key, name, seats := outside, host, 0
	if amc != nil {
		key, name, seats = string(amc.Numeros[0]), amc.Nom, amc.Limite.EnCours
	}
	seat, err := a.seats.Enter(ctx, key, string(es.Structure), seats, es.Limite.ParOrganisme)
	if err != nil {
		return nil, noSeat(err, name)
	}
	if err := a.rates.Allow(amc, at); err != nil {
		seat.Leave(at)
		return nil, err
	}
	return seat.Leave, nil
}

func noSeat(err error, name string) error {
	var r *crossbar.Refusal
	if !errors.As(err, &r) { // the deadline passed in the queue
		return roc.Refuse(roc.Overloaded, "no seat within the deadline: %w", err).Because(roc.AMCBusy).After(time.Second).
			Saying("Aucune place vers l'organisme %s ne s'est libérée dans le délai : rien n'a été transmis.", name)
	}
	if r.Own {
		return roc.Refuse(roc.TooMany, "%w", r).Because(roc.ShareOfAMC).After(r.Wait).
			Saying("Part de l'établissement auprès de l'organisme %s : %d échanges en cours sur %d, %d en attente. Prochain envoi possible dans %s s.",
				name, r.Held, r.Part, r.Waiting, inSeconds(r.Wait))
	}
	return roc.Refuse(roc.Overloaded, "%w", r).Because(roc.AMCBusy).After(r.Wait).
		Saying("L'organisme %s répond lentement : ses %d places sont prises et aucune ne se libérerait dans le délai. Prochain envoi possible dans %s s.",
			name, r.Seats, inSeconds(r.Wait))
}

// Pool is how many exchanges are in flight to an AMC, and wait for a seat there;
// Number is its first number, "" of those that are not in the register.
type Pool struct {
	Number                  roc.NumeroAMC
	Seats, Running, Waiting int
}

// Pools returns the state of each pool that was entered since the start.
func (a *Access) Pools() []Pool {
	var list []Pool
	for _, p := range a.seats.Pools() {
		number := roc.NumeroAMC(p.Insurer)
		if p.Insurer == outside {
			number = ""
		}
		list = append(list, Pool{number, p.Seats, p.Running, p.Waiting})
	}
	return list
}
