// Package second verifies an accepted message a second time, from its bytes,
// with other code than the request path: etree reads it, goxmldsig writes its
// canonical form, crypto/rsa and crypto/ecdsa verify its signature. It decides
// nothing: a disagreement is counted and an alarm, so that a mistake of ours
// is seen by somebody (docs/security/signature.md).
package second
