package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// IsPostgres reports whether an address is one of PostgreSQL, and not a file.
func IsPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// errAddress is in the place of pgx's error, which holds parts of the address.
var errAddress = errors.New("the address of PostgreSQL cannot be read, or a file that it names: write it like postgres://rpn@base.example/indicateurs?sslmode=verify-full")

// parsePostgres reads an address, with all that pgx adds to it from the
// environment. Verified refuses one by which a server on another machine could be
// reached without TLS, or without its name being verified: it checks what pgx
// will do, not what the address says, so that a "host" among the parameters, a
// second host or PGSSLMODE passes by no door. It fails closed.
func parsePostgres(address string, verified bool) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errAddress
	}
	if !verified {
		return c, nil
	}
	err = verifies(c.Host, c.TLSConfig)
	for _, f := range c.Fallbacks {
		err = errors.Join(err, verifies(f.Host, f.TLSConfig))
	}
	return c, err
}

// verifies is nil when a host is of this machine, or its name is verified.
func verifies(host string, c *tls.Config) error {
	if filepath.IsAbs(host) || host == "localhost" || net.ParseIP(host).IsLoopback() {
		return nil
	}
	if c != nil && !c.InsecureSkipVerify && c.ServerName == host {
		return nil
	}
	return fmt.Errorf("the PostgreSQL on %s could be reached without TLS, or without its name being verified: add ?sslmode=verify-full (and sslrootcert=FILE for an authority of your own)", host)
}

// CheckAddress says what is wrong with the address of a store, without opening
// it. Verified is as in Options.
func CheckAddress(address string, verified bool) error {
	if !IsPostgres(address) {
		return nil
	}
	_, err := parsePostgres(address, verified)
	return err
}
