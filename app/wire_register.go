package app

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/history"
	"github.com/piano-roc/rpn/routing/explain"
)

// lookAtDates is how often the dates of the register are looked at, for the log
// and the audit trail; the exchanges follow them at once.
const lookAtDates = time.Second

// openRegister reads the two lists.
func (a *App) openRegister() (err error) {
	c := a.config
	a.register, err = register.Open(register.Options{Etablissements: c.Etablissements, AMC: c.AMC, Accept: c.CanServe, Now: a.now})
	if err != nil {
		return setup(err, "correct the file; `rpn check` shows every fault of it")
	}
	a.followed = a.register.Current()
	return nil
}

// An act is a reload: what is forced, who asked for it and why.
type act struct {
	Force
	why, who string
}

// reloadRegister reads the register again. What it loses beyond the bounds of
// the configuration is refused, unless forced; what it changes is written down
// either way, and returned in words.
func (a *App) reloadRegister(by act) (what []string, err error) {
	a.followDates() // of the register that is in force until now
	entry := history.Entry{At: a.now(), Event: history.Reloaded, Why: by.why, Who: by.who, Force: by.Force.Register}
	old := a.register.Current()
	var diff *explain.Diff
	err = a.register.Reload(func(before, after *register.List) error {
		diff = explain.Compare(before, after, a.config.StandardLimits())
		losses := explain.LossesOf(before, after, diff, a.config.StandardLimits(), a.config.RegisterLosses)
		entry.Files = a.registerFiles(after)
		if !by.Force.Register {
			return explain.Refuse(losses, "rpn reload --force-register")
		}
		for _, l := range losses {
			entry.Forced = append(entry.Forced, l.String())
			what = append(what, "forced: "+l.String())
		}
		return nil
	})
	now := a.register.Current()
	a.follow(now)
	if err != nil {
		entry.Event, entry.Error = history.Refused, oneLine(err)
		if entry.Files == nil {
			entry.Files = a.registerFiles(old) // those in force: the new ones could not be read
		}
		a.writeHistory(entry)
		return nil, err
	}
	entry.Changes = diff.History()
	if now.Digest() == old.Digest() && by.why == aFileChanged {
		return nil, nil // another file changed
	}
	a.writeHistory(entry)
	for i, c := range entry.Changes {
		if i == mostLogged {
			what = append(what, fmt.Sprintf("and %d more changes: rpn register history gives them all", len(entry.Changes)-i))
			break
		}
		what = append(what, c.String())
	}
	return what, nil
}

// registerFiles names the two files of a list and their sums.
func (a *App) registerFiles(l *register.List) []history.File {
	es, amc := l.Sums()
	return []history.File{
		{Name: filepath.Base(a.config.Etablissements), SHA256: hex.EncodeToString(es[:])},
		{Name: filepath.Base(a.config.AMC), SHA256: hex.EncodeToString(amc[:])},
	}
}

// mostLogged is how many changes of one reload have a line in the log; the
// audit trail has them all.
const mostLogged = 100

// writeHistory logs an entry and writes it into the audit trail. It fails open:
// a disk that is full must not keep a suspension from being in force, and the
// log has the entry.
func (a *App) writeHistory(e history.Entry) {
	files := slog.Group("files", slog.String(e.Files[0].Name, e.Files[0].SHA256), slog.String(e.Files[1].Name, e.Files[1].SHA256))
	switch e.Event {
	case history.Started:
		a.log.Info("the register in force at the start", slog.String("event", "register_started"), files)
	case history.Refused:
		a.log.Info("a change of the register is refused", slog.String("event", "register_refused"), slog.String("error", e.Error), slog.String("why", e.Why), slog.String("who", e.Who), files)
	case history.Reloaded:
		a.log.Info("the register was read again", slog.String("event", "register_reloaded"), slog.Int("changes", len(e.Changes)), slog.Bool("forced", e.Force),
			slog.Any("losses_forced", e.Forced), slog.String("why", e.Why), slog.String("who", e.Who), files)
	}
	for i, c := range e.Changes {
		if i == mostLogged {
			a.log.Warn("more changes than the log has lines for", slog.String("event", "register_changes_unlogged"), slog.Int("more", len(e.Changes)-i))
			break
		}
		a.log.Info("changed in the register", slog.String("event", "register_changed"), slog.String("kind", c.Kind), slog.String("whose", c.Who), slog.String("name", c.Nom),
			slog.String("before", c.Before), slog.String("after", c.After))
	}
	for i, d := range e.Dates {
		if i == mostLogged {
			a.log.Warn("more dates than the log has lines for", slog.String("event", "register_changes_unlogged"), slog.Int("more", len(e.Dates)-i))
			break
		}
		a.log.Info("a dated change of the register is in force", slog.String("event", "register_date"), slog.Time("since", d.Depuis), slog.String("whose", string(d.EJ)+string(d.AMC)),
			slog.String("name", d.Nom), slog.String("before", d.From), slog.String("after", d.To), slog.String("motif", d.Motif))
	}
	file := a.config.RegisterHistoryFile()
	if file == "" {
		return
	}
	a.historyFailed.Store(nil)
	if err := history.Append(file, e); err != nil {
		a.historyFailed.Store(&err)
		a.log.Error("the audit trail of the register cannot be written", slog.String("event", "register_history_unwritten"), slog.String("error", err.Error()))
	}
}

