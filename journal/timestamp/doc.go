// Package timestamp has a time-stamping authority (TSA) say when a file was
// there, and verifies what it says (RFC 3161, RFC 5816).
//
// A token counts when it is of the authority that was asked, and of no other,
// whatever certificates it carries: its own reference to the certificate that
// signed it (ESSCertIDv2) must lead to one in the file of the authority. That
// certificate must have been valid when the token was made; it may have ended
// since.
package timestamp
