package tlsconf_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// certmagic lets these two end by themselves, or with the process.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.Cleanup(func(code int) {
			os.RemoveAll(pebbleDir)
			os.Exit(code)
		}))
}

const (
	chu   = tlstest.Hospital
	autre = tlstest.Another
	es    = igc.EtablissementTLS
)
