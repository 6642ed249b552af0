package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/limits/shares"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// counted is a facade's Directory that says how many searches came to it.
type counted struct {
	*annuaire.Directory
	came atomic.Int32
}

func (c *counted) Search(ctx context.Context, who roc.StructureID, s annuaire.Search) (annuaire.Searched, error) {
	c.came.Add(1)
	return c.Directory.Search(ctx, who, s)
}

// Who opened a search may leave: it belongs to everybody who joined it, and to
// the annuaire's health.
func TestASearchOutlivesTheCallerThatOpenedIt(t *testing.T) {
	t.Parallel()
	annuaireEnd := http1test.New(t)
	annuaireEnd.Says(http1test.Raw(200, string(sign(t, message.SearchAnswer{Code: message.RetourTrouve, AMC: rhone, Nom: "Mutuelle"}.Envelope(soap.SOAP11), http1test.Certs().FarSigner))))
	connecting, proceed := make(chan struct{}, 2), make(chan struct{})
	uo := upstreamOptions()
	handshake := uo.Handshake
	uo.Handshake = func(ctx context.Context, c net.Conn, name string) (*tls.Conn, error) {
		connecting <- struct{}{}
		select {
		case <-proceed:
		case <-ctx.Done():
		}
		return handshake(ctx, c, name)
	}
	uo.DialTimeout = await.Patience
	toAnnuaire := http1.NewUpstream(uo)
	t.Cleanup(toAnnuaire.Close)
	d := &counted{Directory: annuaire.New(annuaire.Options{AskTimeout: await.Patience, TTL: time.Hour, Stale: time.Hour, NegativeTTL: time.Minute, PerSecond: 200, NewKeys: 200})}
	t.Cleanup(d.Close)
	c := newCountry(t, func(o *Options) {
		o.AnnuaireURL, o.Annuaire, o.Deadline = annuaireEnd.URL(), toAnnuaire, await.Patience
		o.Facade = facade.New(facade.Options{Directory: d, Limits: soap.DefaultLimits, Verifier: xmlsig.NewVerifier(xmlsig.Options{Trust: trustOf(igc.AMCSignature)})})
	})
	search := post(message.SearchRequest{
		Requete:   message.Requete{Date: time.Now(), Editeur: "E", Logiciel: "L", VersionLogiciel: "1"},
		Adressage: message.Adressage{AMC: rhone, Domaine: roc.HOSP}, Service: "IDB", Norme: "ROC", Version: "V1", Types: []string{"URL"},
	}.Envelope(soap.SOAP11).Bytes())

	opener, joined := c.call(), c.call()
	opener.say(search)
	await.Next(t, "the annuaire is connected to", connecting)
	joined.say(search)
	await.Until(t, "both wait", func() bool { return d.came.Load() == 2 })
	opener.Close()
	c.waitHangUp()
	close(proceed)

	if r := joined.hear(); r.StatusCode != 200 {
		t.Errorf("who joined the search was answered %d, %s", r.StatusCode, r.body)
	}
	if h, s := d.Health(), d.Stats(); h.Failures != 0 || s.Asks != 1 || len(annuaireEnd.Received()) != 1 {
		t.Errorf("%d failures, %d questions, %d received: want one that the annuaire answered", h.Failures, s.Asks, len(annuaireEnd.Received()))
	}
}

// The answer to a search is of its establishment's share while it is written:
// where there is no room the caller is told so, and nothing stays held.
func TestTheAnswerToASearchTakesRoom(t *testing.T) {
	t.Parallel()
	ledger := shares.New(shares.Limit{}, shares.Limit{}, shares.Limit{Total: 4 << 20, Small: 4 << 20}) // its share is 1 MiB
	annuaireEnd := http1test.New(t)
	c := newCountry(t, func(o *Options) { o.AnnuaireURL, o.Shares = annuaireEnd.URL(), limits.NewShares(ledger) })
	search := message.SearchRequest{Adressage: message.Adressage{AMC: rhone, Domaine: roc.HOSP}, Service: "IDB", Norme: "ROC", Version: "V1"}.Envelope(soap.SOAP11)
	for size, want := range map[int]string{400 << 10: http1test.OK[:20], 1200 << 10: "RPN11"} {
		annuaireEnd.Says(http1test.Raw(500, http1test.OK+strings.Repeat(" ", size)))
		if r := c.send(search.Bytes()); !strings.Contains(string(r.body), want) || (want == "RPN11") != (r.Header.Get("Retry-After") != "") {
			t.Errorf("%d bytes: status %d, %.300s", size, r.StatusCode, r.body)
		}
		await.Until(t, "all is given back", func() bool { used, _ := ledger.Used(shares.Bytes); return used == 0 })
	}
}
