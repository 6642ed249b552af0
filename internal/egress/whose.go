package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
)

// A Fault is where the fault of a connection that failed lies, as far as this
// machine can tell. It is the one classification of errors for every connection
// that leaves.
type Fault string

// The faults. What this machine lacks, its resolver and the network are never
// the far end's.
const (
	OfTheFarEnd      Fault = "far-end"      // it refused, reset, or spoke wrongly
	OfTime           Fault = "time"         // it did not connect or answer in time
	OfTheName        Fault = "name"         // DNS says that the name does not exist
	OfTheResolver    Fault = "resolver"     // DNS does not say
	OfTheNetwork     Fault = "network"      // no way leads there
	OfThisMachine    Fault = "this-machine" // out of descriptors, ports, memory, disk, rights
	OfTheAddressRule Fault = "address-rule" // the filter forbids the address
)

// Errnos that say something of the other end, or of the way to it. Every other
// one says something of this machine.
var (
	farErrnos     = []syscall.Errno{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
	timeErrnos    = []syscall.Errno{syscall.ETIMEDOUT, syscall.EAGAIN}
	networkErrnos = []syscall.Errno{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.ENETRESET}
)

// FaultOf says where the fault of an error lies. What it does not know is the
// far end's: what it wrote, or a handshake that it did not accept.
func FaultOf(err error) Fault {
	var dns *net.DNSError
	var errno syscall.Errno
	var late net.Error
	switch {
	case errors.Is(err, ErrForbidden):
		return OfTheAddressRule
	case errors.As(err, &errno) && slices.Contains(networkErrnos, errno):
		if errors.As(err, &dns) {
			return OfTheResolver
		}
		return OfTheNetwork
	case errors.As(err, &errno) && !slices.Contains(farErrnos, errno) && !slices.Contains(timeErrnos, errno):
		return OfThisMachine
	case errors.As(err, &dns) && dns.IsNotFound:
		return OfTheName
	case errors.As(err, &dns):
		return OfTheResolver
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), slices.Contains(timeErrnos, errno),
		errors.As(err, &late) && late.Timeout():
		return OfTime
	}
	return OfTheFarEnd
}

// EndedByPeer reports whether the far end ended a connection: by a TLS alert, or
// without a word, as some do to refuse our certificate.
func EndedByPeer(err error) bool {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "remote error":
		return true
	case errors.As(err, &op) && op.Op == "dial":
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
