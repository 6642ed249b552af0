package app

import (
	"context"
	"log/slog"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/rsaverify"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/internal/xmlsig/second"
)

// secondOpinions has a share of the accepted messages verified a second time,
// off their path, by other libraries: nil when the share is none. They decide
// nothing. A disagreement is counted and logged without content; the exchange
// id leads to the message at its sender.
func (a *App) secondOpinions(oneIn int) func(roc.ExchangeID, *xmlsig.Checked) {
	if oneIn == 0 {
		return nil
	}
	o := second.New(second.Options{OneIn: oneIn, OnResult: func(id roc.ExchangeID, result second.Result, err error) {
		a.live.SecondOpinion(string(result))
		if result == second.Disagrees {
			a.log.Error("another reading of a signature that was accepted disagrees: keep the message and have the signature check looked at",
				slog.String("event", "second_opinion_disagrees"), slog.String("echange", string(id)), slog.String("error", err.Error()))
		}
	}})
	a.onStop("second opinions", func(context.Context) error { o.Close(); return nil }) // after the last exchange
	return func(id roc.ExchangeID, c *xmlsig.Checked) { o.Offer(id, c.Content(), c.Signer()) }
}

// rsaDisagreed says that crypto/rsa took a value that our arithmetic refused.
func (a *App) rsaDisagreed() {
	a.live.SecondOpinion(string(second.Disagrees))
	a.log.Error("our RSA arithmetic refused a signature that crypto/rsa accepts: crypto/rsa was followed; suspect the processor, start with GODEBUG=cpu.avx512ifma=off",
		slog.String("event", "rsa_arithmetic_disagrees"))
}

// rsaWay is how RSA signatures are verified in this process.
func rsaWay() string {
	if rsaverify.Current().Vectors {
		return "vectors"
	}
	return "portable"
}

// logRSA logs it once, at the start. A self-test that failed costs speed, not
// verdicts, and says something about the machine.
func (a *App) logRSA() {
	level, state := slog.LevelInfo, rsaverify.Current()
	if state.SelfTest == "failed" {
		level = slog.LevelError
	}
	a.log.Log(context.Background(), level, "RSA signatures are verified", slog.String("event", "rsa_verify"),
		slog.String("way", rsaWay()), slog.String("self_test", state.SelfTest))
}
