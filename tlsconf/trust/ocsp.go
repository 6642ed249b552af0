package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	maxOCSP     = 64 << 10        // the largest answer read: a few hundred bytes and a certificate
	ocspSkew    = 5 * time.Minute // how far clocks may differ
	ocspNoUntil = 24 * time.Hour  // how old an answer may be that does not say until when it holds
)

// AskResponder asks an OCSP responder about the certificate of that number and
// issuer, and returns its answer, good or revoked; anything else is an error.
func AskResponder(ctx context.Context, client *http.Client, responder string, serial *big.Int, issuer *x509.Certificate, at time.Time) (*ocsp.Response, error) {
	question, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: serial}, issuer, nil)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, responder, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the responder answers %s", Safe(answer.Status))
	}
	der, err := io.ReadAll(io.LimitReader(answer.Body, maxOCSP+1))
	if err != nil {
		return nil, err
	}
	if len(der) > maxOCSP {
		return nil, errors.New("the answer is too large")
	}
	return ReadOCSP(der, serial, issuer, at)
}

// ReadOCSP checks an answer: signed by the issuer, or by a certificate that it
// made for that (RFC 6960 section 4.2.2.2, which the library leaves to us),
// about this serial number, and of this time.
func ReadOCSP(der []byte, serial *big.Int, issuer *x509.Certificate, at time.Time) (*ocsp.Response, error) {
	answer, err := ocsp.ParseResponseForCert(der, &x509.Certificate{SerialNumber: serial}, issuer)
	if err != nil {
		return nil, err
	}
	if s := answer.Certificate; s != nil && !s.Equal(issuer) {
		if !slices.Contains(s.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || at.Before(s.NotBefore) || at.After(s.NotAfter) {
			return nil, errors.New("the answer is signed by a certificate that is not one for OCSP")
		}
	}
	switch {
	case !StrongSignature(answer.SignatureAlgorithm):
		return nil, fmt.Errorf("the answer is signed with %s", answer.SignatureAlgorithm)
	case answer.ThisUpdate.After(at.Add(ocspSkew)):
		return nil, errors.New("the answer is of the future")
	case !answer.NextUpdate.IsZero() && at.After(answer.NextUpdate.Add(ocspSkew)):
		return nil, errors.New("the answer has ended")
	case answer.NextUpdate.IsZero() && at.Sub(answer.ThisUpdate) > ocspNoUntil:
		return nil, errors.New("the answer is old")
	case answer.Status != ocsp.Good && answer.Status != ocsp.Revoked:
		return nil, errors.New("the responder does not know this certificate")
	}
	return answer, nil
}
