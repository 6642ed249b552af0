package revocation

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// pointNames are the names of a distribution point, one a line, sorted, each
// once: a URL with its scheme and host in small letters ("u..."), a directory
// name in the form under which names compare ("d...").
type pointNames string

// meet reports whether a distribution point of the certificate has one of the
// names. A partial one does not count (RFC 5280 section 6.3.3 d): whether the
// certificate is revoked for another reason would not be known.
func (p pointNames) meet(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidPoints) {
			continue
		}
		for _, point := range pointsOf(e.Value) {
			if point.partial {
				continue
			}
			for own := range strings.SplitSeq(string(point.names), "\n") {
				for of := range strings.SplitSeq(string(p), "\n") {
					if own != "" && own == of {
						return true
					}
				}
			}
		}
	}
	return false
}

var oidPoints = asn1.ObjectIdentifier{2, 5, 29, 31}

// announces says whether a certificate names a place where the list of its CA
// is, in whatever way: one that is not fetched here (LDAP, a directory name) is
// announced all the same.
func announces(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidPoints) || e.Id.Equal(oidFreshestCRL) })
}

// namesOfPoint returns the names of a DistributionPointName; "" when it has
// none that is known here (RFC 5280: one relative to the issuer).
func namesOfPoint(name cryptobyte.String) pointNames {
	var full cryptobyte.String
	if !name.ReadASN1(&full, cbasn1.Tag(0).ContextSpecific().Constructed()) {
		return ""
	}
	var names []string
	for !full.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !full.ReadAnyASN1(&value, &tag) {
			return ""
		}
		switch tag {
		case cbasn1.Tag(6).ContextSpecific():
			names = append(names, "u"+sameURL(string(value)))
		case cbasn1.Tag(4).ContextSpecific().Constructed():
			names = append(names, "d"+strings.ReplaceAll(trust.NameKey(value), "\n", " "))
		}
	}
	slices.Sort(names)
	return pointNames(strings.Join(slices.Compact(names), "\n"))
}

// sameURL writes a URL as it compares: its scheme and host have no case.
func sameURL(s string) string {
	s = strings.ReplaceAll(s, "\n", " ")
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return strings.ToLower(scheme) + "://" + strings.ToLower(rest[:end]) + rest[end:]
}

// A namedPoint is a distribution point of a certificate, or of a list.
type namedPoint struct {
	names pointNames
	// partial: what is there is for some revocation reasons only, or by another
	// CA (an indirect list), neither of which says that nobody has revoked the
	// certificate.
	partial bool
}

// pointsOf returns the points of a CRLDistributionPoints or FreshestCRL
// extension that have a name; what it cannot read it leaves out.
func pointsOf(der []byte) (all []namedPoint) {
	input := cryptobyte.String(der)
	var points cryptobyte.String
	if !input.ReadASN1(&points, cbasn1.SEQUENCE) {
		return nil
	}
	for !points.Empty() {
		var point, name cryptobyte.String
		var named bool
		if !points.ReadASN1(&point, cbasn1.SEQUENCE) || !point.ReadOptionalASN1(&name, &named, cbasn1.Tag(0).ContextSpecific().Constructed()) {
			return all
		}
		if named {
			all = append(all, namedPoint{namesOfPoint(name), !point.Empty()})
		}
	}
	return all
}

// pointURLs returns the URLs of such an extension.
func pointURLs(der []byte) (urls []string) {
	for _, point := range pointsOf(der) {
		for name := range strings.SplitSeq(string(point.names), "\n") {
			if u, ok := strings.CutPrefix(name, "u"); ok {
				urls = append(urls, u)
			}
		}
	}
	return urls
}

// isHTTP reports whether a distribution point is one that is followed.
func isHTTP(location string) bool {
	u, err := url.Parse(location)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
