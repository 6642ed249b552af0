package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestForbiddenXMLIsRefusedAndNeverRepaired(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	before := func(text string) nation.Mutation {
		return with(func(d *inner.Draft) { d.Alter = func(b []byte) []byte { return append([]byte(text), b...) } })
	}
	for _, how := range []nation.Mutation{
		before(`<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>`),
		before(`<?xml version="1.0" encoding="ISO-8859-1"?>`),
		before("<?php echo 1 ?>"),
		replacing(t, "FICTIF", "&xxe;"),
		replacing(t, "FICTIF", "FIC<!-- -->TIF"),
		replacing(t, "FICTIF", "\xff"),
		replacing(t, "FICTIF", "&#0;"),
		replacing(t, "</nom>", "</mon>"),
		with(func(d *inner.Draft) { d.Alter = func(b []byte) []byte { return b[:len(b)-20] } }),
	} {
		chu.SendBoth(roc.IDB, "bleue", how).WantRefused(roc.ForbiddenXML)
	}
	n.AMC("bleue").WantReceived(0)
}
