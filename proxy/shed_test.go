package proxy

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// A counting is a Shedder that drops some services, and counts.
type counting struct {
	drops map[roc.Service]bool

	mu        sync.Mutex
	asked     []roc.Service
	processed int
}

func (s *counting) Admit(service roc.Service, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, service)
	if s.drops[service] {
		return roc.Refuse(roc.Overloaded, "as told").Because(roc.LoadShed).After(3 * time.Second)
	}
	return nil
}

func (s *counting) Processed(time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processed++
}

// What is dropped is so before its body is read, when its headers name it; else
// once it names itself. Each is asked about once, and nothing of it is sent.
func TestTheLeastImportantAreRefusedBeforeTheirBody(t *testing.T) {
	t.Parallel()
	s := &counting{drops: map[roc.Service]bool{roc.IDB: true}}
	c := newCountry(t, func(o *Options) { o.Shedder = s })
	w := c.call()
	head, _, _ := strings.Cut(post(good(t)), "\r\n\r\n")
	w.say(strings.Replace(head, "charset=utf-8", `charset=utf-8; action="urn:roc:idb:1.0.0:interroger"`, 1) + "\r\n\r\n") // and not a byte of the body
	for name, r := range map[string]reply{"named by its headers": w.hear(), "named by its Body": c.send(good(t))} {
		if !strings.Contains(string(r.body), "RPN111") || !strings.Contains(string(r.body), "load-shed") || r.Header.Get("Retry-After") != "3" {
			t.Errorf("%s: status %d, %s", name, r.StatusCode, r.body)
		}
	}
	if len(s.asked) != 2 || s.asked[0] != roc.IDB || s.asked[1] != roc.IDB {
		t.Errorf("asked about %v", s.asked)
	}
	if len(c.far.Received()) != 0 {
		t.Error("it was sent")
	}
}

// What was admitted is told once, before the exchange waits for others, and
// however it ends.
func TestWhatIsAdmittedIsProcessedOnce(t *testing.T) {
	t.Parallel()
	s := &counting{}
	c := newCountry(t, func(o *Options) { o.Shedder = s })
	counts := func() (asked, processed int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.asked), s.processed
	}
	c.far.Does(func(conn net.Conn, r http1test.Got) {
		if asked, processed := counts(); asked != processed {
			t.Error("it waits for the insurer, and is not told as processed")
		}
		http1test.AnswerOK(conn, r)
	})
	named := func(body []byte) string { // by its headers
		return strings.Replace(post(body), "charset=utf-8", `charset=utf-8; action="urn:roc:idb:1.0.0:interroger"`, 1)
	}
	for name, body := range map[string][]byte{
		"answered": good(t), "no XML": []byte("<a"),
		"bad signature": []byte(strings.Replace(string(good(t)), "SignatureValue>", "SignatureValue>AA", 1)),
	} {
		before, _ := counts()
		w := c.call()
		w.say(named(body))
		w.hear()
		if asked, processed := counts(); asked != before+1 || processed != asked {
			t.Errorf("%s: asked %d times, %d processed of %d", name, asked-before, processed, asked)
		}
	}
}
