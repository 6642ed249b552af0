// Package tlsconf is TLS on each side of the RPN: the side that establishments
// reach (Server, Listener) and the side toward the annuaire and the AMC
// (Client).
//
// Whom each side trusts is tlsconf/trust, who is revoked tlsconf/revocation,
// our own certificates tlsconf/identity, and what ends soon tlsconf/expiry.
//
// # Sessions and trust
//
// A resumed TLS session skips the certificate exchange, so it could outlive
// the CA that vouched for it (golang/go#77217, CVE-2025-68121). Two belts:
// ticket keys and session caches belong to one trust generation and are
// dropped with it, and every resumed session is verified again, as a new one
// is, against the trust, the revocation data and the clock of the moment.
//
// # Revoked means out
//
// What was let in is not forgotten: each open connection is verified again by
// Sweep when the trust store or the revocation data change, and closed at once
// when it would be refused. There is no gap between the two: a handshake that
// began before a change asks again once Sweep can see it.
package tlsconf
