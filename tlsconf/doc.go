// Package tlsconf is TLS on each side of the RPN.
//
// Four trust stores that never mix (Stores), our own certificates (Source),
// the side that establishments reach (Server, Listener) and the side toward
// the annuaire and the AMC (Client). System roots are never consulted, but to
// reach a public ACME authority (ACME).
//
// Everything is asked again at each handshake and changes by Reload, which
// keeps what it had when the new files are bad.
//
// What a reload would do is known before it is done (Change): several parts
// change together or not at all, and a set that is worse is refused. A Horizon
// remembers every certificate that was accepted, and when it ends.
//
// # Sessions and trust
//
// A resumed TLS session skips the certificate exchange, so it could outlive
// the CA that vouched for it (golang/go#77217, CVE-2025-68121). Two belts:
// ticket keys and session caches belong to one trust generation and are
// dropped with it, and every resumed session is judged again, as a new one is,
// against the trust, the revocation data and the clock of the moment.
//
// # Revoked means out
//
// A Revocation gathers lists of CAs, an emergency deny list and OCSP answers in
// the background, keeps the last good ones on disk, and answers from memory. A
// handshake asks it (Check fails closed but where its policy says open). What
// was let in before is not forgotten: each open connection is judged again by
// Sweep when the trust store or the revocation data change, and closed at once
// when it would be refused. What is lost between the two does not exist: a
// handshake that began before a change asks again once Sweep can see it.
package tlsconf
