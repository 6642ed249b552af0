package scenarios

import (
	"net"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestAPortThatIsInUseKeepsTheRPNFromStarting(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"listen", "admin"} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			n := nation.New(t, nation.NotStarted)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			n.Edit("rpn.yaml", field+": 127.0.0.1:0", field+": "+ln.Addr().String())
			wantOneLine(t, n, field, ln.Addr().String(), "already in use")
		})
	}
}
