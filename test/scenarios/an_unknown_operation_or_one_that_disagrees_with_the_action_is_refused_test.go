package scenarios

import (
	"regexp"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnUnknownOperationOrOneThatDisagreesWithTheActionIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	other := "urn:roc:clc:1.0.0:calculer"
	chu.SendBoth(roc.IDB, "bleue", with(func(d *inner.Draft) { d.SOAPAction = &other })).WantRefused(roc.UnknownOperation)
	chu.SendBoth(roc.IDB, "bleue", with(func(d *inner.Draft) {
		d.SOAPAction = new(string)
		d.Body = func(d *inner.Draft) roc.Content {
			return roc.NewContent([]byte(`<e:Envelope xmlns:e="` + d.SOAP.Namespace() + `"><e:Body><interroger xmlns="urn:roc:idb:9.0.0"/></e:Body></e:Envelope>`))
		}
	})).WantRefused(roc.UnknownOperation)
	for _, space := range []string{soap.NSWSA, soap.NSWSA2004, soap.NSWSA2003} {
		// Added after signing, as anybody on the way can.
		added := `<a:Action xmlns:a="` + space + `">` + other + `</a:Action></$1:Header>`
		chu.SendBoth(roc.IDB, "bleue", with(func(d *inner.Draft) {
			d.Alter = func(b []byte) []byte { return endOfHeader.ReplaceAll(b, []byte(added)) }
		})).WantRefused(roc.UnknownOperation)
	}
	chu.Send(roc.IDB, "bleue", with(func(d *inner.Draft) {
		d.ContentType = `application/soap+xml; charset=utf-8; action="urn:roc:anl:1.0.0:annuler"`
	})).WantRefused(roc.UnknownOperation)
	n.AMC("bleue").WantReceived(0)
}

var endOfHeader = regexp.MustCompile(`</(\w+):Header>`)
