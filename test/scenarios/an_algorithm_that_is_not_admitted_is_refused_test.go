package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAlgorithmThatIsNotAdmittedIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	for _, how := range []nation.Mutation{
		replacing(t, "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
		replacing(t, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
		replacing(t, `<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"`, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"`),
	} {
		chu.SendBoth(roc.IDB, "bleue", how).WantRefused(roc.ForbiddenAlgorithm)
	}
	n.AMC("bleue").WantReceived(0)
}
