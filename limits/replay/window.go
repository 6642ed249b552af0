package replay

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Policy decides what to do with a replay.
type Policy string

// The policies. Observe counts and traces a replay and lets it pass: it is the
// default until establishments are known not to resend the same bytes.
const (
	Off     Policy = "off"
	Observe Policy = "observe"
	Enforce Policy = "enforce"
)

// A Message is what identifies a signed message.
type Message struct {
	Signer    roc.StructureID
	Signature [32]byte  // SHA-256 of the decoded SignatureValue
	Until     time.Time // when the Timestamp's life and the tolerance end
}

// A Window remembers messages until their life ends. It is safe for concurrent
// use and answers within ctx's deadline.
type Window interface {
	// Reserve reports whether the message was known already, and remembers it.
	// Of two concurrent calls with one message, one returns true. An error
	// means that a replay may have been missed: the part that could be asked
	// says no.
	Reserve(ctx context.Context, m Message, at time.Time) (seen bool, err error)
	// Forget undoes a Reserve that returned false, when no byte of the message
	// was sent: the retry that follows a refusal is no replay.
	Forget(ctx context.Context, m Message)
}
