package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
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
	n.AMC("bleue").WantReceived(0)
}
