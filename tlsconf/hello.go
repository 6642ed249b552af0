package tlsconf

import (
	"crypto/tls"
	"strings"
)

// offered is what a ClientHello offered; zero when none came.
type offered struct {
	seen     bool
	versions []uint16
	name     string // SNI, as sent
}

func (o offered) tooOld() bool {
	if !o.seen {
		return false
	}
	for _, v := range o.versions {
		if v == tls.VersionTLS12 || v == tls.VersionTLS13 {
			return false
		}
	}
	return true
}

func (o offered) versionNames() string {
	var names []string
	for _, v := range o.versions {
		if len(names) == 6 { // a client may list thousands
			break
		}
		names = append(names, tls.VersionName(v))
	}
	return strings.Join(names, ", ")
}
