package scenarios

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestHeadersOfTheAMCStayThere(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	bleue := n.AMC("bleue")
	const said = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><ok/></e:Body></e:Envelope>"
	bleue.Answers(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"RPN-Origine", "RPN-Echange", "Server-Timing", "Set-Cookie", "Server", "Location", "X-Powered-By", "Retry-After", "Via"} {
			w.Header().Set(name, "forged")
		}
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, said)
	})
	for _, r := range n.Etablissement().SendBoth(roc.IDB, "bleue") {
		r.WantCarried(200, "text/xml", []byte(said))
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, ","), "forged") {
				t.Errorf("%s: %v came back", name, values)
			}
		}
	}
}
