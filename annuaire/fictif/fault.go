package fictif

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Fault is one way to misbehave. The zero value is None.
type Fault int

// The faults.
const (
	None         Fault = iota
	Down               // HTTP 503 and a page of HTML, as a load balancer without a server
	Silent             // takes the question and never answers
	Unsigned           // a right answer, not signed
	BadSignature       // the URLs are changed after signing
	Stale              // signed an hour ago
	OtherAMC           // signed, but about another AMC
	PlainURL           // signed, with http URLs
	Expired            // signed, valid until yesterday
	Huge               // 10 MiB
	Half               // half of the answer, then the connection is cut
	SOAPFault          // a SOAP fault, HTTP 500
	Redirected         // HTTP 307 to elsewhere
	Garbage            // HTTP 200 and a page of HTML
	faults
)

var faultNames = [faults]string{"none", "down", "silent", "unsigned", "bad signature", "stale", "other AMC", "plain URL",
	"expired", "huge", "half", "SOAP fault", "redirected", "garbage"}

// String says the fault in words.
func (f Fault) String() string { return faultNames[f] }

// Break makes the annuaire misbehave from the next question on; Break(None)
// mends it.
func (s *Server) Break(f Fault) { s.fault.Store(int64(f)) }

// Slow makes the annuaire wait before each answer; 0 ends it.
func (s *Server) Slow(d time.Duration) { s.delay.Store(int64(d)) }

// otherAMC is whose answer OtherAMC gives.
const otherAMC roc.NumeroAMC = "0099999999"

// spoil changes the answer before it is signed.
func (f Fault) spoil(a *message.SearchAnswer, at time.Time) {
	switch f {
	case OtherAMC:
		a.AMC = otherAMC
	case PlainURL:
		for i := range a.Adresses {
			a.Adresses[i].Valeur = strings.Replace(a.Adresses[i].Valeur, "https://", "http://", 1)
		}
	case Expired:
		a.Debut, a.Fin = at.AddDate(-1, 0, 0), at.AddDate(0, 0, -1)
	}
}

// tamper changes the answer after it was signed: whoever believes it sends the
// messages elsewhere, or takes a known AMC as unknown.
func tamper(signed []byte) []byte {
	if b := bytes.ReplaceAll(signed, []byte(">https://"), []byte(">https://ailleurs.")); len(b) != len(signed) {
		return b
	}
	return bytes.Replace(signed, []byte("<code>"), []byte("<code>1"), 1)
}

// instead answers in the place of the annuaire; false when the fault lets it
// speak.
func (f Fault) instead(w http.ResponseWriter, r *http.Request) bool {
	switch f {
	case Down:
		http.Error(w, "<html><body>503 Service Unavailable</body></html>", http.StatusServiceUnavailable)
	case Silent:
		<-r.Context().Done()
	case Redirected:
		http.Redirect(w, r, "https://ailleurs.example/annuaire", http.StatusTemporaryRedirect)
	case Garbage:
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<html><body>En maintenance<br></body></html>"))
	default:
		return false
	}
	return true
}

// hugeAnswer is the size of the answer of Huge, in bytes.
const hugeAnswer = 10 << 20

// write sends the answer, whole or not.
func (f Fault) write(w http.ResponseWriter, answer []byte) {
	switch f {
	case Huge:
		w.Write(answer)
		w.Write(bytes.Repeat([]byte(" "), hugeAnswer-len(answer)))
	case Half:
		w.Write(answer[:len(answer)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // net/http cuts the connection, and says nothing
	default:
		w.Write(answer)
	}
}
