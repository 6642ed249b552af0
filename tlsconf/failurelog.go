package tlsconf

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// linesPerSecond is how many failures of one reason are logged in a second.
// Under a flood the rest is counted, and told by the next line of that reason.
const linesPerSecond = 10

// A failureLog writes one line for each handshake that failed.
type failureLog struct {
	log *slog.Logger

	mu      sync.Mutex
	second  time.Time
	written map[trust.Reason]int
	skipped map[trust.Reason]int
}

func newFailureLog(log *slog.Logger) *failureLog {
	return &failureLog{log: log, written: map[trust.Reason]int{}, skipped: map[trust.Reason]int{}}
}

func (l *failureLog) write(f *trust.Failure, hello offered) {
	level := slog.LevelWarn
	if !hello.seen && (f.Reason == trust.Closed || f.Reason == trust.TimedOut) {
		level = slog.LevelDebug // a port scan, or a load balancer's probe
	}
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	skipped, ok := l.allow(f.Reason, time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{
		slog.String("reason", string(f.Reason)),
		slog.String("peer", f.Peer),
		slog.String("detail", f.Detail),
	}
	if f.Subject != "" {
		attrs = append(attrs, slog.String("subject", f.Subject), slog.String("issuer", f.Issuer), slog.String("serial", f.Serial))
	}
	if hello.name != "" {
		attrs = append(attrs, slog.String("asked_for", trust.Safe(hello.name)))
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Int("not_logged_before", skipped))
	}
	l.log.LogAttrs(context.Background(), level, "TLS handshake failed", append(attrs, slog.String("event", "tls_handshake_failed"))...)
}

// allow says whether one more line of that reason may be written, and how
// many were not before it. It takes the real clock: the log is for people.
func (l *failureLog) allow(r trust.Reason, at time.Time) (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.Sub(l.second) >= time.Second || at.Before(l.second) {
		l.second = at
		clear(l.written)
	}
	if l.written[r] >= linesPerSecond {
		l.skipped[r]++
		return 0, false
	}
	l.written[r]++
	skipped = l.skipped[r]
	l.skipped[r] = 0
	return skipped, true
}
