package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAddressUnderTheEndpointThatNobodyHasIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	c := dial(t, n, n.Etablissement().TLS)
	for path, want := range map[string]int{"/roc/inconnue": 404, "/": 404, "/admin": 404, "/metrics": 404} {
		c.say("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>")
		if status, _, body := c.hear(); status != want {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	c.say("DELETE /roc HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if status, header, _ := c.hear(); status != 405 || header.Get("Allow") != "POST, GET" {
		t.Errorf("DELETE: got %d %v", status, header)
	}
}
