package proxy

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/register"
)

// search answers an establishment's own question to the annuaire (profile
// section 5).
func (x *exchange) search(es *register.Etablissement, caller roc.StructureID, c *xmlsig.Checked) (http1.Response, error) {
	if x.token != nil {
		return http1.Response{}, roc.Refuse(roc.BadKey, "a search at an address of the façade").Because(roc.FacadeAddress).
			Saying("Cette adresse est celle d'un service d'un organisme ; l'annuaire est interrogé à l'adresse %s.", Path)
	}
	if x.proxy.o.AnnuaireURL == "" {
		return http1.Response{}, roc.Refuse(roc.AnnuaireSilent, "no annuaire is configured").Because(roc.NoAnnuaire)
	}
	start := x.proxy.o.Now()
	a, err := x.proxy.o.Facade.Search(x.ctx, es, c, x.passedOn(caller, c))
	x.rec.Annuaire = x.proxy.o.Now().Sub(start)
	if err != nil {
		return http1.Response{}, err
	}
	if err := x.holdAnswer(a.Body.Len()); err != nil {
		return http1.Response{}, err
	}
	x.rec.Origin = roc.FromAnnuaire
	if a.FromMemory {
		x.rec.Origin, x.rec.FromMemory, x.rec.Stale = roc.FromCache, true, a.Stale
	}
	return http1.Response{Status: a.Status, ContentType: a.ContentType, Body: a.Body}, nil
}

// holdAnswer takes room for an answer that is there, as long as it is being
// written: until then it was everybody's who asked.
func (x *exchange) holdAnswer(n int) error {
	if err := x.proxy.o.Shares.TakeBytes(x.held, n); err != nil {
		return err
	}
	x.bytes += n
	return nil
}

// passedOn puts the question to the annuaire as it came, and may outlive the
// exchange: it uses nothing of it.
func (x *exchange) passedOn(caller roc.StructureID, c *xmlsig.Checked) func(context.Context) (facade.Answer, error) {
	m := x.outgoing(caller, c)
	m.Again = true
	m.Left = nil // others may have joined the question, and its failure would count as the annuaire's
	m.Content = roc.NewContent(bytes.Clone(m.Content.Bytes()))
	m.ContentType, m.Accept = strings.Clone(m.ContentType), strings.Clone(m.Accept)
	if m.SOAPAction != nil {
		action := strings.Clone(*m.SOAPAction)
		m.SOAPAction = &action
	}
	id, upstream, urls := roc.ExchangeID(strings.Clone(string(x.rec.ID))), x.proxy.o.Annuaire, []string{x.proxy.o.AnnuaireURL}
	return func(ctx context.Context) (facade.Answer, error) {
		a, err := upstream.Send(ctx, &roc.Record{ID: id}, urls, m)
		if err != nil {
			return facade.Answer{}, ofAnnuaire(err)
		}
		return facade.Answer{Status: a.Status, ContentType: a.ContentType, Body: roc.NewContent(bytes.Clone(a.Body.Bytes()))}, nil
	}
}

// openToken looks at the address that the message was sent to, when it is one
// that the façade gave out.
func (x *exchange) openToken(es *register.Etablissement) error {
	path, _, _ := strings.Cut(x.q.Target(), "?")
	text, ok := strings.CutPrefix(path, Path+"/")
	if !ok || !x.proxy.o.Facade.Rewrites() {
		return nil // acceptable checks the path
	}
	k, err := x.proxy.o.Facade.OpenToken(text, es.Structure, x.proxy.o.Now())
	if errors.Is(err, facade.ErrNotGivenOut) {
		x.status = 404
	}
	x.token = k
	return err
}
