package register_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

var (
	oidC  = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO  = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCN = asn1.ObjectIdentifier{2, 5, 4, 3}
)

type atv = pkix.AttributeTypeAndValue

// rdn is one relative distinguished name: several attributes make it
// multi-valued.
func rdn(a ...atv) pkix.RelativeDistinguishedNameSET { return a }
func ou(v any) atv                                   { return atv{Type: oidOU, Value: v} }
func cn(v any) atv                                   { return atv{Type: oidCN, Value: v} }

func good(t testing.TB) *register.List {
	t.Helper()
	l, err := register.Load("testdata/good-etablissements.yaml", "testdata/good-amc.yaml", today)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// leaf makes a real certificate of that subject, and parses it as a handshake
// would.
func leaf(t testing.TB, subject pkix.RDNSequence) *x509.Certificate {
	t.Helper()
	raw, err := asn1.Marshal(subject)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: raw, NotBefore: time.Unix(0, 0), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCallers(t *testing.T) {
	t.Parallel()
	l := good(t)
	c := rdn(atv{Type: oidC, Value: "FR"})
	for _, x := range []struct {
		name    string
		subject pkix.RDNSequence
		want    roc.StructureID
		refused roc.Reason
	}{
		{"the EJ (profile 4)", pkix.RDNSequence{c, rdn(ou("1010003812")), rdn(cn("gap"))}, "1010003812", ""},
		{"an EG, mapped to its EJ (domain 4.5)", pkix.RDNSequence{c, rdn(ou("1010003820")), rdn(cn("gap"))}, "1010003812", ""},
		{"a FINESS of Corsica (domain 4.4)", pkix.RDNSequence{rdn(ou("12A0000014"))}, "12A0000014", ""},
		{"accrochage is a state that may call", pkix.RDNSequence{rdn(ou("10B0000011"))}, "10B0000011", ""},
		{"another OU beside it, of the hierarchy", pkix.RDNSequence{rdn(ou("IGC-SANTE TEST")), rdn(ou("0002 187512751")), rdn(ou("1010003812"))}, "1010003812", ""},
		{"the same OU twice", pkix.RDNSequence{rdn(ou("1010003812")), rdn(ou("1010003812"))}, "1010003812", ""},
		{"OU and CN in one RDN", pkix.RDNSequence{c, rdn(ou("1010003812"), cn("gap"))}, "1010003812", ""},
		{"a semicolon in the CN (domain 4.2)", pkix.RDNSequence{rdn(ou("1010003812")), rdn(cn("rpps.tra.henix;asipsante.fr"))}, "1010003812", ""},
		{"a CN that looks like an OU", pkix.RDNSequence{rdn(ou("1010003812")), rdn(cn("x;OU=12A0000014"))}, "1010003812", ""},

		{"suspendu (profile 6)", pkix.RDNSequence{rdn(ou("1690000013"))}, "", roc.Suspended},
		{"clos (profile 6)", pkix.RDNSequence{rdn(ou("1690000021"))}, "", roc.Suspended},
		{"not in the register", pkix.RDNSequence{rdn(ou("1990000018"))}, "", roc.UnknownStructure},
		{"a FINESS without its prefix", pkix.RDNSequence{rdn(ou("010003812"))}, "", roc.UnknownStructure},
		{"a SIRET", pkix.RDNSequence{rdn(ou("318751275100020"))}, "", roc.UnknownStructure},
		{"two structures", pkix.RDNSequence{rdn(ou("1010003812")), rdn(ou("12A0000014"))}, "", roc.UnknownStructure},
		{"two structures in one RDN", pkix.RDNSequence{rdn(ou("1010003812"), ou("12A0000014"))}, "", roc.UnknownStructure},
		{"an EJ and its own EG", pkix.RDNSequence{rdn(ou("1010003812")), rdn(ou("1010003820"))}, "", roc.UnknownStructure},
		{"only in the CN", pkix.RDNSequence{rdn(cn("x;OU=1010003812"))}, "", roc.UnknownStructure},
		{"only in the CN, as the text of a DN", pkix.RDNSequence{rdn(cn("gap, OU=1010003812, O=CHU"))}, "", roc.UnknownStructure},
		{"in the O", pkix.RDNSequence{rdn(atv{Type: oidO, Value: "1010003812"})}, "", roc.UnknownStructure},
		{"spaces around", pkix.RDNSequence{rdn(ou(" 1010003812"))}, "", roc.UnknownStructure},
		{"an escape", pkix.RDNSequence{rdn(ou(`\31010003812`))}, "", roc.UnknownStructure},
		{"hexadecimal text of a DN", pkix.RDNSequence{rdn(ou("#130a31303130303033383132"))}, "", roc.UnknownStructure},
		{"a NUL at the end", pkix.RDNSequence{rdn(ou("1010003812\x00"))}, "", roc.UnknownStructure},
		{"full-width digits", pkix.RDNSequence{rdn(ou("１010003812"))}, "", roc.UnknownStructure},
		{"lower case", pkix.RDNSequence{rdn(ou("12a0000014"))}, "", roc.UnknownStructure},
		{"nothing", pkix.RDNSequence{}, "", roc.UnknownStructure},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			e, err := l.Caller(leaf(t, x.subject))
			switch {
			case x.refused != "":
				if !roc.IsRefused(err, x.refused) || e != nil || roc.RefusalOf(err).Detail == "" {
					t.Errorf("got %v, %v; want %s with a detail", e, err, x.refused)
				}
			case err != nil:
				t.Error(err)
			case e.Structure != x.want:
				t.Errorf("got %s, want %s", e.Structure, x.want)
			}
		})
	}
}

