package app

import (
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/journal"
)

// In production, an RPN whose figures would go to another machine without TLS, or
// to whoever answers there, does not start: also when the address does not say so
// in its first part.
func TestInProductionTheNameOfThePostgreSQLIsVerified(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"postgres://rpn@base.example/indicateurs":                     false,
		"postgres://rpn@base.example/indicateurs?sslmode=require":     false,
		"postgres://rpn@localhost/indicateurs?host=base.example":      false,
		"postgres://rpn@base.example/indicateurs?sslmode=verify-full": true,
		"postgres://rpn@127.0.0.1/indicateurs":                        true,
	} {
		for _, environment := range []config.Environment{config.Production, config.Test} {
			c := config.Standard()
			c.Environment, c.Indicators.Store = environment, address
			a := &App{config: c, journal: &journal.Journal{}, now: time.Now}
			err := a.openFigures()
			if want := good || environment == config.Test; (err == nil) != want || !want && !strings.Contains(err.Error(), "verify-full") {
				t.Errorf("%s, %s: %v", environment, address, err)
			}
		}
	}
}