// follow takes a list as the one whose dates are followed from now on.
func (a *App) follow(l *register.List) {
	a.following.Lock()
	defer a.following.Unlock()
	a.followed = l
}

// followDates writes down what the dates of the register changed since it last
// looked. A clock that goes back over a date changes too: the register then
// says again what it said before.
func (a *App) followDates() {
	a.following.Lock()
	defer a.following.Unlock()
	was, is := a.followed, a.register.Current()
	if was == is || was.Digest() != is.Digest() { // a reload between writes its own entry
		return
	}
	a.followed = is
	changes := explain.Compare(was, is, a.config.StandardLimits()).History()
	dates := history.DatesBetween(is, was.Moment(), is.Moment())
	if len(changes)+len(dates) == 0 {
		return
	}
	a.writeHistory(history.Entry{At: a.now(), Event: history.Dated, Why: "the clock", Files: a.registerFiles(is), Dates: dates, Changes: withoutPlans(changes)})
}

// withoutPlans drops the changes to come: that one of them came is said by its
// date.
func withoutPlans(all []history.Change) []history.Change {
	var kept []history.Change
	for _, c := range all {
		if c.Kind != "planned" && c.Kind != "cancelled" {
			kept = append(kept, c)
		}
	}
	return kept
}

// watchDates follows the dates until ctx ends.
func (a *App) watchDates(ctx context.Context) {
	tick := time.NewTicker(lookAtDates)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.followDates()
		}
	}
}

// startHistory writes down which register the RPN starts with, and which dates
// were reached while it was stopped, when the files are the same.
func (a *App) startHistory() {
	l := a.register.Current()
	e := history.Entry{At: a.now(), Event: history.Started, Files: a.registerFiles(l)}
	if last, ok := a.lastHistory(); ok && len(last.Files) == 2 && last.Files[0].SHA256 == e.Files[0].SHA256 && last.Files[1].SHA256 == e.Files[1].SHA256 {
		e.Dates = history.DatesBetween(l, last.At, l.Moment())
	}
	a.writeHistory(e)
}

// lastHistory is the last entry that put a register in force or followed it.
func (a *App) lastHistory() (history.Entry, bool) {
	file := a.config.RegisterHistoryFile()
	if file == "" {
		return history.Entry{}, false
	}
	last, damaged, err := history.Last(file)
	if err != nil {
		a.log.Error("the audit trail of the register cannot be read", slog.String("event", "register_history_unreadable"), slog.String("error", err.Error()))
		return history.Entry{}, false
	}
	if len(damaged) > 0 {
		a.log.Warn("lines of the audit trail of the register are damaged: they stay as they are", slog.String("event", "register_history_damaged"), slog.Int("lines", len(damaged)),
			slog.String("first", damaged[0]))
	}
	return last, !last.At.IsZero()
}

// historyHealth adds to a Health that the audit trail is not written.
func (a *App) historyHealth(h admin.Health) admin.Health {
	if err := a.historyFailed.Load(); err != nil {
		h.Degraded = true
		h.Detail += fmt.Sprintf("; what changes is not written in %s: %v", a.config.RegisterHistoryFile(), *err)
	}
	return h
}
