package scenarios

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// The first address of an insurer's name accepts a connection and speaks no TLS,
// or nobody is there: no byte of the message has left, so the next one is tried.
func TestTheNextAddressOfANameIsTried(t *testing.T) {
	t.Parallel()
	for _, listens := range []bool{true, false} {
		r := nation.NewResolver(t, "127.0.0.2", "127.0.0.1")
		n := nation.New(t, nation.Binary, nation.Section("network", fmt.Sprintf("allow: [127.0.0.0/8]\nhosts: {annuaire.example: 127.0.0.1}\nresolver: %q", r.Addr())))
		if listens {
			u, err := url.Parse(addressOf(t, n, "Mutuelle Bleue"))
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.2:"+u.Port())
			if err != nil {
				t.Fatal(err)
			}
			var over sync.WaitGroup
			over.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.Close()
				}
			})
			t.Cleanup(func() { l.Close(); over.Wait() })
		}
		n.Etablissement().Send(roc.IDB, "bleue").WantAnswer()
		n.AMC("bleue").WantReceived(1)
	}
}

// addressOf is where somebody of the country answers.
func addressOf(t *testing.T, n *nation.Nation, name string) string {
	t.Helper()
	for _, p := range n.Places() {
		if p.Name == name {
			u, _, _ := strings.Cut(p.URL, " ")
			return u
		}
	}
	t.Fatalf("%s is nowhere", name)
	return ""
}
