package scenarios

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Whatever the policy of signatures says (it is off here): a page, a redirect
// or an empty answer is not handed on as the insurer's answer.
func TestAnAnswerThatIsNoSOAPIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("policies", "answer_signatures: \"off\""))
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	for _, c := range []struct {
		status int
		cause  roc.CauseCode
	}{{202, roc.AnswerEmpty}, {204, roc.AnswerEmpty}, {302, roc.AnswerRedirect}, {200, roc.AnswerMediaType}, {503, roc.AnswerMediaType}} {
		status, want := c.status, c.cause
		bleue.Answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Retry-After", "17")
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
			if status != 204 {
				w.Write([]byte("<html>maintenance</html>"))
			}
		})
		r := chu.Send(roc.IDB, "bleue").WantRefused(roc.AMCNotSOAP)
		if r.Cause() != want || r.Header.Get("Retry-After") != "17" {
			t.Errorf("status %d: cause %s, Retry-After %q; want %s, 17", status, r.Cause(), r.Header.Get("Retry-After"), want)
		}
	}

	// 503 with Retry-After announced a pause: nothing is sent until then, and
	// whoever writes reads until when.
	before := bleue.Received()
	chu.SendBoth(roc.IDB, "bleue").WantRefused(roc.AMCSuspended).WantSaying("il est indisponible jusqu'au")
	r := n.Etablissement().Send(roc.IDB, "bleue").WantRefused(roc.AMCSuspended)
	if wait, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 17 || r.Cause() != roc.AnnouncedAMC {
		t.Errorf("cause %s, Retry-After %q", r.Cause(), r.Header.Get("Retry-After"))
	}
	if bleue.Received() != before {
		t.Error("it was sent to in its pause")
	}
}
