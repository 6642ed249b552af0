package nation

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// The directory of a nation:
//
//	rpn.yaml etablissements.yaml amc.yaml      what `rpn serve` reads
//	annuaire.yaml                              the rows of the annuaire
//	rpn.log                                    the RPN's log, one JSON object a line
//	confiance/ autorites/                      trust stores, and the authorities' keys
//	rpn/ annuaire/ amc/ID/                     certificates and keys: serveur, client, signature; secrets
//	etablissements/ID/                         auth, sign
//	exploitants/ROLE                           certificates of who operates, and amc/ID/portail: of who reads the portal
//	*.p12                                      beside the certificates of Readers, for a browser
//	exclusion/                                 the deny list, and the key that signs it
//	messages/                                  messages to send, unsigned
//	rpn/state/                                 what the RPN keeps
//	preuve/ indicateurs/ indicateurs.db        what a day leaves to an establishment

// PairFiles are the files of an establishment.
type PairFiles struct{ Cert, Key, SignCert, SignKey string }

// Files are the files of the establishment of that ID.
func (n *Nation) Files(id string) PairFiles {
	d := n.etablissementDir(id)
	return PairFiles{
		Cert: filepath.Join(d, "auth.pem"), Key: filepath.Join(d, "auth.key"),
		SignCert: filepath.Join(d, "sign.pem"), SignKey: filepath.Join(d, "sign.key"),
	}
}

func (n *Nation) etablissementDir(id string) string {
	return filepath.Join(n.Dir, "etablissements", id)
}

// ConfigFile is the RPN's configuration.
func (n *Nation) ConfigFile() string { return filepath.Join(n.Dir, "rpn.yaml") }

// LogFile is the RPN's log.
func (n *Nation) LogFile() string { return filepath.Join(n.Dir, "rpn.log") }

// AuthorityFile holds the authorities of the RPN's server certificate.
func (n *Nation) AuthorityFile() string { return igc.StoreFile(n.Dir, igc.EtablissementTLS) }

// MessageFile is an unsigned IDB of the first establishment.
func (n *Nation) MessageFile() string { return filepath.Join(n.Dir, "messages", "idb-v2.xml") }

// openPKI reads the authorities of an earlier nation in Dir, or makes them.
func (n *Nation) openPKI() (fresh bool, err error) {
	o := igc.Options{Now: n.now, Keys: n.opts.Keys}
	if _, err := os.Stat(filepath.Join(n.Dir, "autorites")); err == nil {
		n.PKI, err = igc.Open(n.Dir, o)
		return false, err
	}
	n.PKI = igc.New(o)
	return true, n.PKI.Write(n.Dir)
}

// pair reads a certificate of an earlier nation, or makes it and writes it.
func (n *Nation) pair(dir, name string, make func() igc.Pair) (igc.Pair, error) {
	dir = filepath.Join(n.Dir, dir)
	if _, err := os.Stat(filepath.Join(dir, name+".key")); err == nil {
		return igc.ReadPair(dir, name)
	}
	p := make()
	_, _, err := p.Write(dir, name)
	return p, err
}

// certificates reads or makes every certificate of the nation, those of the
// establishments on all processors.
func (n *Nation) certificates() error {
	var err error
	own := func(into *igc.Pair, dir, name string, make func() igc.Pair) {
		p, e := n.pair(dir, name, make)
		if e != nil && err == nil {
			err = e
		}
		*into = p
	}
	// P-256 for TLS and for the far side: the demonstration starts sooner. The
	// establishments sign with RSA, as they do.
	quick := igc.ECDSA()
	own(&n.keys.server, "rpn", "serveur", func() igc.Pair {
		return n.serverPair()
	})
	own(&n.keys.client, "rpn", "client", func() igc.Pair { return n.PKI.Auth(igc.RPN, "RPN FICTIF", quick) })
	own(&n.keys.sign, "rpn", "signature", func() igc.Pair { return n.PKI.Sign(igc.RPN, "RPN FICTIF", quick) })
	own(&n.keys.annuaire, "annuaire", "serveur", func() igc.Pair { return n.PKI.Server(igc.AMCTLS, annuaireHost, quick) })
	own(&n.keys.annuaireSign, "annuaire", "signature", func() igc.Pair { return n.PKI.AMCSigner(annuaireID, "ANNUAIRE FICTIF", quick) })
	if err == nil {
		err = errors.Join(n.writeSecrets(), n.openExclusion())
	}
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range n.opts.Etablissements {
		wg.Go(func() {
			e, e2 := n.welcome(c)
			mu.Lock()
			defer mu.Unlock()
			if e2 != nil && err == nil {
				err = e2
			}
			n.people[c.ID] = e
		})
	}
	wg.Wait()
	return err
}

