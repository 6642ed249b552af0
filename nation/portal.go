package nation

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
)

// operatorRoles are the operators of the portal, one of each role.
var operatorRoles = []string{"lecture", "exploitation", "administration"}

// amcID is the structure id of the certificates of an insurer.
func amcID(n roc.NumeroAMC) roc.StructureID { return roc.StructureID("2" + string(n[1:])) }

// readers makes the certificates of those who read the portal and send nothing:
// the insurers, and one operator of each role.
func (n *Nation) readers() error {
	if !n.opts.Portal {
		return nil
	}
	for _, i := range n.opts.Insurers {
		_, err := n.pair(filepath.Join("amc", i.ID), "portail", func() igc.Pair { return n.PKI.AMCAuth(amcID(i.Numero), strings.ToUpper(i.Nom), igc.ECDSA()) })
		if err != nil {
			return err
		}
	}
	for _, role := range operatorRoles {
		_, err := n.pair("exploitants", role, func() igc.Pair {
			return n.PKI.Auth(igc.RPN, "RPN FICTIF", igc.CN("exploitant."+role+".test"), igc.ECDSA(), igc.Key("exploitant "+role))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// portalSection is the section portal of rpn.yaml.
func (n *Nation) portalSection() string {
	if !n.opts.Portal {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\nweather: true\noperators:\n", n.portalAddr)
	for _, role := range operatorRoles {
		fmt.Fprintf(&b, "  - {name: Exploitant fictif (%s), certificate: exploitants/%s.pem, role: %s}\n", role, role, role)
	}
	if n.opts.OIDC != "" {
		fmt.Fprintf(&b, "address: %s\noidc:\n  %s\n", n.PortalURL(), strings.ReplaceAll(strings.TrimSpace(n.opts.OIDC), "\n", "\n  "))
	}
	return b.String()
}

// A Reader is somebody who reads the portal: a name for people, and the files
// of its certificate.
type Reader struct {
	Name      string
	Home      string // the path of its first page
	Cert, Key string
	PKCS12    string // both, for a browser, with BrowserPassword
}

// BrowserPassword protects the PKCS12 of every Reader. Browsers want one; the key
// lies beside it.
const BrowserPassword = "demo"

func reader(name, home, cert, key string) Reader {
	return Reader{name, home, cert, key, strings.TrimSuffix(cert, ".pem") + ".p12"}
}

// browserFiles writes what a browser imports, unless an earlier nation did.
func (n *Nation) browserFiles() error {
	if !n.opts.Portal {
		return nil
	}
	for _, r := range n.Readers() {
		if _, err := os.Stat(r.PKCS12); err == nil {
			continue
		}
		dir, name := filepath.Split(strings.TrimSuffix(r.Cert, ".pem"))
		p, err := igc.ReadPair(dir, name)
		if err == nil {
			err = p.WritePKCS12(r.PKCS12, BrowserPassword)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Readers are an establishment, an insurer and the operators.
func (n *Nation) Readers() (list []Reader) {
	e := n.Files(n.opts.Etablissements[0].ID)
	first := n.opts.Etablissements[0]
	list = append(list, reader(first.Nom, "/etablissement/"+string(roc.StructureOf(first.EJ)), e.Cert, e.Key))
	for _, i := range n.opts.Insurers {
		if i.Etat == "cercle" && !i.Absent {
			list = append(list, reader(i.Nom, "/amc/"+string(i.Numero), filepath.Join(n.Dir, "amc", i.ID, "portail.pem"), filepath.Join(n.Dir, "amc", i.ID, "portail.key")))
			break
		}
	}
	for _, role := range operatorRoles {
		list = append(list, reader("exploitant, "+role, "/national", filepath.Join(n.Dir, "exploitants", role+".pem"), filepath.Join(n.Dir, "exploitants", role+".key")))
	}
	return list
}

// ConsoleURL is where operators look, on their own listener.
func (n *Nation) ConsoleURL() string { return n.AdminURL() + "/console/" }

// PortalURL is where the pages are; "": there is no portal.
func (n *Nation) PortalURL() string {
	if n.portalAddr == "" {
		return ""
	}
	return "https://localhost:" + n.portalAddr[strings.LastIndex(n.portalAddr, ":")+1:]
}
