package tlsconf

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// explain turns the error of a handshake into a Failure.
func explain(err error, hello offered) *trust.Failure {
	if f := trust.AsFailure(err); f != nil {
		return f
	}
	reason, detail := reasonOf(err, hello)
	return &trust.Failure{Reason: reason, Detail: detail, Err: err}
}

// reasonOf reads what crypto/tls says. Where it has no type for a case its
// text is matched; TestWhoMayConnect fails on the day a text changes.
func reasonOf(err error, hello offered) (trust.Reason, string) {
	var record tls.RecordHeaderError
	var netErr net.Error
	var op *net.OpError
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return trust.TimedOut, timedOut(hello)
	case errors.As(err, &op) && op.Op == "remote error":
		return trust.PeerRefused, "the peer ended the handshake: " + trust.Safe(op.Err.Error()) +
			"; it may not trust our CA, or not accept our certificate"
	case errors.Is(err, errTooMuch):
		return trust.Oversized, fmt.Sprintf("the peer sent more than %d bytes in its handshake: send the certificate and the CAs above it, nothing else", maxHandshakeBytes)
	case errors.As(err, &record) && looksForwarded(record):
		return trust.BadForwarding, "the peer sends a PROXY protocol header, and proxy_protocol.from does not name it"
	case errors.As(err, &record):
		return trust.Protocol, badRecord(record)
	case hello.tooOld():
		return trust.Protocol, "the client offers " + hello.versionNames() + "; TLS 1.2 or TLS 1.3 is needed"
	case strings.Contains(text, "didn't provide a certificate"):
		return trust.NoCertificate, "the client sent no certificate: it must present its authentication certificate (IGC-Sante, AUTH_CLI)" + heldBack(hello)
	case strings.Contains(text, "no cipher suite supported by both"), strings.Contains(text, "no key exchanges supported by both"):
		return trust.NoCommonSuite, "no cipher suite or group in common: ECDHE with AES-GCM or ChaCha20-Poly1305 is needed"
	case strings.Contains(text, "failed to parse"):
		return trust.Malformed, "what is presented is not a certificate: " + trust.Safe(text)
	case strings.Contains(text, "RSA key larger than"):
		return trust.WeakKey, "the RSA key of the certificate is larger than 8192 bits"
	case errors.Is(err, context.Canceled):
		return trust.Closed, "we stopped in the middle of the handshake"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return trust.Closed, closed(hello)
	case errors.As(err, &netErr) && netErr.Timeout():
		return trust.TimedOut, timedOut(hello)
	case strings.HasPrefix(text, "tls: "):
		return trust.Protocol, trust.Safe(text)
	}
	return trust.Other, trust.Safe(text)
}

// heldBack: GnuTLS 3.7 (wget) has an RSA certificate and does not show it in TLS
// 1.3 (docs/interop.md). Such a client cannot be told from one that has none.
func heldBack(hello offered) string {
	if !slices.Contains(hello.versions, tls.VersionTLS13) {
		return ""
	}
	return "; if it has an RSA one and is GnuTLS 3.7 (wget), it holds it back in TLS 1.3: let it use TLS 1.2, or an ECDSA certificate"
}

func timedOut(hello offered) string {
	if hello.seen {
		return "the peer stopped in the middle of the handshake"
	}
	return "the peer connected and said nothing in time"
}

func closed(hello offered) string {
	if hello.seen {
		return "the peer closed the connection during the handshake: it may not accept our certificate"
	}
	return "the peer closed the connection before it said anything"
}

func badRecord(e tls.RecordHeaderError) string {
	switch {
	case looksLikeHTTP(e):
		return "the client speaks plain HTTP on the TLS port: its URL must start with https://"
	case looksLikeTLS(e):
		return "the peer sent a TLS record that does not fit here: " + trust.Safe(e.Msg)
	}
	return "the peer does not speak TLS: " + trust.Safe(e.Msg)
}

// looksLikeTLS: a kind of record that exists, and a version 3.x.
func looksLikeTLS(e tls.RecordHeaderError) bool {
	kind, major := e.RecordHeader[0], e.RecordHeader[1]
	return kind >= 20 && kind <= 24 && major == 3
}

func looksLikeHTTP(e tls.RecordHeaderError) bool {
	switch string(e.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}
