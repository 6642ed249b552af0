// Package scenarios tells what the RPN does, one file a behaviour: its name is
// the sentence. Each plays the real binary, over real TLS, in a country of its
// own (test/nation). `make scenario NAME=...` plays one, with its log.
package scenarios

import (
	"flag"
	"os"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "6") // a scenario mostly waits; -parallel says otherwise
	os.Exit(nation.Main(m))
}
