package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestWhatIsNotSOAPIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	contentType := func(v string) nation.Mutation { return with(func(d *inner.Draft) { d.ContentType = v }) }
	parameter := func(p string) nation.Mutation {
		return with(func(d *inner.Draft) { d.ContentType = d.SOAP.ContentType() + "; " + p })
	}
	shape := func(inside string) nation.Mutation {
		return with(func(d *inner.Draft) {
			text := `<e:Envelope xmlns:e="` + d.SOAP.Namespace() + `">` + inside + `</e:Envelope>`
			d.Alter = func([]byte) []byte { return []byte(text) }
		})
	}
	for i, how := range []nation.Mutation{
		contentType("application/json"),
		parameter(`transaction="urn:roc:anl:1.0.0:annuler"`),
		parameter(`x="action=urn:roc:anl:1.0.0:annuler"`),
		parameter("charset*=utf-8''utf-8"),
		parameter("charset=utf-8"), // twice
		with(func(d *inner.Draft) { d.ContentType = otherVersion(d.SOAP).ContentType() }),
		with(func(d *inner.Draft) { // the message holds other characters
			d.ContentType = strings.Replace(d.SOAP.ContentType(), "utf-8", "us-ascii", 1)
			d.Alter = func(b []byte) []byte { return append(b, "<!-- é -->"...) }
		}),
		contentType(`multipart/related; type="application/xop+xml"; boundary=b`),
		with(func(d *inner.Draft) { d.ContentType = strings.Replace(d.SOAP.ContentType(), "utf-8", "iso-8859-1", 1) }),
		inner.WithHeader("Content-Encoding", "gzip"),
		shape(""),
		shape("<e:Body/>"),
		shape("<e:Body><a/><b/></e:Body>"),
		shape("<e:Body><a/></e:Body><e:Body><a/></e:Body>"),
		shape("<e:Header/><e:Header/><e:Body><a/></e:Body>"),
		shape("<e:Body><a/></e:Body><!-- after -->text"),
		shape("<other/><e:Body><a/></e:Body>"),
	} {
		if i%8 == 7 { // the log counts what one caller repeats, beyond its first refusals
			chu = n.Etablissement()
		}
		chu.SendBoth(roc.IDB, "bleue", how).WantRefused(roc.NotSOAP)
	}
	chu.Send(roc.IDB, "bleue", raw("<html/>")).WantRefused(roc.NotSOAP)
	chu.Send(roc.IDB, "bleue", nation.SOAP11, raw("<html/>")).WantRefused(roc.NotSOAP)
	n.AMC("bleue").WantReceived(0)
}

func otherVersion(v soap.Version) soap.Version {
	if v == soap.SOAP11 {
		return soap.SOAP12
	}
	return soap.SOAP11
}
