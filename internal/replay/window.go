package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Policy says what is done about a replay.
type Policy uint8

// The policies. Observe counts and traces a replay and lets it pass: it is the
// default until establishments are known not to resend the same bytes.
const (
	Observe Policy = iota
	Off
	Enforce
)

// ParsePolicy reads "off", "observe" or "enforce".
func ParsePolicy(s string) (Policy, error) {
	switch s {
	case "off":
		return Off, nil
	case "observe":
		return Observe, nil
	case "enforce":
		return Enforce, nil
	}
	return Observe, fmt.Errorf("%q is not a replay policy: off, observe or enforce", s)
}

// String returns the name that ParsePolicy reads.
func (p Policy) String() string { return [...]string{"observe", "off", "enforce"}[p] }

// A Message is what identifies a signed message.
type Message struct {
	Signer    roc.StructureID
	Signature [32]byte  // SHA-256 of the decoded SignatureValue
	Until     time.Time // when the Timestamp's life and the tolerance end
}

// A Window remembers messages until their life ends. Seen reports whether the
// message was there already, and remembers it. It is safe for concurrent use
// and answers within ctx's deadline; of two concurrent calls with one message,
// one is told true. An error means that the answer may be wrong by omission:
// what the window could ask says no.
type Window interface {
	Seen(ctx context.Context, m Message, at time.Time) (bool, error)
}
