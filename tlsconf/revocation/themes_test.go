package revocation_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"time"
)

// A theme is what one generated PKI is about. build makes the CA that issues
// under above, its lists, and the leaf.
type theme struct {
	name  string
	deep  bool // there may be a CA between
	build func(d *drawn, above *maker, cn string)
}

const (
	ldap  = "ldap://annuaire.example/cn=AC?certificateRevocationList"
	here  = "http://crl.example/Ac.crl"
	there = "http://crl.example/2.crl"
)

// full is one complete list of the CA that issues, changed.
func full(change func(d *drawn, l *list)) func(d *drawn, above *maker, cn string) {
	return func(d *drawn, above *maker, cn string) {
		by := d.issuing(above, cn)
		d.client(by)
		d.listOf(above, d.maybe(by)...)
		l := d.listOf(by, d.maybe(d.leaf)...)
		if change != nil {
			change(d, l)
		}
		d.shuffled()
	}
}

// always revokes the leaf, by this entry.
func always(make func(d *drawn) entry) func(d *drawn, above *maker, cn string) {
	return func(d *drawn, above *maker, cn string) {
		by := d.issuing(above, cn)
		d.client(by)
		l := d.listOf(by)
		l.entries = slices.Insert(l.entries, d.IntN(len(l.entries)+1), make(d))
	}
}

// scoped is a list of the CA with an IssuingDistributionPoint, and a leaf with
// these points.
func scoped(idp func(d *drawn) (of [][]byte, points []point)) func(d *drawn, above *maker, cn string) {
	return func(d *drawn, above *maker, cn string) {
		by := d.issuing(above, cn)
		of, points := idp(d)
		d.client(by, points...)
		d.listOf(by, d.maybe(d.leaf)...).idp = of
		d.shuffled()
	}
}

// uris draws one to three of these URLs.
func (d *drawn) uris() (names [][]byte) {
	all := []string{ldap, here, there, "http://crl.example/3.crl", "HTTP-mirror.example/relative"}
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, u := range all[:1+d.IntN(3)] {
		names = append(names, uri(u))
	}
	return names
}

