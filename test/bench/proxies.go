package main

import (
	"fmt"
	"os"

	"github.com/piano-roc/rpn/internal/igc"
)

// startProxies starts the RPN and those it is compared with, each forwarding
// to the same insurer.
func (w *world) startProxies() ([]*process, error) {
	for _, start := range []func() (*process, error){w.startHAProxy, w.startCaddy} {
		p, err := start()
		if err != nil {
			return nil, err
		}
		w.processes = append(w.processes, p)
	}
	return w.processes, nil
}

func (w *world) startHAProxy() (*process, error) {
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

func (w *world) startCaddy() (*process, error) {
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
	env := []string{"GOMAXPROCS=1", "HOME=" + w.dir, "XDG_DATA_HOME=" + w.dir, "XDG_CONFIG_HOME=" + w.dir}
	return start("Caddy", address, env, "caddy", "run", "--adapter", "caddyfile", "--config", w.file("Caddyfile"))
}
