package admin

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// A Health is what /readyz says of one dependency.
type Health struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`                 // false: the RPN should get no traffic
	Degraded bool   `json:"degraded,omitempty"` // it works for now, and somebody should act
	Detail   string `json:"detail"`             // one sentence: what is, and what is missing

	LastSuccess string `json:"last_success,omitempty"` // RFC 3339
	LastError   string `json:"last_error,omitempty"`   // RFC 3339, then the error
}

// Readiness is the answer of /readyz: 200 when every dependency is ok, else
// 503 and their names in Missing.
type Readiness struct {
	Ready    bool     `json:"ready"`
	Missing  []string `json:"missing"`
	Degraded []string `json:"degraded"`
	Checks   []Health `json:"checks"`
}

// Ready asks each dependency.
func Ready(checks []func(time.Time) Health, now time.Time) Readiness {
	r := Readiness{Ready: true, Missing: []string{}, Degraded: []string{}}
	for _, check := range checks {
		h := check(now)
		r.Checks = append(r.Checks, h)
		if !h.OK {
			r.Ready = false
			r.Missing = append(r.Missing, h.Name)
		} else if h.Degraded {
			r.Degraded = append(r.Degraded, h.Name)
		}
	}
	return r
}

func (p Parts) serveReadyz(w http.ResponseWriter, _ *http.Request) {
	r := p.Readiness()
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, r)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}

// A Contact remembers how the last exchanges with a dependency went, for its
// Health. The zero value has not asked yet. Safe for concurrent use.
type Contact struct {
	mu          sync.Mutex
	success     time.Time
	failure     time.Time
	failureText string
	kept        time.Time // of the last answer that was on disk at the start; zero: none was
}

// Succeeded notes that it answered.
func (c *Contact) Succeeded(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.success = at
}

// Keeps notes how new the newest of its answers on disk is, at the start.
func (c *Contact) Keeps(newest time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = newest
}

// Failed notes that it did not answer, and why.
func (c *Contact) Failed(at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure, c.failureText = at, err.Error()
}

// Health is not ok while the dependency never answered, now or before the
// start, and when it has been failing for longer than grace: until then what it
// said before still serves. One failing directory must not take every RPN out of the load balancer at
// once while remembered answers would have carried most exchanges.
func (c *Contact) Health(name string, now time.Time, grace time.Duration) Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := Health{Name: name}
	if !c.success.IsZero() {
		h.LastSuccess = c.success.UTC().Format(time.RFC3339)
	}
	if !c.failure.IsZero() {
		h.LastError = c.failure.UTC().Format(time.RFC3339) + " " + c.failureText
	}
	failing := c.failure.After(c.success)
	switch {
	case c.success.IsZero() && c.failure.IsZero():
		h.Detail = "not asked yet"
	case c.success.IsZero() && now.Sub(c.kept) <= grace:
		h.OK, h.Degraded, h.Detail = true, true, "it has not answered since the RPN started; the answers on disk serve"
	case c.success.IsZero():
		h.Detail = "it has not answered since the RPN started"
	case failing && now.Sub(c.success) > grace:
		h.Detail = "it fails, and its remembered answers are too old"
	case failing:
		h.OK, h.Degraded, h.Detail = true, true, "it fails; remembered answers still serve"
	default:
		h.OK, h.Detail = true, "it answers"
	}
	return h
}
