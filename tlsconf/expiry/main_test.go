package expiry_test

import "github.com/piano-roc/rpn/tlsconf/tlstest"

const (
	chu   = tlstest.Hospital
	autre = tlstest.Another
)
