package http1

import (
	"syscall"

	"github.com/piano-roc/rpn/internal/egress"
)

// errForbiddenAddress: the name leads where no insurer is.
var errForbiddenAddress = egress.ErrForbidden

// filterEgress refuses to dial an address that no insurer has, unless the
// configuration allows its network (package egress).
func (s *Upstream) filterEgress(network, address string, c syscall.RawConn) error {
	f := egress.Filter{Allow: s.o.AllowedNetworks}
	return f.Control(network, address, c)
}
