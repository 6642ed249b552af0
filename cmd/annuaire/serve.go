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
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/annuaire/fictif"
)

// flags are what `annuaire serve` is told.
type flags struct {
	listen            string
	cert, key         string
	clientCA          []string
	signCert, signKey string
	rows              string
	stopWithin        time.Duration
}

func serveCommand(hangup <-chan os.Signal) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer search over mutual TLS until SIGTERM; SIGHUP reads the rows again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), f, hangup, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s := cmd.Flags()
	s.StringVar(&f.listen, "listen", "127.0.0.1:9444", "address to listen on; port 0 takes a free one")
	s.StringVar(&f.cert, "cert", "", "PEM file: our TLS server certificate, then its intermediates")
	s.StringVar(&f.key, "key", "", "PEM file: the key of --cert")
	s.StringSliceVar(&f.clientCA, "client-ca", nil, "PEM file or folder: the CAs of TLS clients (the RPN), repeatable")
	s.StringVar(&f.signCert, "sign-cert", "", "PEM file: our signature certificate, then its intermediates")
	s.StringVar(&f.signKey, "sign-key", "", "PEM file: the key of --sign-cert")
	s.StringVar(&f.rows, "rows", "", "YAML or CSV file: what to answer")
	s.DurationVar(&f.stopWithin, "stop-within", 10*time.Second, "how long answers in flight may take after SIGTERM")
	return cmd
}

// serve runs until ctx ends. It says where it listens once it does.
func serve(ctx context.Context, f flags, hangup <-chan os.Signal, stdout, stderr io.Writer) error {
	annuaire, config, err := f.load()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w; choose a free address and port", f.listen, err)
	}
	fmt.Fprintf(stdout, "annuaire: listens on https://%s/\n", l.Addr())
	server := &http.Server{
		Handler:           annuaire,
		TLSConfig:         config,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(l, "", "") }()
	for {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return stop(server, f.stopWithin)
		case <-hangup:
			reload(annuaire, f.rows, log)
		}
	}
}

// reload reads the rows again; a bad file changes nothing.
func reload(annuaire *fictif.Server, file string, log *slog.Logger) {
	rows, err := fictif.Load(file)
	if err != nil {
		log.Error("the rows are kept as they were", "file", file, "error", err.Error())
		return
	}
	annuaire.Use(rows)
	log.Info("rows read again", "file", file, "rows", rows.Len())
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

// load reads every file.
func (f flags) load() (*fictif.Server, *tls.Config, error) {
	if err := f.complete(); err != nil {
		return nil, nil, err
	}
	key, server, err := fictif.Files{Cert: f.cert, Key: f.key, ClientCA: f.clientCA, SignCert: f.signCert, SignKey: f.signKey}.Read()
	if err != nil {
		return nil, nil, err
	}
	rows, err := fictif.Load(f.rows)
	if err != nil {
		return nil, nil, fmt.Errorf("--rows: %w", err)
	}
	annuaire, err := fictif.NewServer(fictif.Options{Rows: rows, Key: key})
	return annuaire, server, err
}

// complete names every required flag that is missing.
func (f flags) complete() error {
	var missing []string
	for _, r := range []struct{ flag, value string }{
		{"--cert", f.cert}, {"--key", f.key}, {"--client-ca", strings.Join(f.clientCA, "")},
		{"--sign-cert", f.signCert}, {"--sign-key", f.signKey}, {"--rows", f.rows},
	} {
		if r.value == "" {
			missing = append(missing, r.flag)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing %s: each names a file; see annuaire serve --help", strings.Join(missing, ", "))
	}
	if f.stopWithin <= 0 {
		return errors.New("--stop-within must be greater than zero")
	}
	return nil
}