// welcome gives a character its certificates.
func (n *Nation) welcome(c Character) (*Etablissement, error) {
	e := &Etablissement{Character: c, n: n}
	dir := filepath.Join("etablissements", c.ID)
	id := roc.StructureOf(c.EJ)
	var err, err2 error
	e.TLS, err = n.pair(dir, "auth", func() igc.Pair {
		return n.PKI.Auth(id, strings.ToUpper(c.Nom), slices.Concat([]igc.Option{igc.ECDSA()}, c.TLS)...)
	})
	e.Signature, err2 = n.pair(dir, "sign", func() igc.Pair { return n.PKI.Sign(id, strings.ToUpper(c.Nom), c.Sign...) })
	if err == nil {
		err = err2
	}
	if err != nil {
		return nil, err
	}
	e.lines = &lines{}
	e.client = n.newClient(e.TLS, e.lines)
	return e, nil
}

// writeRegister writes the two lists of the register.
func (n *Nation) writeRegister() error {
	var b strings.Builder
	b.WriteString("# Who may call. Everything is fictitious.\netablissements:\n")
	for _, c := range n.opts.Etablissements {
		if !c.Unregistered {
			n.writeEtablissement(&b, c)
		}
	}
	if err := writeFile(filepath.Join(n.Dir, "etablissements.yaml"), b.String()); err != nil {
		return err
	}
	b.Reset()
	b.WriteString("# The AMCs of the circle. Everything is fictitious.\namcs:\n")
	for _, i := range n.opts.Insurers {
		domain := i.Domain
		if domain == "" {
			domain = i.Host
		}
		fmt.Fprintf(&b, "  - nom: %q\n    numeros: [%q]\n    etat: %s\n    domaines: [%s]\n", i.Nom, i.Numero, i.Etat, domain)
		if n.opts.Portal {
			fmt.Fprintf(&b, "    structures: [%q]\n", amcID(i.Numero))
		}
	}
	return writeFile(filepath.Join(n.Dir, "amc.yaml"), b.String())
}

func (n *Nation) writeEtablissement(b *strings.Builder, c Character) {
	fmt.Fprintf(b, "  - finess_ej: %q\n    nom: %q\n    etat: %s\n", c.EJ, c.Nom, c.Etat)
	if c.EG != "" {
		fmt.Fprintf(b, "    finess_eg: [%q]\n", c.EG)
	}
	if i, ok := n.insurer(c.Miroir); ok {
		fmt.Fprintf(b, "    amc_miroir: %q\n", i.Numero)
	}
	if len(c.Versions) > 0 {
		fmt.Fprintf(b, "    versions: [%s]\n", list(c.Versions))
	}
	if c.PerSecond > 0 {
		fmt.Fprintf(b, "    limite: {par_seconde: %g, rafale: %d}\n", c.PerSecond, c.Burst)
	}
	if c.SansTimestamp {
		b.WriteString("    sans_timestamp: true\n")
	}
	if c.Facade != "" {
		fmt.Fprintf(b, "    facade: %s\n", c.Facade)
	}
	for _, line := range c.Register {
		fmt.Fprintf(b, "    %s\n", line)
	}
	if len(c.Mandataires) > 0 {
		fmt.Fprintf(b, "    mandats: [%s]\n", list(c.Mandataires))
	}
}

func list[T any](items []T) string {
	var words []string
	for _, i := range items {
		words = append(words, fmt.Sprintf("%q", fmt.Sprint(i)))
	}
	return strings.Join(words, ", ")
}

// StateDir is where the RPN keeps what must survive a restart.
func (n *Nation) StateDir() string { return filepath.Join(n.Dir, "rpn", "state") }

