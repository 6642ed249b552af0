// Package trust says whom each side believes: the four trust stores that never
// mix (Stores), what a store asks of a certificate (Rules, Environment), and
// the one place where a chain is built and checked (Trust.Verify).
//
// System roots are never consulted. A Trust is one generation of a store and
// never changes; what a reload would bring is known before it is done (Change),
// and a set that is worse is refused.
package trust
