package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A reloader reads again what a reload replaces: the lists, the certificates
// and the trust stores. Each part keeps what it has when the new file is not
// valid. Everything else lasts as long as the process.
type reloader struct {
	log    *slog.Logger
	notify func(what string, err error, at time.Time) // the indicators
	parts  []part
	seen   string // the files as they were last read; of watch alone

	mu    sync.Mutex // one reload at a time
	stale map[string]error
}

// A part is what one reload function replaces: by itself (reload), or together
// with the other parts that have prepare, all or none. Our certificates and
// the trust stores are such: half of a change of authority locks peers out.
type part struct {
	name    string
	files   []string // files, or folders, that it is read from
	reload  func(act) (what []string, err error)
	prepare func(force bool) (trust.Change, error)
}

// reload reads every part again, says what changed, a line each, and names the
// parts that failed. force takes what is worse but valid.
func (r *reloader) reload(by act, at time.Time) (what []string, err error) {
	force := by.Force
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = map[string]error{}
	errs := make([]error, len(r.parts))
	changes := make([]trust.Change, len(r.parts))
	together := true
	for i, p := range r.parts {
		if p.prepare == nil {
			var lines []string
			lines, errs[i] = p.reload(by)
			for _, line := range lines {
				what = append(what, p.name+": "+line)
			}
		} else if changes[i], errs[i] = p.prepare(force.Certificates); errs[i] != nil {
			together = false
		}
	}
	var failed []error
	var certificates []string // and trust stores: what changed
	for i, p := range r.parts {
		switch {
		case errs[i] != nil || len(changes[i].What) == 0:
		case together:
			changes[i].Commit()
			for _, line := range changes[i].What {
				certificates = append(certificates, p.name+": "+line)
			}
		default:
			errs[i] = errNotAlone
		}
		r.notify(p.name, errs[i], at)
		if err := errs[i]; err != nil {
			r.stale[p.name] = err
			failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
			r.log.Warn("reload failed: what was read before stays in use", slog.String("event", "reload_failed"), slog.String("part", p.name), slog.String("error", oneLine(err)))
		}
	}
	for _, line := range certificates {
		level := slog.LevelInfo
		if force.Certificates {
			level = slog.LevelWarn
		}
		r.log.Log(context.Background(), level, "changed by a reload", slog.String("event", "reload_changed"), slog.String("what", line), slog.Bool("forced", force.Certificates))
	}
	what = append(certificates, what...)
	if err = errors.Join(failed...); err == nil {
		r.log.Info("reloaded", slog.String("event", "reloaded"), slog.String("why", by.why), slog.String("who", by.who), slog.Int("changes", len(what)), slog.Bool("forced_register", force.Register), slog.Bool("forced_certificates", force.Certificates))
	}
	return what, err
}

// aFileChanged is why a reload takes place that nobody asked for.
const aFileChanged = "a file changed"

// errNotAlone is why a part that could be read did not change.
var errNotAlone = errors.New("it is good and was not taken, because another part is not: certificates and trust stores change together or not at all")

// failure returns why the last reload of a part failed, or nil.
func (r *reloader) failure(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale[name]
}

// watch looks at the files each period, until ctx ends, and reloads when one
// has changed and has then been still for a period, so that a file is not read
// while it is written. It polls: that works on every file system, and with
// links that are swapped (Kubernetes).
func (r *reloader) watch(ctx context.Context, period time.Duration, now func() time.Time) {
	before := r.seen
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		after := r.fingerprint()
		if after == before && after != r.seen {
			r.seen = after
			r.reload(act{why: aFileChanged}, now())
		}
		before = after
	}
}

// fingerprint changes when a file is written, replaced, added or removed.
func (r *reloader) fingerprint() string {
	var b strings.Builder
	for _, p := range r.parts {
		for _, f := range p.files {
			filepath.WalkDir(f, func(path string, _ fs.DirEntry, err error) error {
				if err != nil {
					fmt.Fprintf(&b, "%s: %v\n", path, err)
					return nil
				}
				if info, err := os.Stat(path); err == nil {
					fmt.Fprintf(&b, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
				}
				return nil
			})
		}
	}
	return b.String()
}

// newReloader lists what a reload replaces.
func (a *App) newReloader() *reloader {
	c := a.config
	r := &reloader{log: a.log, notify: a.live.Reloaded, parts: []part{
		{name: "register", files: []string{c.Etablissements, c.AMC}, reload: a.reloadRegister},
		{name: "trust", files: []string{c.Trust.EtablissementsTLS, c.Trust.EtablissementsSignature, c.Trust.AMCTLS, c.Trust.AMCSignature}, prepare: a.stores.Prepare},
	}}
	for _, own := range c.Identities() {
		r.parts = append(r.parts, part{name: own.Name, files: own.Pair.Paths(), prepare: a.own.Of(own.Name).Prepare})
	}
	if p := &c.Portal; p.Open() {
		var files []string
		for _, o := range p.Operators {
			files = append(files, o.Certificate)
		}
		r.parts = append(r.parts, part{name: "operators", files: files, reload: a.reloadOperators})
		if p.Clients != "" {
			r.parts = append(r.parts, part{name: "portal.clients", files: []string{p.Clients}, prepare: a.operatorStore.Prepare})
		}
	}
	if a.tickets != nil {
		r.parts = append(r.parts, part{name: "tickets", files: []string{c.Tickets}, reload: func(act) ([]string, error) { _, err := a.tickets.Reload(); return nil, err }})
	}
	r.seen = r.fingerprint()
	return r
}

// Force is what a reload takes although it is worse than what it replaces.
type Force struct {
	Register     bool // however much the register drops
	Certificates bool // a CA less that still has clients, a name less
}

// Reload reads the lists, the certificates and the trust stores again, and asks
// the servers of revocation lists at once. What cannot be read stays as it was,
// and is named in the error.
func (a *App) Reload() error {
	_, err := a.ReloadForced(Force{})
	return err
}

// ReloadForced is Reload that takes what is worse, as far as force says; it
// returns what changed, a line each.
func (a *App) ReloadForced(force Force) (what []string, err error) {
	return a.reload(act{Force: force, why: "asked"})
}

// reload is the one door of a reload that somebody asks for: SIGHUP, `rpn
// reload` and Reload.
func (a *App) reload(by act) ([]string, error) {
	a.revocation.Hurry()
	return a.reloader.reload(by, a.now())
}
