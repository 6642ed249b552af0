// Package second verifies an accepted message a second time, from its bytes,
// with other code than the request path: etree reads it, goxmldsig writes its
// canonical form, the standard library verifies it.
// It decides nothing: a disagreement is counted and raises an alarm, so that a
// mistake of ours is noticed (docs/security/signature.md).
package second
