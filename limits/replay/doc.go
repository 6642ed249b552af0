// Package replay remembers signatures, so that a signed message is carried once
// (profile section 3: the same signer with the same decoded SignatureValue
// within the message's life is a replay; Ids, raw bytes and unsigned headers
// cannot be the key, since gSOAP and node-soap use fixed Ids).
//
// Local is the memory of one instance. Its size is bounded per signer, so that
// no establishment can make the window forget the messages of another. Shared
// asks Redis as well, where instances share one.
package replay
