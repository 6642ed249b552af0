package nation

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// checkLog holds what docs/logs.md says of each line, over all that the RPN
// wrote in this test: it has an event, a peer is an address and a port, an
// instant is RFC 3339 with its zone.
func (n *Nation) checkLog() {
	for line := range strings.Lines(n.log.String()) {
		if !strings.HasSuffix(line, "\n") {
			break // it was cut by the end of the process
		}
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			n.t.Errorf("a line of the log is no JSON: %v\n%s", err, line)
			continue
		}
		if e, _ := l["event"].(string); e == "" {
			n.t.Errorf("a line of the log has no event:\n%s", line)
		}
		if what := malformed("", l); what != "" {
			n.t.Errorf("%s, in a line of the log:\n%s", what, line)
		}
	}
}

// dated is what a person would take for an instant.
var dated = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}[ T]\d`)

// malformed says which value of a line is not written as it must be, or "".
func malformed(key string, value any) string {
	switch v := value.(type) {
	case map[string]any:
		for k, x := range v {
			if what := malformed(k, x); what != "" {
				return what
			}
		}
	case []any:
		for _, x := range v {
			if what := malformed(key, x); what != "" {
				return what
			}
		}
	case string:
		if _, err := netip.ParseAddrPort(v); key == "peer" && err != nil {
			return "the peer " + v + " is no address and port"
		}
		if _, err := time.Parse(time.RFC3339Nano, v); dated.MatchString(v) && err != nil {
			return key + " is an instant without RFC 3339: " + v
		}
	}
	return ""
}
