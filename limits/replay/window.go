package replay

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Policy says what is done about a replay.
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
	// Reserve reports whether the message was there already, and remembers it.
	// Of two concurrent calls with one message, one is told true. An error means
	// that the answer may be wrong by omission: what the window could ask says no.
	Reserve(ctx context.Context, m Message, at time.Time) (seen bool, err error)
	// Forget undoes a Reserve that was told false, when no byte of the message
	// has left: the retry that a refusal asks for is no replay.
	Forget(ctx context.Context, m Message)
}
