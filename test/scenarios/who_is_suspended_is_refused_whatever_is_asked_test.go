package scenarios

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/test/nation"
)

// besideThePath is everything but a message: the description, wrong addresses,
// wrong methods, HTTP that is malformed.
var besideThePath = map[string]string{
	"the WSDL":       "GET /roc?wsdl HTTP/1.1\r\nHost: x\r\n\r\n",
	"a schema":       "GET /roc?xsd=commun.xsd HTTP/1.1\r\nHost: x\r\n\r\n",
	"a wrong path":   "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
	"a wrong method": "PUT /roc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"malformed HTTP": "POST /roc HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
}

// asks sends one request on a connection of its own, or on c.
func asks(t *testing.T, n *nation.Nation, es *nation.Etablissement, request string) (status int, body string) {
	c := dial(t, n, es.TLS)
	defer c.Close()
	c.say(request)
	status, _, body = c.hear()
	return status, body
}

func TestWhoIsSuspendedIsRefusedWhateverIsAsked(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	out := n.Etablissement(nation.Suspended)
	for name, request := range besideThePath {
		if status, body := asks(t, n, out, request); status != http.StatusInternalServerError || !strings.Contains(body, "suspendu") {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
	if got := n.Metric("rpn_descriptions_total"); got != "0" {
		t.Errorf("%s descriptions were given to who is suspended", got)
	}
	await.Until(t, "each is recorded as refused", func() bool {
		return n.Metric(`rpn_exchanges_total{code="RPN102",responsable="etablissement",service="aucun",version="aucun"}`) == strconv.Itoa(len(besideThePath))
	})
}

// One rate for all that is asked: the description, 404, 405 and malformed
// requests spend the same credit as messages.
func TestWhateverIsAskedSpendsTheSameCredit(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	const burst, tries = 3, 20
	for name, request := range besideThePath {
		es, passed := n.Etablissement(nation.Limited(0.001, burst)), 0
		for range tries {
			switch status, body := asks(t, n, es, request); {
			case !strings.Contains(body, "que sa limite ne le permet"):
				passed++
			case status != http.StatusInternalServerError:
				t.Errorf("%s: %d %.200s", name, status, body)
			}
		}
		if passed != burst {
			t.Errorf("%s: %d of %d passed, the limit is %d", name, passed, tries, burst)
		}
	}
	if got := n.Metric("rpn_descriptions_total"); got != strconv.Itoa(2*burst) {
		t.Errorf("%s descriptions are counted, want %d", got, 2*burst)
	}
	if got := n.Metric(`rpn_malformed_requests_total{rule="two-hosts"}`); got != strconv.Itoa(burst) {
		t.Errorf("%s malformed requests are counted, want %d", got, burst)
	}
}
