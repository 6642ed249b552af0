package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// The limits lie in Redis. An instance that stops says so: the one that starts
// a minute later finds the buckets as they were, not empty.
func TestARestartOfTheOnlyInstanceRefusesNobody(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	n := nation.New(t, nation.Binary, nation.Section("redis", "urls: ["+redis.URL()+"]"))
	chu := n.Etablissement()
	await.Until(t, "the limits are shared", func() bool { return !strings.Contains(strings.Join(n.Ready().Degraded, " "), "limits") })
	chu.Send(roc.IDB, "bleue").WantAnswer() // on credit, where the bucket is still empty
	n.RestartAfter(func() {
		for _, field := range []string{"mark", "last"} { // a minute passes
			redis.Cli("HINCRBY", "rpn:{limites}:depot", field, "-60000000")
		}
		redis.Cli("HINCRBY", "rpn:{limites}:compte:"+string(roc.StructureOf(chu.EJ)), "at", "-60000000")
	})
	for range 20 { // of the 40 that may come at once
		chu.Send(roc.IDB, "bleue").WantAnswer()
	}
}
