package scenarios

import (
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/mail/mailtest"
	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// An RPN that was stopped on Monday sends the files of the week that ended when
// it is back, and not again after another restart.
func TestTheWeeklyFilesAreSent(t *testing.T) {
	t.Parallel()
	postman := mailtest.Start(t, true)
	n := nation.New(t, nation.Binary, nation.Section("journal", "seal: 100ms"), nation.Section("indicators", "every: 50ms"),
		nation.Section("mail", fmt.Sprintf("server: localhost:%d\nfrom: rpn@rpn.example\nca: %s\nsupervision: [supervision@ans.example]", postman.Port, postman.CA)))
	n.Etablissement().Send(roc.IDB, "bleue").WantAnswer()
	m := postman.Next(t)
	head, err := mail.ReadMessage(strings.NewReader(m.Text))
	if err != nil {
		t.Fatal(err)
	}
	due := report.WeekOf(time.Now().AddDate(0, 0, -7)) // or the one before, early on a Monday
	early := report.WeekOf(time.Now().AddDate(0, 0, -14))
	if id := head.Header.Get("Message-ID"); !m.TLS || !strings.Contains(id, due.String()) && !strings.Contains(id, early.String()) || !strings.Contains(m.Text, "Content-Disposition: attachment") {
		t.Errorf("sent: %s\n%s", id, m.Text)
	}
	if strings.Join(m.To, " ") != "supervision@ans.example" {
		t.Errorf("sent to %v", m.To)
	}
	n.RestartAfter(func() {})
	followed(t, n)
	seen := map[string]bool{head.Header.Get("Message-ID"): true}
	for _, m := range postman.Taken(t) {
		h, err := mail.ReadMessage(strings.NewReader(m.Text))
		if err != nil {
			t.Fatal(err)
		}
		if id := h.Header.Get("Message-ID"); seen[id] {
			t.Errorf("%s was sent twice", id)
		} else {
			seen[id] = true
		}
	}
}
