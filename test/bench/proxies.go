package main

import (
	"fmt"
	"os"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/test/binary"
)

// startProxies starts the RPN and those it is compared with, each forwarding
// to the same insurer, and the other build of the RPN that was asked for.
func (w *setting) startProxies(o options) ([]*process, error) {
	rpn, err := binary.Path("rpn")
	if err != nil {
		return nil, err
	}
	starts := []func() (*process, error){
		func() (*process, error) { return w.startRPN("RPN", rpn, "observe", noLimits) },
		func() (*process, error) {
			return w.startRPN(withJournal, rpn, "observe", noLimits+"state: "+w.file("state")+"\n")
		},
		func() (*process, error) {
			return w.startRPN("RPN, `answer_signatures: off`", rpn, "off", noLimits)
		},
		w.startHAProxy, w.startCaddy,
	}
	for _, b := range o.beside {
		starts = append(starts, func() (*process, error) { return w.startRPN(b.name, b.file, "observe", "") })
	}
	for _, start := range starts {
		p, err := start()
		if err != nil {
			return nil, err
		}
		w.processes = append(w.processes, p)
	}
	return w.processes, nil
}

// noLimits: the load fills the core, and every exchange must be answered.
const noLimits = "limits: {shed_after: 1m, bytes_per_second: 1GiB, bytes_burst: 1GiB}\n"

// withJournal is the row of the RPN that has a state folder, as in production.
const withJournal = "RPN, with its journal"

// startRPN runs the real binary with its defaults: the request
// is checked, the answer's signature is observed and each exchange is logged.
// Only the limit of the establishment is lifted, and the policy is told. more
// is added to its configuration.
func (w *setting) startRPN(name, program, answers, more string) (*process, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := w.writeRegister(); err != nil {
		return nil, err
	}
	w.configs++
	config := w.file(fmt.Sprintf("rpn-%d.yaml", w.configs))
	text := fmt.Sprintf(`environment: test
listen: %s
admin: 127.0.0.1:0
server: {certificate: server.pem, key: server.key}
client: {certificate: client.pem, key: client.key}
trust:
  etablissements_tls: confiance/etablissements-tls.pem
  etablissements_signature: confiance/etablissements-signature.pem
  amc_tls: confiance/amc-tls.pem
  amc_signature: confiance/amc-signature.pem
annuaire: {url: "https://%s:%s/annuaire"}
etablissements: etablissements.yaml
amc: amc.yaml
policies: {answer_signatures: %s}
network:
  allow: [127.0.0.0/8]
  hosts: {%s: 127.0.0.1, %s: 127.0.0.1}
%s`, address, annuaireName, port(w.annuaire.Addr().String()), answers, annuaireName, amcName, more)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return start(name, address, nil, program, "serve", "--config", config)
}

// writeRegister writes the one establishment, without a limit to speak of, and
// the one insurer.
func (w *setting) writeRegister() error {
	for name, text := range map[string]string{
		"etablissements.yaml": fmt.Sprintf("etablissements:\n  - {finess_ej: %q, nom: CH du banc fictif, etat: cercle, limite: {par_seconde: 1000000, rafale: 1000000}}\n", finess),
		"amc.yaml":            fmt.Sprintf("amcs:\n  - {nom: AMC fictive, numeros: [%q], etat: cercle, domaines: [%s]}\n", amcNumber, amcName),
	} {
		if err := os.WriteFile(w.file(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (w *setting) startHAProxy() (*process, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`global
	nbthread 1
	ssl-default-bind-options ssl-min-ver TLSv1.3
	ssl-default-server-options ssl-min-ver TLSv1.3
defaults
	mode http
	option http-keep-alive
	http-reuse always
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend es
	bind %s ssl crt %s ca-file %s verify required alpn http/1.1
	default_backend amc
backend amc
	server amc %s ssl crt %s ca-file %s verify required verifyhost %s sni str(%s) alpn http/1.1 pool-max-conn 64
`, address, w.file("server-haproxy.pem"), igc.StoreFile(w.dir, igc.EtablissementTLS),
		w.insurer.Addr(), w.file("client-haproxy.pem"), igc.StoreFile(w.dir, igc.AMCTLS), amcName, amcName)
	if err := os.WriteFile(w.file("haproxy.cfg"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return start("HAProxy", address, nil, "haproxy", "-db", "-f", w.file("haproxy.cfg"))
}

func (w *setting) startCaddy() (*process, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`{
	admin off
	auto_https off
}
https://%s:%s {
	bind 127.0.0.1
	tls %s %s {
		protocols tls1.3
		alpn http/1.1
		client_auth {
			mode require_and_verify
			trusted_ca_cert_file %s
		}
	}
	reverse_proxy https://%s {
		transport http {
			tls_client_auth %s %s
			tls_trusted_ca_certs %s
			tls_server_name %s
			versions 1.1
			keepalive_idle_conns_per_host 64
		}
	}
}
`, rpnName, port(address), w.file("server.pem"), w.file("server.key"), igc.StoreFile(w.dir, igc.EtablissementTLS),
		w.insurer.Addr(), w.file("client.pem"), w.file("client.key"), igc.StoreFile(w.dir, igc.AMCTLS), amcName)
	if err := os.WriteFile(w.file("Caddyfile"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	env := []string{"HOME=" + w.dir, "XDG_DATA_HOME=" + w.dir, "XDG_CONFIG_HOME=" + w.dir}
	return start("Caddy", address, env, "caddy", "run", "--adapter", "caddyfile", "--config", w.file("Caddyfile"))
}
