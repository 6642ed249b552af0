package limits

import (
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// AMCs is a token bucket for each insurer whose register gives it a limit, in
// this process. Safe for concurrent use.
type AMCs struct {
	buckets *buckets[roc.NumeroAMC]
}

// mostAMCs is far above the number of insurers in the country, some 700.
const mostAMCs = 20_000

// NewAMCs makes an empty AMCs.
func NewAMCs() *AMCs { return &AMCs{newBuckets[roc.NumeroAMC](mostAMCs, time.Minute)} }

// Allow takes one token of the insurer, whichever of its numbers the message
// names, or refuses as Overloaded with the time until there is one: no
// establishment is at fault, and none of them can see what the others send. An
// insurer without a rate, or that is not in the register (nil), has no limit;
// the default burst is one second's worth.
func (l *AMCs) Allow(amc *register.AMC, at time.Time) error {
	if amc == nil || !(amc.Limite.ParSeconde > 0) {
		return nil
	}
	limit := complete(amc.Limite, register.Limite{Rafale: 1})
	wait, full := l.buckets.take(amc.Numeros[0], fill{limit.ParSeconde, limit.Rafale}, 1, at)
	switch {
	case full:
		return (&roc.Refusal{Reason: roc.Overloaded, Cause: errors.New("more AMCs than buckets"), CauseCode: roc.AMCRate}).After(wait)
	case wait > 0:
		return roc.Refuse(roc.Overloaded, "the limit of AMC %s is reached; the next token comes in %s", amc.Nom, wait.Round(time.Millisecond)).Because(roc.AMCRate).
			After(wait).
			Saying("La limite de l'organisme %s est atteinte : %s messages par seconde, %d d'un coup, tous établissements confondus. Prochain envoi possible dans %s s.",
				amc.Nom, virgule(limit.ParSeconde), limit.Rafale, inSeconds(wait))
	}
	return nil
}
