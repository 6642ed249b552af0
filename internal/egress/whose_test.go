package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// Each errno there is, as a dial, a read and a write give it: what is not said of
// the far end, of time or of the network is this machine's.
func TestWhoseFaultIsEachErrno(t *testing.T) {
	t.Parallel()
	of := map[syscall.Errno]Fault{
		syscall.ECONNREFUSED: OfTheFarEnd, syscall.ECONNRESET: OfTheFarEnd, syscall.ECONNABORTED: OfTheFarEnd, syscall.EPIPE: OfTheFarEnd,
		syscall.ETIMEDOUT: OfTime, syscall.EAGAIN: OfTime,
		syscall.ENETUNREACH: OfTheNetwork, syscall.EHOSTUNREACH: OfTheNetwork, syscall.ENETDOWN: OfTheNetwork, syscall.EHOSTDOWN: OfTheNetwork, syscall.ENETRESET: OfTheNetwork,
		// by name, those that an operator meets
		syscall.EMFILE: OfThisMachine, syscall.ENFILE: OfThisMachine, syscall.ENOMEM: OfThisMachine, syscall.ENOBUFS: OfThisMachine,
		syscall.EADDRNOTAVAIL: OfThisMachine, syscall.EADDRINUSE: OfThisMachine, syscall.EACCES: OfThisMachine, syscall.EPERM: OfThisMachine,
		syscall.ENOSPC: OfThisMachine, syscall.EROFS: OfThisMachine, syscall.EDQUOT: OfThisMachine, syscall.EIO: OfThisMachine,
	}
	for n := syscall.Errno(1); n < 134; n++ {
		want, known := of[n]
		if !known {
			want = OfThisMachine
		}
		for _, op := range []string{"dial", "read", "write"} {
			err := fmt.Errorf("sending: %w", &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError("connect", n)})
			if got := FaultOf(err); got != want {
				t.Errorf("%s, errno %d (%v): %s, want %s", op, n, n, got, want)
			}
		}
	}
}

func TestWhoseFaultIsAFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want Fault
	}{
		"a name that does not exist":     {&net.DNSError{IsNotFound: true}, OfTheName},
		"a resolver that is silent":      {&net.DNSError{IsTimeout: true}, OfTheResolver},
		"a resolver that fails":          {&net.DNSError{IsTemporary: true}, OfTheResolver},
		"a resolver that is not reached": {&net.DNSError{UnwrapErr: syscall.ENETUNREACH}, OfTheResolver},
		"no descriptor to ask it":        {&net.DNSError{UnwrapErr: syscall.EMFILE}, OfThisMachine},
		"no time left":                   {context.DeadlineExceeded, OfTime},
		"a read past its deadline":       {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, OfTime},
		"an end too early":               {io.ErrUnexpectedEOF, OfTheFarEnd},
		"a forbidden address":            {fmt.Errorf("%w: 127.0.0.1", ErrForbidden), OfTheAddressRule},
		"anything else":                  {errors.New("tls: handshake failure"), OfTheFarEnd},
	} {
		if got := FaultOf(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
