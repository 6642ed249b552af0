package logsink

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is remembered of repeated lines.
const (
	repeatWindow = 10 * time.Minute // a state that lasts is written again after that, with how often it was met
	repeatKeys   = 4096             // beyond, lines are written as they come
)

// counted are the events whose lines say how many there were, or of which each one is an
// act: they are written as they come.
var counted = []string{"refusals_repeated", "limit_observed", "connections_turned_away", "connections_cut", "log_dropped", "late_answer", "reload_failed", "register_refused", "operator_act_refused", "deny_in_force", "deny_refused"}

// WithoutRepeats has a state that lasts written once: a warning or an error that
// says again what one said within ten minutes is counted, and the next one that
// is written says how many there were ("repeated"). Lines are the same when the
// event and every text in them are, the error and, of a warning, the exchange
// left out: a warning is about a state, an error about what it names. What ends
// a state is an information: it is always written, and so is the state when it
// begins again. Any information ends what it may be about: a line too many says
// less wrong than one that is missing.
func WithoutRepeats(h slog.Handler) slog.Handler {
	return &onceHandler{Handler: h, seen: &repeats{by: map[string]*repeat{}}}
}

type onceHandler struct {
	slog.Handler
	seen *repeats
	with []slog.Attr // what WithAttrs added
}

type repeats struct {
	mu sync.Mutex // guards by
	by map[string]*repeat
}

type repeat struct {
	since time.Time
	n     int      // not written
	about []string // the texts of the line but its event
}

// Handle implements slog.Handler.
func (o *onceHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return o.Handler.Handle(ctx, r)
	}
	if r.Level < slog.LevelWarn && o.event(&r) == "exchange" {
		return o.Handler.Handle(ctx, r) // there are many, and they end nothing
	}
	key, event, about := o.key(&r)
	if r.Level < slog.LevelWarn {
		o.seen.end(about)
		return o.Handler.Handle(ctx, r)
	}
	if event == "" || slices.Contains(counted, event) {
		return o.Handler.Handle(ctx, r)
	}
	n, write := o.seen.count(key, about, r.Time)
	if !write {
		return nil
	}
	if n > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("repeated", n))
	}
	return o.Handler.Handle(ctx, r)
}

// event is the event of a line.
func (o *onceHandler) event(r *slog.Record) (event string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "event" {
			event = a.Value.String()
		}
		return event == ""
	})
	return event
}

// key tells a line from another; event names it, and about is what it is about.
func (o *onceHandler) key(r *slog.Record) (key, event string, about []string) {
	var b strings.Builder
	add := func(a slog.Attr) bool {
		switch {
		case !named(a, r.Level):
			return true
		case a.Key == "event":
			event = a.Value.String()
		default:
			about = append(about, a.Value.String())
		}
		b.WriteString(a.Key + "=" + a.Value.String() + "\n")
		return true
	}
	for _, a := range o.with {
		add(a)
	}
	r.Attrs(add)
	return b.String(), event, about
}

// named reports whether an attribute says what a line is about.
func named(a slog.Attr, level slog.Level) bool {
	return a.Value.Kind() == slog.KindString && a.Key != "error" && (a.Key != "echange" || level >= slog.LevelError)
}

// end forgets the lines that an information may end: those that name something it
// names, or, where it names nothing, that name nothing either.
func (s *repeats) end(about []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, x := range s.by {
		if len(about) == 0 && len(x.about) == 0 || slices.ContainsFunc(about, func(v string) bool { return slices.Contains(x.about, v) }) {
			delete(s.by, key)
		}
	}
}

func (s *repeats) count(key string, about []string, at time.Time) (before int, write bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.by[key]; x != nil {
		if at.Sub(x.since) < repeatWindow {
			x.n++
			return 0, false
		}
		before = x.n
		*x = repeat{since: at, about: about}
		return before, true
	}
	if len(s.by) >= repeatKeys {
		for k, x := range s.by {
			if at.Sub(x.since) >= repeatWindow {
				delete(s.by, k)
			}
		}
	}
	if len(s.by) < repeatKeys {
		s.by[key] = &repeat{since: at, about: about}
	}
	return 0, true
}

// WithAttrs implements slog.Handler.
func (o *onceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &onceHandler{o.Handler.WithAttrs(attrs), o.seen, slices.Concat(o.with, attrs)}
}

// WithGroup implements slog.Handler.
func (o *onceHandler) WithGroup(name string) slog.Handler {
	return &onceHandler{o.Handler.WithGroup(name), o.seen, o.with}
}