func TestNoCertificateIsNoCaller(t *testing.T) {
	t.Parallel()
	if _, err := good(t).Caller(nil); !roc.IsRefused(err, roc.UnknownStructure) {
		t.Errorf("%v", err)
	}
	if _, err := new(register.List).Caller(leaf(t, pkix.RDNSequence{rdn(ou("1010003812"))})); !roc.IsRefused(err, roc.UnknownStructure) {
		t.Errorf("an empty list must know nobody: %v", err)
	}
}

// Profile section 4, finess_ej and finess_eg.
func TestSites(t *testing.T) {
	t.Parallel()
	l := good(t)
	for _, x := range []struct {
		name   string
		es     roc.StructureID
		caller roc.StructureID
		ej, eg roc.FINESS
		ok     bool
	}{
		{"the EJ of the certificate, no EG", "1010003812", "1010003812", "010003812", "", true},
		{"the EJ, and one of its EGs", "1010003812", "1010003812", "010003812", "010003838", true},
		{"a certificate of an EG: its EJ", "1010003812", "1010003820", "010003812", "", true},
		{"a certificate of an EG: its EJ and the same EG", "1010003812", "1010003820", "010003812", "010003820", true},
		{"a certificate of an EG: another EG of the EJ", "1010003812", "1010003820", "010003812", "010003838", true},
		{"a certificate of an EG: finess_ej is not that EG", "1010003812", "1010003820", "010003820", "", false},
		{"another EJ", "1010003812", "1010003812", "2A0000014", "", false},
		{"no EJ", "1010003812", "1010003812", "", "", false},
		{"an EG of nobody", "1010003812", "1010003812", "010003812", "990000018", false},
		{"an EG that is the EJ of another", "1010003812", "1010003812", "010003812", "2A0000014", false},
		{"an EG that is the EJ itself", "1010003812", "1010003812", "010003812", "010003812", false},
		{"the EG of another", "12A0000014", "12A0000014", "2A0000014", "010003820", false},
		{"a certificate of another establishment", "1010003812", "12A0000014", "010003812", "", false},
		{"a certificate of nobody", "1010003812", "1990000018", "010003812", "", false},
		{"no certificate", "1010003812", "", "010003812", "", false},
	} {
		es, ok := l.ByStructure(x.es)
		if !ok {
			t.Fatal(x.es)
		}
		err := l.CheckSites(es, x.caller, x.ej, x.eg)
		if x.ok && err != nil || !x.ok && !roc.IsRefused(err, roc.StructureMismatch) {
			t.Errorf("%s: %v", x.name, err)
		}
		if !x.ok && (roc.RefusalOf(err).Detail == "" || x.eg != "" && x.eg != es.EJ && strings.Contains(err.Error(), string(x.eg))) {
			t.Errorf("%s: a detail for the caller, and nothing of the message in the cause: %v", x.name, err)
		}
	}
}

// Whatever the subject, Caller gives an establishment only when exactly one
// structure stands in its OUs, and that one is this establishment's.
func FuzzCaller(f *testing.F) {
	l := good(f)
	for _, s := range []pkix.RDNSequence{
		{rdn(ou("1010003812")), rdn(cn("gap;x"))},
		{rdn(ou("1010003812"), ou("12A0000014"))},
		{rdn(ou("1010003820"), cn("x, OU=12A0000014"))},
		{rdn(ou("318751275100020"))},
	} {
		raw, err := asn1.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var seq pkix.RDNSequence
		if rest, err := asn1.Unmarshal(raw, &seq); err != nil || len(rest) > 0 {
			return
		}
		c := &x509.Certificate{}
		c.Subject.FillFromRDNSequence(&seq)
		e, err := l.Caller(c)
		if err != nil {
			if r := roc.RefusalOf(err); e != nil || r.Reason != roc.UnknownStructure && r.Reason != roc.Suspended {
				t.Fatalf("%v, %v", e, err)
			}
			return
		}
		// The naive reading of the rule.
		found := map[string]bool{}
		for _, set := range seq {
			for _, a := range set {
				if s, ok := a.Value.(string); ok && a.Type.Equal(oidOU) {
					if _, err := roc.ParseStructureID(s); err == nil {
						found[s] = true
					}
				}
			}
		}
		if len(found) != 1 {
			t.Fatalf("accepted with %v", found)
		}
		for s := range found {
			if s != string(e.Structure) && !(e.Structure == "1010003812" && (s == "1010003820" || s == "1010003838")) {
				t.Fatalf("%s became %s", s, e.Structure)
			}
		}
	})
}

// An insurer that has had trials is no validation platform: once of the circle
// it may be an AMC miroir.
func TestAnInsurerThatHadTrialsMayBeAMiroir(t *testing.T) {
	t.Parallel()
	_, err := register.Parse("e", []byte(`etablissements:
  - {finess_ej: 010003812, nom: A, etat: surveillance, amc_miroir: 0075500025}
`), "a", []byte(`amcs:
  - {nom: B, numeros: [0075500025], essais_avec: [010003812], etats: [{depuis: 2026-01-01, etat: validation}, {depuis: 2026-09-01, etat: cercle}]}
`), today)
	if err != nil {
		t.Error(err)
	}
}

// The ids of an establishment are those of the certificates that stand for it.
func TestTheIDsOfAnEstablishment(t *testing.T) {
	t.Parallel()
	l := good(t)
	for es := range l.Etablissements() {
		for _, id := range es.IDs() {
			if of, known := l.ByStructure(id); !known || of != es {
				t.Errorf("%s is not of %s", id, es.Structure)
			}
		}
	}
	es := register.Etablissement{Structure: "1010003812", EGs: []roc.FINESS{"010003820"}, Structures: []roc.StructureID{"318751275100020"}}
	if got, want := es.IDs(), []roc.StructureID{"1010003812", "1010003820", "318751275100020"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
