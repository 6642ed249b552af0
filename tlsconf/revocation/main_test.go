package revocation_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	chu   = tlstest.Hospital
	autre = tlstest.Another
	es    = igc.EtablissementTLS
)
