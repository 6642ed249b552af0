package store

import (
	"context"
	"net"
	"strings"
	"testing"
)

// Where the name of the server must be verified, an address by which another one
// could be reached is refused, however it says so; on this machine all are good.
func TestAnAddressIsCheckedByWhatItDoes(t *testing.T) {
	const base = "postgres://rpn@base.example/indicateurs"
	for address, good := range map[string]bool{
		base + "?sslmode=verify-full": true,
		base:                          false,
		base + "?sslmode=require":     false,
		base + "?sslmode=verify-ca":   false,
		base + "?sslmode=prefer":      false,
		"postgres://rpn@localhost/indicateurs?host=base.example":                      false,
		"postgres://rpn@localhost/indicateurs?host=base.example&sslmode=verify-full":  true,
		"postgres://rpn@localhost,base.example/indicateurs":                           false,
		"postgres://rpn@localhost/indicateurs?hostaddr=192.0.2.1&host=192.0.2.1":      false,
		"postgres:///indicateurs?host=/run/postgresql":                                true,
		"postgres://rpn@127.0.0.1/indicateurs?sslmode=disable":                        true,
		"postgres://rpn@[::1]/indicateurs":                                            true,
		"postgres://rpn@127.0.0.1.base.example/indicateurs":                           false,
		"postgres://rpn@base.example/indicateurs?sslmode=verify-full&sslmode=disable": false, // the last one counts, as pgx has it
		"indicateurs.db": true,
	} {
		err := CheckAddress(address, true)
		if (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
		if err := CheckAddress(address, false); err != nil {
			t.Errorf("%s, on test: %v", address, err)
		}
		if !good {
			dial := func(context.Context, string, string) (net.Conn, error) {
				t.Errorf("%s is dialled", address)
				return nil, net.ErrClosed
			}
			if _, err := Open(t.Context(), address, Options{Verified: true, Dial: dial}); err == nil || !strings.Contains(err.Error(), "verify-full") {
				t.Errorf("%s is opened: %v", address, err)
			}
		}
	}
	t.Setenv("PGSSLMODE", "verify-full")
	if err := CheckAddress(base, true); err != nil {
		t.Errorf("verified by the environment: %v", err)
	}
	t.Setenv("PGSSLMODE", "disable")
	if err := CheckAddress(base, true); err == nil {
		t.Error("the environment turns it off, and it is good")
	}
}
