package proxy

import (
	"context"
	"errors"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/routing"
)

// carry is the path of one exchange, from top to bottom. Each step is one
// question; what it settles is what the next one asks for, so the order cannot
// be lost. Its error is the refusal.
func (p *Proxy) carry(x *exchange) (http1.Response, error) {
	list := p.o.List()
	caller, es, err := x.admit(list) // nothing passes beside it, whatever is asked
	if err != nil {
		return http1.Response{}, err
	}
	if d, ok := x.describe(); ok {
		return d, nil
	}
	if err := x.openToken(es); err != nil {
		return http1.Response{}, err
	}
	if err := x.receive(es); err != nil { // before this line, not a byte of the body was read
		return http1.Response{}, err
	}
	if err := x.enter(es); err != nil {
		return http1.Response{}, err
	}
	env, err := x.parse()
	if err != nil {
		return http1.Response{}, err
	}
	op, err := message.CheckActions(env, x.media, x.action)
	if err != nil {
		return http1.Response{}, err
	}
	x.rec.Service, x.rec.Version = op.Service, op.Version
	if x.within(p.o.Deadlines.Of(op.Service)); errors.Is(x.ctx.Err(), context.DeadlineExceeded) {
		return http1.Response{}, errBodyStopped // nobody has worked on it yet but its sender
	}
	if err := x.shed(op.Service); err != nil {
		return http1.Response{}, err
	}
	checked, err := x.check(env, es, caller, op)
	if err != nil {
		return http1.Response{}, err
	}
	x.processed() // what follows waits for others
	if op.Service == roc.Annuaire {
		return x.search(es, caller, checked)
	}
	key, err := message.Key(checked)
	if err != nil {
		return http1.Response{}, err
	}
	x.rec.To = key
	if err := x.token.Agrees(key); err != nil {
		return http1.Response{}, err
	}
	ej, eg, err := message.Sites(checked)
	if err != nil {
		return http1.Response{}, err
	}
	if err := list.CheckSites(es, caller, ej, eg); err != nil {
		return http1.Response{}, err
	}
	x.link(es, key, checked)
	if err := x.once(checked); err != nil {
		return http1.Response{}, err
	}
	amc, _ := list.AMC(key.AMC)
	x.within(amc.Delai(key.Service))
	permit, err := routing.Allow(es, amc, key, p.o.Routing) // what the annuaire cannot change waits for no answer of it
	if err != nil {
		return http1.Response{}, err
	}
	entry, err := x.find(es, permit)
	if err != nil {
		return http1.Response{}, err
	}
	route, err := x.choose(permit, entry)
	if err != nil {
		return http1.Response{}, err
	}
	leave, err := x.seat(route, amc, es)
	if err != nil {
		return http1.Response{}, err
	}
	defer func() { leave(p.o.Now()) }()
	return x.send(route, amc, caller, checked) // the bytes that were checked, untouched
}
