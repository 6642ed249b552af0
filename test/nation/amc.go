package nation

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
)

// An AMC is an insurer: the Mutuelle ANS in its place, or what a test says.
type AMC struct {
	t       testing.TB
	insurer inner.Insurer
	usual   http.Handler

	mu       sync.Mutex // guards what follows
	received int
	last     Received
	answer   http.HandlerFunc
	held     chan struct{} // closed: no longer held
}

// Received is a message as it came to an insurer.
type Received struct {
	Header http.Header
	Host   string
	Path   string
	Body   []byte
	Length int64    // Content-Length
	Coding []string // Transfer-Encoding
	Group  tls.CurveID
}

// wrap stands before the server of the insurer.
func (a *AMC) wrap(usual http.Handler) http.Handler {
	a.usual = usual
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			a.t.Errorf("%s: a message that was cut: %v", a.insurer.ID, err)
			panic(http.ErrAbortHandler)
		}
		a.mu.Lock()
		a.received++
		a.last = Received{r.Header, r.Host, r.URL.RequestURI(), body, r.ContentLength, r.TransferEncoding, groupOf(r)}
		answer, held := a.answer, a.held
		a.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}
		if answer == nil {
			answer = a.usual.ServeHTTP
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	})
}

// groupOf is the key exchange of the connection.
func groupOf(r *http.Request) tls.CurveID {
	if r.TLS == nil {
		return 0
	}
	return r.TLS.CurveID
}

// Answers has the insurer answer so from now on.
func (a *AMC) Answers(f http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

// Hold has the insurer receive messages and not answer until Release.
func (a *AMC) Hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = make(chan struct{})
}

// Release ends Hold: those that wait are answered.
func (a *AMC) Release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held != nil {
		close(a.held)
		a.held = nil
	}
}

// Numero is its number.
func (a *AMC) Numero() roc.NumeroAMC { return a.insurer.Numero }

// Received returns how many messages came.
func (a *AMC) Received() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.received
}

// Last is the last message that came.
func (a *AMC) Last() Received {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// WantReceived checks how many messages came.
func (a *AMC) WantReceived(want int) {
	a.t.Helper()
	if got := a.Received(); got != want {
		a.t.Errorf("%s received %d messages, want %d", a.insurer.ID, got, want)
	}
}
