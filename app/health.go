package app

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

// Readiness asks each dependency, now.
func (a *App) Readiness() Readiness {
	now := a.now()
	r := Readiness{Ready: true, Missing: []string{}, Degraded: []string{}}
	for _, check := range a.checks {
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

func (a *App) serveReadyz(w http.ResponseWriter, _ *http.Request) {
	r := a.Readiness()
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

// A contact remembers how the last exchanges with a dependency went.
type contact struct {
	mu          sync.Mutex
	success     time.Time
	failure     time.Time
	failureText string
	kept        time.Time // of the last answer that was on disk at the start; zero: none was
}

func (c *contact) succeeded(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.success = at
}

func (c *contact) keeps(newest time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = newest
}

func (c *contact) failed(at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure, c.failureText = at, err.Error()
}

// health is not ok while the dependency never answered, now or before the
// start, and when it has been failing for longer than grace: until then what it
// said before still serves. One failing directory must not take every RPN out of the load balancer at
// once while remembered answers would have carried most exchanges.
func (c *contact) health(name string, now time.Time, grace time.Duration) Health {
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
