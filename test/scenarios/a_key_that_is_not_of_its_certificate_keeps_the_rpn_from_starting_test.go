package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestAKeyThatIsNotOfItsCertificateKeepsTheRPNFromStarting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ own, other string }{{"serveur", "client"}, {"client", "serveur"}} {
		t.Run(c.own, func(t *testing.T) {
			t.Parallel()
			n := nation.New(t, nation.NotStarted)
			n.Edit("rpn.yaml", "key: rpn/"+c.own+".key", "key: rpn/"+c.other+".key")
			wantOneLine(t, n, c.other+".key", c.own+".pem")
		})
	}
}
