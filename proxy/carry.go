package proxy

import (
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/routing"
)

// carry is the path of one exchange, from top to bottom. Each step is one
// question; what it settles is what the next one asks for, so the order cannot
// be lost. Its error is the refusal.
func (p *Proxy) carry(x *exchange) (farAnswer, error) {
	list := p.o.List()
	caller, es, err := x.identify(list)
	if err != nil {
		return farAnswer{}, err
	}
	if err := p.o.Limiter.Allow(x.ctx, es.Structure, es.Limite, p.o.Now()); err != nil {
		return farAnswer{}, err
	}
	if err := x.enter(); err != nil {
		return farAnswer{}, err
	}
	if err := x.openClef(es); err != nil {
		return farAnswer{}, err
	}
	env, err := x.read() // before this line, not a byte of the body was read
	if err != nil {
		return farAnswer{}, err
	}
	op, err := message.CheckActions(env, x.contentType, x.q.header("SOAPAction"))
	if err != nil {
		return farAnswer{}, err
	}
	x.rec.Service, x.rec.Version = op.Service, op.Version
	checked, err := x.check(env, es, caller, op)
	if err != nil {
		return farAnswer{}, err
	}
	if op.Service == roc.Annuaire {
		return x.search(es, caller, checked)
	}
	key, err := message.Key(checked)
	if err != nil {
		return farAnswer{}, err
	}
	x.rec.To = key
	if err := x.agrees(key); err != nil {
		return farAnswer{}, err
	}
	ej, eg, err := message.Sites(checked)
	if err != nil {
		return farAnswer{}, err
	}
	if err := list.CheckSites(es, caller, ej, eg); err != nil {
		return farAnswer{}, err
	}
	if err := x.once(checked); err != nil {
		return farAnswer{}, err
	}
	amc, _ := list.AMC(key.AMC)
	permit, err := routing.Allow(es, amc, key, p.o.Routing) // what the annuaire cannot change waits for no answer of it
	if err != nil {
		return farAnswer{}, err
	}
	entry, err := x.find(permit)
	if err != nil {
		return farAnswer{}, err
	}
	route, err := permit.Choose(entry)
	if err != nil {
		return farAnswer{}, err
	}
	if err := p.o.AMCLimiter.Allow(amc, p.o.Now()); err != nil {
		return farAnswer{}, err
	}
	return x.send(route, caller, checked) // the bytes that were checked, untouched
}
