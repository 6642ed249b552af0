package proxy

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/register"
)

// This file has what an exchange holds of the shares of its establishment: its
// place in flight, and bytes.

// enter makes it one of the exchanges in flight. There is no queue: refuse with
// Retry-After rather than hold the connection.
func (x *exchange) enter(es *register.Etablissement) error {
	err := x.proxy.o.Shares.EnterExchange(es)
	x.entered = err == nil
	return err
}

// leave gives back what the exchange holds of the shares.
func (x *exchange) leave() {
	if x.held != nil {
		x.proxy.o.Shares.FreeBytes(x.held, x.bytes)
		if x.entered {
			x.proxy.o.Shares.LeaveExchange(x.held)
		}
	}
}

// usualAnswer is the room that is taken for an answer before its message leaves:
// when there is none, nothing is sent.
const usualAnswer = 64 << 10

// prepareAnswer takes room for a usual answer, and lets a larger one take more
// as it comes.
func (x *exchange) prepareAnswer(m *http1.Message) error {
	if err := x.proxy.o.Shares.TakeBytes(x.held, usualAnswer); err != nil {
		return err
	}
	x.bytes += usualAnswer
	taken := usualAnswer
	m.Hold = func(n int) error {
		if taken -= n; taken >= 0 {
			return nil
		}
		if err := x.proxy.o.Shares.TakeBytes(x.held, -taken); err != nil {
			return roc.Refuse(roc.Overloaded, "no room for the answer: %w", err).Because(roc.NoRoomForAnswer)
		}
		x.bytes -= taken
		taken = 0
		return nil
	}
	return nil
}

// keepAnswer gives back the room that the answer does not need.
func (x *exchange) keepAnswer(a http1.Response) {
	needed := min(x.bytes, x.body.Len()+a.Body.Len())
	x.proxy.o.Shares.FreeBytes(x.held, x.bytes-needed)
	x.bytes = needed
}
