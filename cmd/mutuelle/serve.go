package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/mutuelle"
)

// flags are what `mutuelle serve` is told.
type flags struct {
	listen            string
	cert, key         string
	clientCA          string
	signCert, signKey string
	esCA              string
	amc               []string
	nom               string
	slow              time.Duration
	big               int
	stopWithin        time.Duration
}

func serveCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer the services of an insurer over mutual TLS until SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s := cmd.Flags()
	s.StringVar(&f.listen, "listen", "127.0.0.1:9443", "address to listen on; port 0 takes a free one")
	s.StringVar(&f.cert, "cert", "", "PEM file: our TLS server certificate, then its intermediates")
	s.StringVar(&f.key, "key", "", "PEM file: the key of --cert")
	s.StringVar(&f.clientCA, "client-ca", "", "PEM file: the CAs of TLS clients (the RPN); TEST or fictitious ones only")
	s.StringVar(&f.signCert, "sign-cert", "", "PEM file: our signature certificate, then its intermediates")
	s.StringVar(&f.signKey, "sign-key", "", "PEM file: the key of --sign-cert")
	s.StringVar(&f.esCA, "es-ca", "", "PEM file: the CAs of establishments' signatures; TEST or fictitious ones only")
	s.StringSliceVar(&f.amc, "amc", nil, "AMC number we answer for, repeatable (default: every number)")
	s.StringVar(&f.nom, "nom", mutuelle.DefaultNom, "our name in answers")
	s.DurationVar(&f.slow, "slow", mutuelle.DefaultSlow, "delay of the case "+mutuelle.Lente)
	s.IntVar(&f.big, "big", mutuelle.DefaultBig, "bytes added to the answer of the case "+mutuelle.Volumineuse)
	s.DurationVar(&f.stopWithin, "stop-within", 10*time.Second, "how long answers in flight may take after SIGTERM")
	return cmd
}

// serve runs until ctx ends. It says where it listens once it does.
func serve(ctx context.Context, f flags, stdout, stderr io.Writer) error {
	o, tlsConfig, err := f.load()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	o.Log = log
	m, err := mutuelle.New(o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w; choose a free address and port", f.listen, err)
	}
	fmt.Fprintf(stdout, "mutuelle: %s listens on https://%s/\n", o.Nom, l.Addr())

	server := &http.Server{
		Handler:           m,
		TLSConfig:         tlsConfig,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(l, "", "") }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return stop(server, f.stopWithin)
}

// stop lets answers in flight finish, then closes what is left.
func stop(server *http.Server, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("answers were still in flight after %s and were cut", within), server.Close())
	}
	return nil
}

// load reads every file and checks every value.
func (f flags) load() (mutuelle.Options, *tls.Config, error) {
	var none mutuelle.Options
	if err := f.complete(); err != nil {
		return none, nil, err
	}
	numbers, err := mutuelle.ParseNumbers(f.amc)
	if err != nil {
		return none, nil, err
	}
	sign, verifier, server, err := mutuelle.Files{
		Cert: f.cert, Key: f.key, ClientCA: f.clientCA, SignCert: f.signCert, SignKey: f.signKey, EsCA: f.esCA,
	}.Read()
	if err != nil {
		return none, nil, err
	}
	return mutuelle.Options{AMC: numbers, Nom: f.nom, Slow: f.slow, Big: f.big, Key: sign, Verifier: verifier}, server, nil
}

// complete names every required flag that is missing.
func (f flags) complete() error {
	var missing []string
	for _, r := range []struct{ flag, value string }{
		{"--cert", f.cert}, {"--key", f.key}, {"--client-ca", f.clientCA},
		{"--sign-cert", f.signCert}, {"--sign-key", f.signKey}, {"--es-ca", f.esCA},
	} {
		if r.value == "" {
			missing = append(missing, r.flag)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing %s: each names a PEM file; see mutuelle serve --help", strings.Join(missing, ", "))
	}
	if f.slow <= 0 || f.big <= 0 || f.stopWithin <= 0 {
		return errors.New("--slow, --big and --stop-within must be greater than zero")
	}
	return nil
}
