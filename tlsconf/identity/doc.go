// Package identity is our own certificates: a Source of one or two (RSA and
// ECDSA side by side), from PEM files, PKCS#12 or ACME, with their OCSP answer
// beside them. Everything is asked again at each handshake and changes by
// Reload, which keeps what it had when the new files are bad.
package identity