// AdminSocket is the unix socket by which its operators act.
func (n *Nation) AdminSocket() string { return filepath.Join(n.StateDir(), "admin.sock") }

// writeConfig writes rpn.yaml: the smallest one that works, the names of the
// nation's servers, and the sections that the options add.
func (n *Nation) writeConfig() error {
	if err := os.MkdirAll(n.StateDir(), 0o755); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# The RPN of this nation: rpn serve --config %s
environment: test
listen: %s
admin: %s
server: {certificate: rpn/serveur.pem, key: rpn/serveur.key}
client: {certificate: rpn/client.pem, key: rpn/client.key}
trust:
  etablissements_tls: confiance/etablissements-tls.pem
  etablissements_signature: confiance/etablissements-signature.pem
  amc_tls: confiance/amc-tls.pem
  amc_signature: confiance/amc-signature.pem
etablissements: etablissements.yaml
amc: amc.yaml
state: rpn/state
secrets: rpn/secrets.txt
`, n.ConfigFile(), n.listenAddr, n.adminAddr)
	if n.opts.Facade {
		fmt.Fprintf(&b, "endpoint: %s\nfacade: {signature: {certificate: rpn/signature.pem, key: rpn/signature.key}}\n", n.URL())
	}
	written := map[string]bool{}
	section := func(name, text string) {
		written[name] = true
		if own, ok := n.opts.Sections[name]; ok {
			text = own
		}
		if name == "limits" && !strings.Contains(text, "shed_after") {
			text += "\nshed_after: 1m" // a busy machine that plays a whole country drops nothing
		}
		if text != "" {
			fmt.Fprintf(&b, "%s:\n  %s\n", name, strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  "))
		}
	}
	section("annuaire", fmt.Sprintf("url: https://%s/annuaire\nsigner: %q", n.annuaireAuthority(), annuaireID)+"\n"+n.opts.Annuaire)
	hosts := "# this machine plays the whole country\nallow: [127.0.0.0/8]\nhosts:\n  " + annuaireHost + ": 127.0.0.1\n"
	for _, i := range n.opts.Insurers {
		hosts += "  " + i.Host + ": 127.0.0.1\n"
	}
	section("network", hosts)
	section("revocation", revocationSection)
	section("journal", "origin: rpn.example/journal/demo\nsegment_bytes: 2MiB\nseal: 1s")
	section("limits", "")
	section("portal", n.portalSection())
	for _, name := range slices.Sorted(maps.Keys(n.opts.Sections)) { // one that is none keeps the RPN from starting
		if !written[name] {
			section(name, "")
		}
	}
	return writeFile(n.ConfigFile(), b.String())
}

// writeMessages writes messages to send by hand.
func (n *Nation) writeMessages() error {
	e, ok := n.Etablissement(n.opts.Etablissements[0].ID)
	if !ok || len(n.opts.Insurers) == 0 {
		return nil
	}
	insurer := n.opts.Insurers[len(n.opts.Insurers)-1]
	for _, i := range n.opts.Insurers {
		if i.Etat == "cercle" && !i.Absent {
			insurer = i
		}
	}
	for _, m := range []struct {
		name    string
		service roc.Service
		version roc.Version
		soap    soap.Version
	}{
		{"idb-v1", roc.IDB, roc.V1, soap.SOAP11}, {"idb-v2", roc.IDB, roc.V2, soap.SOAP12},
		{"clc-v1", roc.CLC, roc.V1, soap.SOAP11}, {"clc-v2", roc.CLC, roc.V2, soap.SOAP12},
	} {
		text := e.draft(m.service, m.version, m.soap, insurer.Numero).usual().Bytes()
		if err := writeFile(filepath.Join(n.Dir, "messages", m.name+".xml"), string(text)); err != nil {
			return err
		}
	}
	return nil
}

// writeSecrets makes the keys that the instances of the RPN share, unless an
// earlier nation left some.
func (n *Nation) writeSecrets() error {
	file := filepath.Join(n.Dir, "rpn", "secrets.txt")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	var secret [32]byte
	rand.Read(secret[:])
	return os.WriteFile(file, fmt.Appendf(nil, "%x\n", secret), 0o600)
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
