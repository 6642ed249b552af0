package scenarios

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// An answer that says no length ends with its connection: it is carried when
// one whole envelope is there, and refused when it is cut.
func TestAnAnswerEndedByCloseIsCarriedWhenItIsWhole(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("policies", "answer_signatures: \"off\""))
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	const contentType = "application/soap+xml; charset=utf-8"
	whole := `<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><r xmlns="urn:fictif"/></soap:Body></soap:Envelope>`
	says := func(version, body string) {
		bleue.Answers(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, fmt.Sprintf("%s 200 OK\r\nContent-Type: %s\r\n\r\n%s", version, contentType, body))
		})
	}
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		says(version, whole)
		chu.Send(roc.IDB, "bleue").WantCarried(200, contentType, []byte(whole))
		says(version, whole[:len(whole)-5])
		chu.Send(roc.IDB, "bleue").WantRefused(roc.AMCBadAnswer)
	}
}
