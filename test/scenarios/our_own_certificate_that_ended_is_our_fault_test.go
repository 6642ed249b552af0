package scenarios

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// The certificate that the RPN shows to insurers has ended: the insurer that
// refuses it has nothing to do, the operator of the RPN has, and its address does
// not rest.
func TestOurOwnCertificateThatEndedIsOurFault(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	n := nation.New(t, nation.Clock(now))
	chu := n.Etablissement()
	brief := n.PKI.Auth(igc.RPN, "RPN FICTIF", igc.ECDSA(), igc.Valid(now().Add(-time.Hour), now().Add(time.Hour)))
	if _, _, err := brief.Write(filepath.Join(n.Dir, "rpn"), "client"); err != nil {
		t.Fatal(err)
	}
	if err := n.App.Reload(); err != nil {
		t.Fatal(err)
	}
	chu.Send(roc.IDB, "bleue").WantAnswer()

	ahead.Store(int64(2 * time.Hour))
	chu.Hangup()
	for range 6 { // as many failures of an insurer would have it rest
		r := chu.Send(roc.IDB, "bleue")
		r.WantRefused(roc.AMCUnreachable)
		l := r.Line()
		if l.Text("record.cause_code") != string(roc.OurCertificateInvalid) || !strings.Contains(l.Text("record.cause"), "ended on") {
			t.Errorf("the log says %s: %s", l.Text("record.cause_code"), l.Text("record.cause"))
		}
		r.WantSaying(`responsable="rpn"`)
	}
	n.AMC("bleue").WantReceived(1)
	if c := n.Ready().Check("client_certificate"); c.OK {
		t.Errorf("/readyz says that our certificate is well: %s", c.Detail)
	}
}