func themes() []theme {
	hour := func(n int) time.Time { return time.Now().Add(time.Duration(n) * time.Hour) }
	return []theme{
		{"plain", true, full(nil)},
		{"one list missing", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			for _, m := range []*maker{by, d.roots[0]} {
				if d.IntN(2) == 0 {
					d.listOf(m)
				}
			}
		}},
		{"reasons and dates", true, always(func(d *drawn) entry {
			e := of(d.leaf.cert, []int{0, 1, 2, 3, 4, 5, 6, 9, 10}[d.IntN(9)])
			e.date = timeDER(hour(-d.IntN(9000)))
			return e
		})},
		{"ended", true, full(func(d *drawn, l *list) { l.from, l.to = hour(-48), hour(-1-d.IntN(24)) })},
		{"begins later", true, full(func(d *drawn, l *list) { l.from, l.entries = hour(1), nil })},
		{"no nextUpdate", true, full(func(d *drawn, l *list) { l.to = time.Time{} })},
		{"no nextUpdate, old", true, full(func(d *drawn, l *list) { l.from, l.to = hour(-50), time.Time{} })},
		{"version 1", false, full(func(d *drawn, l *list) { l.first = true })},
		{"no number", true, full(func(d *drawn, l *list) { l.number = 0 })},
		{"no key identifier", true, full(func(d *drawn, l *list) { l.noAKI = true })},
		{"key identifier of another", false, full(func(d *drawn, l *list) {
			l.noAKI = true
			l.extensions = append(l.extensions, pkix.Extension{Id: oidAKI, Value: sequence(append([]byte{0x80, 20}, make([]byte, 20)...))})
		})},
		{"signed by another key", true, full(func(d *drawn, l *list) { l.signer = forgedKeys()[(d.keys+1)%6] })},
		{"a byte changed", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			d.lists = nil
			d.listOf(by)
			d.spoilt[0] = func(der []byte) []byte { der[len(der)-3] ^= 1; return der }
			d.listOf(above)
		}},
		{"critical extension", true, full(func(d *drawn, l *list) {
			l.extensions = append(l.extensions, pkix.Extension{Id: oidOdd, Critical: d.IntN(2) == 0, Value: []byte{5, 0}})
		})},
		{"critical extension of an entry", true, always(func(d *drawn) entry {
			return entry{serial: []byte{9, 9, 9}, extensions: []pkix.Extension{{Id: oidOdd, Critical: d.IntN(2) == 0, Value: []byte{5, 0}}}}
		})},
		{"may not sign lists", false, func(d *drawn, above *maker, cn string) {
			by := d.ca(cn, above, func(c *x509.Certificate) {
				c.KeyUsage = x509.KeyUsageCertSign
			})
			d.inters = append(d.inters, by)
			d.client(by)
			d.listOf(by, d.maybe(d.leaf)...)
		}},
		{"some users, some CAs", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			d.listOf(by, d.maybe(d.leaf)...).idp = [][]byte{yes(uint8(1 + d.IntN(2)))}
			d.listOf(above, d.maybe(by)...).idp = [][]byte{yes(uint8(1 + d.IntN(2)))}
			d.shuffled()
		}},
		{"users in one list, CAs in another", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			d.listOf(by, d.maybe(d.leaf)...).idp = [][]byte{yes(1)}
			d.listOf(by).idp = [][]byte{yes(2)}
			d.listOf(above, d.maybe(by)...).idp = [][]byte{yes(2)}
			d.listOf(above).idp = [][]byte{yes(1)}
			d.shuffled()
		}},
		{"several names", true, scoped(func(d *drawn) ([][]byte, []point) {
			points := []point{{names: d.uris()}}
			if d.IntN(2) == 0 {
				points = append(points, point{names: d.uris()})
			}
			return [][]byte{pointName(d.uris()...)}, points
		})},
		{"several names, users only", true, scoped(func(d *drawn) ([][]byte, []point) {
			return [][]byte{pointName(d.uris()...), yes(1)}, []point{{names: d.uris()}}
		})},
		{"directory name", true, scoped(func(d *drawn) ([][]byte, []point) {
			at := d.one("CRL 1", "CRL 1", "CRL 2")
			points := [][]byte{directory(d.spell(at))}
			if d.IntN(2) == 0 {
				points = append(points, uri(there))
			}
			return [][]byte{pointName(directory(d.spell("CRL 1")), uri(here))}, []point{{names: points}}
		})},
		{"host case", false, scoped(func(d *drawn) ([][]byte, []point) {
			return [][]byte{pointName(uri("HTTP://CRL.Example/Ac.crl"))}, []point{{names: [][]byte{uri(here)}}}
		})},
		{"path case", false, scoped(func(d *drawn) ([][]byte, []point) {
			return [][]byte{pointName(uri("http://crl.example/ac.crl"))}, []point{{names: [][]byte{uri(here)}}}
		})},
		{"relative name", false, scoped(func(d *drawn) ([][]byte, []point) {
			rdn := written("CRL 1", spelling{tag: 12})
			last := rdn[len(rdn)-16:] // the set of the common name
			name := inContext(0, inContext(1, last[2:]))
			return [][]byte{name}, []point{{names: [][]byte{uri(here)}}}
		})},
		{"some reasons in the certificate", false, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by, point{names: [][]byte{uri(here)}, reasons: true})
			d.listOf(by, d.maybe(d.leaf)...)
		}},
		{"a list of some reasons' point", false, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by, point{names: [][]byte{uri(here)}, reasons: true})
			d.listOf(by).idp = [][]byte{pointName(uri(here))}
		}},
		{"point of another issuer", false, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by, point{names: [][]byte{uri(here)}, issuer: d.spell("AC AUTRE")})
			l := d.listOf(by, d.maybe(d.leaf)...)
			if d.IntN(2) == 0 {
				l.idp = [][]byte{pointName(uri(here))}
			}
		}},
		{"partitions", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by, point{names: [][]byte{uri(d.one(here, there, ldap))}})
			for i, u := range []string{here, there, ldap} {
				if l := d.listOf(by); i > 0 || d.IntN(4) > 0 {
					l.idp = [][]byte{pointName(uri(u))}
				} else {
					l.idp = [][]byte{pointName(uri("http://crl.example/9.crl"))}
				}
			}
			if d.IntN(3) == 0 { // in the list of its own partition
				for _, l := range d.lists {
					if l.by == by && slices.ContainsFunc(l.idp, func(b []byte) bool { return slices.Equal(b, pointName(pointOfLeaf(d))) }) {
						l.entries = append(l.entries, of(d.leaf.cert, 1))
					}
				}
			}
			d.shuffled()
		}},
		{"two scopes disagree", false, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by, point{names: [][]byte{uri(here)}})
			d.listOf(by, d.maybe(d.leaf)...)
			d.listOf(by, d.maybe(d.leaf)...).idp = [][]byte{pointName(uri(there))}
			d.shuffled()
		}},
		{"old and new", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			for i := range 2 + d.IntN(2) {
				l := d.listOf(by, d.maybe(d.leaf)...)
				l.number, l.from = int64(10+i), hour(-20+i)
			}
			d.shuffled()
		}},
		{"goes back in time", false, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			for i := range 2 {
				l := d.listOf(by, d.maybe(d.leaf)...)
				l.number, l.from = int64(12-i), hour(-20+i)
			}
			d.shuffled()
		}},
		{"delta adds", true, delta(func(d *drawn, base, l *list) { l.entries = append(d.others(), d.maybe(d.leaf)...) })},
		{"delta takes back", true, delta(func(d *drawn, base, l *list) {
			base.entries = append(base.entries, of(d.leaf.cert, 6))
			if d.IntN(2) == 0 {
				l.entries = []entry{of(d.leaf.cert, 8)}
			}
		})},
		{"delta to another list", true, delta(func(d *drawn, base, l *list) {
			l.deltaOf, l.number = 11, 12
			l.entries = append(d.others(), d.maybe(d.leaf)...)
		})},
		{"delta older than the complete list", true, delta(func(d *drawn, base, l *list) {
			l.deltaOf, l.number = 8, int64(9+d.IntN(2))
			l.entries = append(d.others(), d.maybe(d.leaf)...)
		})},
		{"ended, and its delta is not", true, delta(func(d *drawn, base, l *list) {
			base.from, base.to = hour(-48), hour(-1)
			l.entries = append(d.others(), d.maybe(d.leaf)...)
		})},
		{"delta ended", true, delta(func(d *drawn, base, l *list) {
			l.from, l.to = hour(-2), hour(-1)
			l.entries = append(d.others(), d.maybe(d.leaf)...)
		})},
		{"delta of another scope", true, delta(func(d *drawn, base, l *list) {
			l.idp = [][]byte{yes(1)}
			l.entries = append(d.others(), d.maybe(d.leaf)...)
		})},
		{"delta that nobody names", false, delta(func(d *drawn, base, l *list) {
			base.fresh = false
			l.entries = append(d.others(), d.maybe(d.leaf)...)
		})},
		{"several deltas", false, delta(func(d *drawn, base, l *list) {
			other := *l
			other.number, other.entries = 12, append(d.others(), d.maybe(d.leaf)...)
			d.lists = append(d.lists, &other)
		})},
		{"delta and partition", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by, point{names: [][]byte{uri(d.one(here, there))}})
			for _, u := range []string{here, there} {
				base := d.listOf(by)
				base.idp, base.fresh = [][]byte{pointName(uri(u))}, true
				l := d.listOf(by)
				l.idp, l.number, l.deltaOf = base.idp, 11, 10
				if slices.Equal(pointOfLeaf(d), uri(u)) {
					l.entries = append(l.entries, d.maybe(d.leaf)...)
				}
			}
			d.opts = deltas
			d.shuffled()
		}},
		{"two keys of one name", true, func(d *drawn, above *maker, cn string) {
			old := d.issuing(above, cn)
			by := d.issuing(above, cn)
			d.client(by)
			// The other key's certificate of this serial number is another one.
			if d.IntN(3) > 0 {
				d.listOf(old, of(d.leaf.cert, 1))
			}
			if d.IntN(3) > 0 {
				d.listOf(by, d.maybe(d.leaf)...)
			}
			d.presents = []*x509.Certificate{by.cert}
			if above != d.roots[0] {
				d.presents = append(d.presents, above.cert)
			}
			d.shuffled()
		}},
		{"two keys, no key identifier", false, func(d *drawn, above *maker, cn string) {
			old := d.issuing(above, cn)
			by := d.issuing(above, cn)
			d.client(by)
			d.listOf(old).noAKI = true
			d.listOf(by, d.maybe(d.leaf)...).noAKI = true
			d.presents = certsOf([]*maker{by})
			d.shuffled()
		}},
		{"renewed CA", false, func(d *drawn, above *maker, cn string) {
			old := d.issuing(above, cn)
			d.keys-- // the same key
			renewed := d.ca(cn, above, nil)
			d.inters = append(d.inters, renewed)
			d.client(renewed)
			d.listOf(above, of([]*maker{old, renewed}[d.IntN(2)].cert, 1))
			d.listOf(renewed, d.maybe(d.leaf)...)
		}},
		{"extended", false, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			if l := d.listOf(by, d.maybe(d.leaf)...); d.IntN(2) == 0 {
				l.idp = [][]byte{yes(4)}
			} else {
				l.idp = [][]byte{someReasons(3)}
				rest := d.listOf(by)
				rest.idp = [][]byte{tagged(0x83, []byte{0, 0x3d, 0x80})}
			}
			d.opts = []string{"-extended_crl"}
		}},
		{"indirect or of some reasons", true, func(d *drawn, above *maker, cn string) {
			by := d.issuing(above, cn)
			d.client(by)
			d.listOf(by, d.maybe(d.leaf)...).idp = [][][]byte{{yes(4)}, {someReasons(3)}, {yes(5)}}[d.IntN(3)]
			if d.IntN(2) == 0 { // beside a complete one
				d.listOf(by, d.maybe(d.leaf)...)
			}
			d.shuffled()
		}},
		{"certificateIssuer", false, always(func(d *drawn) entry {
			e := entry{serial: []byte{9, 9, 9}}
			if d.IntN(2) == 0 {
				e = of(d.leaf.cert, 1)
			}
			e.extensions = append(e.extensions, pkix.Extension{Id: oidIssuer, Critical: true, Value: sequence(directory(d.spell("AC AUTRE")))})
			return e
		})},
		{"removeFromCRL in a complete list", false, always(func(d *drawn) entry { return of(d.leaf.cert, 8) })},
		{"odd entries", true, full(func(d *drawn, l *list) {
			for _, e := range []entry{
				{serial: []byte{0xff, 0x01}}, {serial: []byte{0}}, {serial: append([]byte{1}, make([]byte, 60)...)},
				{serial: []byte{8, 1}, date: tagged(23, []byte("no date"))},
				{serial: []byte{8, 2}, extensions: []pkix.Extension{{Id: oidReason, Value: enumerated(7)}}},
				{serial: []byte{8, 3}, extensions: []pkix.Extension{{Id: oidReason, Value: []byte{10, 1, 99}}}},
			} {
				if d.IntN(2) == 0 {
					l.entries = slices.Insert(l.entries, d.IntN(len(l.entries)+1), e)
				}
			}
		})},
		{"odd beside the number", true, always(func(d *drawn) entry {
			e := of(d.leaf.cert, -1)
			switch d.IntN(3) {
			case 0:
				e.date = tagged(23, []byte("no date"))
			case 1:
				e.extensions = []pkix.Extension{{Id: oidReason, Value: enumerated(7)}}
			case 2:
				e.extensions = []pkix.Extension{{Id: oidOdd, Value: []byte{5, 0}}, {Id: oidReason, Value: enumerated(1)}}
			}
			return e
		})},
		{"twice in one list", true, always(func(d *drawn) entry {
			d.lists[len(d.lists)-1].entries = append(d.lists[len(d.lists)-1].entries, of(d.leaf.cert, 6))
			return of(d.leaf.cert, 1)
		})},
		{"a list of a stranger beside", true, full(func(d *drawn, l *list) {
			root := d.ca("AC INCONNUE", nil, nil)
			d.listOf(root, of(d.leaf.cert, 1))
		})},
		{"of a CA of that name that is a stranger", true, full(func(d *drawn, l *list) {
			stranger := d.ca(d.issuer[l.by], nil, nil)
			d.listOf(stranger, of(d.leaf.cert, 1))
		})},
		{"chain out of order", false, func(d *drawn, above *maker, cn string) {
			middle := d.ca("AC MILIEU", above, nil)
			by := d.ca(cn, middle, nil)
			d.inters = []*maker{middle, by}
			d.client(by)
			d.listOf(middle)
			d.listOf(by, d.maybe(d.leaf)...)
			d.presents = certsOf(d.inters)
		}},
	}
}

// deltas are the options that have OpenSSL use deltas as such: without
// -extended_crl it takes one for a complete list (OpenSSL 3.0, get_crl_score).
var deltas = []string{"-use_deltas", "-extended_crl"}

// delta is a complete list number 10 and its delta number 11, changed.
func delta(change func(d *drawn, base, l *list)) func(d *drawn, above *maker, cn string) {
	return func(d *drawn, above *maker, cn string) {
		by := d.issuing(above, cn)
		d.client(by)
		base := d.listOf(by)
		base.fresh = true
		l := d.listOf(by)
		l.number, l.deltaOf, l.from = 11, 10, time.Now().Add(-time.Hour)
		change(d, base, l)
		d.opts = deltas
		d.shuffled()
	}
}

// pointOfLeaf is the only name of the only point of the leaf.
func pointOfLeaf(d *drawn) []byte { return uri(d.leaf.cert.CRLDistributionPoints[0]) }
