// Package tlsconf is TLS on each side of the RPN.
//
// Four trust stores that never mix (Stores), our own certificates (Source),
// the side that establishments reach (Server, Listener) and the side toward
// the annuaire and the AMC (Client). System roots are never consulted.
//
// Everything is asked again at each handshake and changes by Reload, which
// keeps what it had when the new files are bad.
//
// # Sessions and trust
//
// A resumed TLS session skips the certificate exchange, so it could outlive
// the CA that vouched for it (golang/go#77217, CVE-2025-68121). Two belts:
// ticket keys and session caches belong to one trust generation and are
// dropped with it, and every resumed session is judged again, as a new one is,
// against the trust and the clock of the moment.
package tlsconf
