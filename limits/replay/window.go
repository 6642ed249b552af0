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

// A Window remembers messages until their life ends. Seen reports whether the
// message was there already, and remembers it. It is safe for concurrent use
// and answers within ctx's deadline; of two concurrent calls with one message,
// one is told true. An error means that the answer may be wrong by omission:
// what the window could ask says no.
type Window interface {
	Seen(ctx context.Context, m Message, at time.Time) (bool, error)
}
