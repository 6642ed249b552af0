package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// readTrust reads the CAs, self-signed ones as roots, and their CRLs.
func readTrust(files, crls []string) (*xmlsig.Trust, error) {
	var roots, intermediates []*x509.Certificate
	for _, name := range files {
		certs, _, err := trust.ReadCertificates(name)
		if err != nil {
			return nil, err
		}
		for _, c := range certs {
			if bytes.Equal(c.RawIssuer, c.RawSubject) {
				roots = append(roots, c)
			} else {
				intermediates = append(intermediates, c)
			}
		}
	}
	if len(roots) == 0 { // an intermediate given alone is what the vendor trusts
		roots, intermediates = intermediates, nil
	}
	lists, err := readCRLs(crls)
	if err != nil {
		return nil, err
	}
	return xmlsig.NewTrust(trust.NewTrust(roots, intermediates).Signature(lists)), nil
}

type crlList []*x509.RevocationList

func readCRLs(files []string) (crlList, error) {
	var lists crlList
	for _, name := range files {
		l, err := trust.ReadLists(name)
		if err != nil {
			return nil, err
		}
		lists = append(lists, l...)
	}
	return lists, nil
}

// CheckLinks looks every certificate of a chain up in the CRLs its issuer signed.
func (l crlList) CheckLinks(chain []trust.Link, _ time.Time) *trust.Failure {
	for i := range chain[:len(chain)-1] {
		for _, list := range l {
			if list.CheckSignatureFrom(chain[i].Issuer) != nil {
				continue
			}
			for _, r := range list.RevokedCertificateEntries {
				if r.SerialNumber.Cmp(chain[i].Cert.SerialNumber) == 0 {
					return &trust.Failure{Reason: trust.Revoked, Detail: fmt.Sprintf("serial %x is on the CRL of %s", r.SerialNumber, list.ThisUpdate.Format(time.DateOnly))}
				}
			}
		}
	}
	return nil
}

// Seen has nothing to note: the lists are those given.
func (l crlList) Seen([]trust.Link) {}

// Wanted neither.
func (l crlList) Wanted([]trust.Link) {}

// onlyThis trusts one certificate, whoever issued it.
type onlyThis struct{ certificate *x509.Certificate }

func (o onlyThis) Verify(presented []*x509.Certificate, _ time.Time) (chain []*x509.Certificate, from, until time.Time, err error) {
	if c := presented[0]; c.Equal(o.certificate) {
		return []*x509.Certificate{c}, c.NotBefore, c.NotAfter, nil
	}
	return nil, from, until, roc.Refuse(roc.UntrustedSigner, "another certificate").Because(roc.CertificateAmbiguous)
}

func (onlyThis) Proved([]*x509.Certificate) {}
