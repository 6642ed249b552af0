package scenarios

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/mutuelle"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// envelope begins an answer: what does not is none (RPN405).
const envelope = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/">`

func TestAFaultOfTheAMCIsCarriedAsItCame(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	for _, how := range [][]nation.Mutation{{nation.SOAP11}, {}} {
		r := chu.Send(roc.IDB, "bleue", append(how, inner.ForAdherent(mutuelle.PanneTechnique))...)
		if r.Status != http.StatusInternalServerError || r.Origin() != roc.FromAMC || !bytes.Contains(r.Body.Bytes(), []byte("AMC90")) {
			t.Errorf("got %s\n%s", r.Outcome, r.Body.Bytes())
		}
	}
	for _, fault := range []struct {
		status      int
		contentType string
		body        string
	}{
		{500, "text/xml; charset=ISO-8859-1", "<?xml version='1.0' encoding='ISO-8859-1'?>" + envelope + "\xe9chec\n"},
		{503, "application/soap+xml", envelope + "<br>"},
		{404, "text/xml", envelope + "\x00\x01\xff\r\n\r\n"},
		{200, "text/xml", envelope},
	} {
		bleue.Answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", fault.contentType)
			w.WriteHeader(fault.status)
			io.WriteString(w, fault.body)
		})
		for _, r := range chu.SendBoth(roc.IDB, "bleue") {
			r.WantCarried(fault.status, fault.contentType, []byte(fault.body))
		}
	}
}
