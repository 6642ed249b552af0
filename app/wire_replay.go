package app

import (
	"context"
	"log/slog"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/limits/replay"
	"github.com/piano-roc/rpn/proxy"
)

// replayWindow is the memory of signatures that came; nil when the policy does
// not look. What the state folder kept of it is read first: a restart forgets
// nothing that was saved. A file that cannot be read is logged, and the window
// starts with what it could read: it fails open, as everywhere.
//
// Redis is asked only where a replay is refused: to observe, what each
// instance sees is enough, and no message waits for Redis.
func (a *App) replayWindow(p config.ReplayPolicy) proxy.Replays {
	if p == config.ReplayOff {
		return nil
	}
	a.replay = replay.NewLocal(0)
	a.onRelease("replay window", func(context.Context) error { a.saveReplay(); return nil }) // after the last exchange
	if file := a.config.ReplayFile(); file != "" {
		if err := a.replay.Load(file, a.now()); err != nil {
			a.log.Error("the replay window of before the start cannot be read, or not all", slog.String("event", "replay_window_unreadable"), slog.String("error", err.Error()))
		}
	}
	if p == config.ReplayEnforce && a.redis != nil {
		return replay.NewShared(a.replay, a.redis, 0)
	}
	return a.replay
}

// saveReplay keeps the replay window, for the next start.
func (a *App) saveReplay() {
	file := a.config.ReplayFile()
	if file == "" || a.replay == nil {
		return
	}
	if err := a.replay.Save(file, a.now()); err != nil {
		a.log.Error("the replay window cannot be kept", slog.String("event", "replay_window_not_kept"), slog.String("error", err.Error()))
	}
}
