package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// Profile section 8.
func TestHeadersThatAreNotTheCallersToSayAreDropped(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	dropped := []string{
		"RPN-Structure", "RPN-Echange", "RPN-Origine", "RPN-Autre", "X-Forwarded-For", "X-Forwarded-Proto", "X-Ssl-Client-Cert",
		"X-Client-Dn", "Forwarded", "Via", "Proxy-Authorization", "Keep-Alive", "Te", "X-Hop", "Cookie", "Authorization",
	}
	var how []nation.Mutation
	for _, name := range dropped {
		how = append(how, inner.WithHeader(name, "99 forged"))
	}
	how = append(how, inner.WithHeader("Connection", "X-Hop"), inner.WithHeader("Accept", "text/xml, */*;q=0.1"))
	r := chu.Send(roc.IDB, "bleue", append(how, nation.SOAP11)...).WantAnswer()
	got := bleue.Last().Header
	for name, values := range got {
		for _, v := range values {
			if strings.Contains(v, "forged") {
				t.Errorf("%s: %s was passed on", name, v)
			}
		}
	}
	want := map[string]string{
		"Rpn-Echange": string(r.Exchange()), "Rpn-Structure": string(roc.StructureOf(chu.EJ)), "Via": "1.1 rpn",
		"Soapaction": `"urn:roc:idb:2.0.0:interroger"`, "Accept": "text/xml, */*;q=0.1", "Content-Type": "text/xml; charset=utf-8",
	}
	for name, v := range want {
		if got.Get(name) != v {
			t.Errorf("%s: %q, want %q", name, got.Get(name), v)
		}
	}
}
