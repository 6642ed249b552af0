// Package http1 is HTTP/1.1 on both legs of an exchange: the requests of the
// establishments (Server), and the messages to the insurers and the annuaire
// (Upstream).
//
// Framing is decided here and nowhere else (wire.go, head.go, body.go), on
// both legs and by the same code, with no library (docs/decisions/0002). What
// other parsers forgive (a bare LF, two lengths, a fold) would be a second
// opinion on where a message ends.
package http1
