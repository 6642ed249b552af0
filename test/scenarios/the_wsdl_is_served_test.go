package scenarios

import (
	"net/http"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestTheWSDLIsServed(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	conn := dial(t, n, n.Etablissement().TLS)
	conn.say("GET /roc?wsdl HTTP/1.1\r\nHost: rpn.example\r\n\r\n")
	status, header, body := conn.hear()
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/xml") || !strings.Contains(body, "definitions>") || strings.Contains(body, "rpn.example") {
		t.Errorf("got %d %v\n%.300s", status, header, body)
	}
}
