package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// explainTLS says in French why a call came to nothing: whose fault it is, and
// what to do. It holds nothing of a message.
func explainTLS(err error) string {
	var dns *net.DNSError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &dns):
		return "le nom de l'adresse n'existe pas dans le DNS, ou le DNS ne répond pas"
	case errors.As(err, &authority):
		return "le certificat du serveur vient d'une autorité inconnue ici : donnez-la par --ca"
	case errors.As(err, &host):
		return "le certificat du serveur n'est pas à ce nom"
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return "le certificat du serveur a expiré ou n'est pas encore valable ; vérifiez aussi l'horloge de cette machine"
		}
		return "le certificat du serveur n'est pas valable pour un serveur TLS"
	case errors.As(err, &alert):
		if says, known := alertWords[uint8(alert)]; known {
			return says
		}
		return "le serveur a refusé la connexion TLS (" + alert.Error() + ")"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "rien n'écoute à cette adresse (connexion refusée)"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "aucune réponse dans le délai"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "la connexion a été fermée sans réponse : le serveur a pu refuser le certificat client"
	}
	return "la connexion a échoué : " + err.Error()
}

// alertWords are the TLS alerts (RFC 8446, section 6) that a certificate causes.
var alertWords = map[uint8]string{
	40:  "le serveur n'a rien trouvé à convenir (handshake_failure) : version de TLS, suites, ou certificat client absent",
	42:  "le serveur refuse le certificat client (bad_certificate) : il est illisible, refusé par ses règles, ou sa structure n'est pas admise",
	43:  "le serveur refuse ce genre de certificat client (unsupported_certificate) : présentez le certificat d'authentification, non celui de signature",
	44:  "le certificat client est révoqué (certificate_revoked)",
	45:  "le certificat client a expiré ou n'est pas encore valable (certificate_expired)",
	46:  "le serveur refuse le certificat client (certificate_unknown)",
	48:  "l'autorité du certificat client n'est pas admise (unknown_ca) : joignez les autorités intermédiaires, et vérifiez que test et production ne sont pas mêlés",
	70:  "le serveur ne parle pas cette version de TLS (protocol_version)",
	71:  "le serveur demande plus de sécurité (insufficient_security) : clé trop courte ou suite refusée",
	86:  "le serveur refuse un repli de version (inappropriate_fallback)",
	112: "le serveur ne connaît pas ce nom (unrecognized_name)",
	116: "le serveur exige un certificat client (certificate_required)",
	120: "le serveur ne parle pas HTTP/1.1 (no_application_protocol)",
}
