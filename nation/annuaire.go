package nation

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
)

// startAnnuaire writes annuaire.yaml and serves it.
func (n *Nation) startAnnuaire() error {
	file := filepath.Join(n.Dir, "annuaire.yaml")
	if err := writeFile(file, n.rows()); err != nil {
		return err
	}
	rows, err := fictif.Load(file)
	if err != nil {
		return err
	}
	if n.Annuaire, err = fictif.NewServer(fictif.Options{Rows: rows, Key: key(n.keys.annuaireSign), Now: n.now}); err != nil {
		return err
	}
	return n.run("Annuaire AMC", annuaireHost, "/annuaire", n.keys.annuaire, n.Annuaire)
}

// rows are the addresses of every insurer: each service in both versions.
func (n *Nation) rows() string {
	var b strings.Builder
	b.WriteString("# The rows of the fictitious annuaire.\nlignes:\n")
	year := n.now().Year()
	for _, i := range n.opts.Insurers {
		for _, s := range roc.AMCServices {
			for _, v := range []roc.Version{roc.V1, roc.V2} {
				fmt.Fprintf(&b, "  - {numero_amc: %q, nom: %q, service: %s, version: %s, url: %q, debut: %d-01-01, fin: %d-12-31}\n",
					i.Numero, i.Nom, s, v, n.insurerURL(i), year-1, year+1)
			}
		}
	}
	return b.String()
}

func (n *Nation) insurerURL(i Insurer) string {
	if i.URL != "" {
		return i.URL
	}
	return "https://" + i.Host + ":" + n.ports[i.Host] + "/roc"
}

func (n *Nation) annuaireAuthority() string { return annuaireHost + ":" + n.ports[annuaireHost] }

// earlierPorts reads the ports of an earlier nation in Dir, by name of host,
// and by "listen", "admin" and "portal"; none when there was none. What cannot be read
// is no port: a free one is taken.
func (n *Nation) earlierPorts() map[string]string {
	ports := map[string]string{}
	config, _ := os.ReadFile(n.ConfigFile())
	rows, _ := os.ReadFile(filepath.Join(n.Dir, "annuaire.yaml"))
	for line := range strings.Lines(string(config)) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
		switch name {
		case "listen", "admin":
			ports[name] = value[strings.LastIndexByte(value, ':')+1:]
		case "  listen": // of the section portal, the only one that has it
			ports["portal"] = value[strings.LastIndexByte(value, ':')+1:]
		}
	}
	for _, word := range strings.FieldsFunc(string(config)+string(rows), func(r rune) bool { return r == ' ' || r == '"' || r == '\n' }) {
		if u, err := url.Parse(word); err == nil && u.Scheme == "https" && u.Port() != "" {
			ports[u.Hostname()] = u.Port()
		}
	}
	return ports
}

// Renew replaces the RPN's server certificate by a new one; the files of Dir
// change, and a reload takes it.
func (n *Nation) Renew(valid time.Duration) error {
	p := n.PKI.Server(igc.EtablissementTLS, "localhost", igc.Names("127.0.0.1", "::1"), igc.ECDSA(),
		igc.Valid(n.now().Add(-time.Hour), n.now().Add(valid)))
	_, _, err := p.Write(filepath.Join(n.Dir, "rpn"), "serveur")
	return err
}
