package main

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// From another machine an operator acts by its client certificate.
func TestAnOperatorActsByItsCertificate(t *testing.T) {
	t.Parallel()
	dir, operators := t.TempDir(), igc.New(igc.Options{ECDSA: true})
	if err := operators.Write(dir); err != nil {
		t.Fatal(err)
	}
	cert, key, err := operators.Server(igc.AMCTLS, "127.0.0.1").Write(dir, "admin")
	if err != nil {
		t.Fatal(err)
	}
	own, err := trust.ReadPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := trust.ReadPool(igc.StoreFile(dir, igc.EtablissementTLS))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := admin.New(admin.Options{Log: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+" by "+admin.Who(r.Context()))
	})})
	done := make(chan error, 1)
	go func() { done <- server.Serve(tls.NewListener(l, admin.TLS(own, clients))) }()
	t.Cleanup(func() { server.Close(); <-done })

	operator, operatorKey, err := operators.Auth("1010003812", "OPERATEUR FICTIF").Write(dir, "operateur")
	if err != nil {
		t.Fatal(err)
	}
	authority := igc.StoreFile(dir, igc.AMCTLS)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"with its certificate":    {[]string{"--ca", authority, "--cert", operator, "--key", operatorKey}, 0, "POST by "},
		"without one":             {[]string{"--ca", authority}, 1, "refused: acts go by"},
		"no authority is read":    {[]string{"--ca", filepath.Join(dir, "absent.pem")}, 2, "--ca"},
		"the key of another":      {[]string{"--ca", authority, "--cert", operator, "--key", key}, 2, "is not the private key"},
		"a key alone":             {[]string{"--cert", operator}, 2, "key"},
		"an unknown authority":    {[]string{"--cert", operator, "--key", operatorKey}, 1, "certificate"},
		"no TLS where TLS speaks": {nil, 1, "400"},
	} {
		code, out, errs := rpn(t, "", append([]string{"reload", "--admin", l.Addr().String()}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit %d, %s%s; want %d and %q", name, code, out, errs, c.code, c.says)
		}
	}
}
