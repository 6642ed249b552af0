package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAMCThatShowsAWrongCertificateIsNotReached(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]igc.Option{"expired": igc.Expired(), "another CA": igc.OtherCA(), "wrong usage": igc.WrongEKU()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := nation.New(t, nation.Binary, nation.Insurer("bleue", func(i *inner.Insurer) { i.TLS = []igc.Option{odd} }))
			n.Etablissement().SendBoth(roc.IDB, "bleue").WantRefused(roc.AMCUnreachable)
			n.AMC("bleue").WantReceived(0)
		})
	}
}
