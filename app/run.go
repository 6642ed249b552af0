package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/piano-roc/rpn/app/handover"
)

// Run starts the RPN, reloads at each value of reload (SIGHUP), gives its place
// to another process when an operator asks for it (Upgrade), and stops when ctx
// ends (SIGTERM), within timeouts.stop.
func Run(ctx context.Context, opts Options, reload <-chan os.Signal) error {
	a, err := begin(opts)
	if err != nil {
		return err
	}
	for {
		select {
		case <-reload:
			opts.Manager.Reloading()
			a.reload(act{why: "signal"})
			opts.Manager.Ready(a.status())
			continue
		case u := <-a.upgrades:
			next, err := a.upgrade(ctx, u)
			if next != nil { // this process goes on
				a = next
			}
			u.done <- err
			if err == nil || next == nil {
				return errors.Join(err, a.stopWithin(ctx))
			}
			continue
		case err = <-a.failed: // a listener died under us
		case <-ctx.Done():
		}
		break
	}
	return errors.Join(err, a.stopWithin(ctx))
}

// begin makes an App and starts it. The process that gives its place to this one
// is told why it cannot be.
func begin(opts Options) (*App, error) {
	a, err := New(opts)
	if err == nil {
		err = a.Start()
	}
	if p := opts.Predecessor; p != nil {
		if err == nil {
			err = a.proveReady(p)
		}
		if err != nil {
			p.Report(handover.Message{Step: handover.Failed, Why: err.Error()})
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	opts.Manager.Ready(a.status())
	a.watchSelf()
	return a, nil
}

// stopWithin stops within its own deadline, which is counted from the signal: ctx
// is over already.
func (a *App) stopWithin(ctx context.Context) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Timeouts.Drain+a.config.Timeouts.Stop)
	defer cancel()
	return a.Stop(within)
}

// status is what the service manager shows.
func (a *App) status() string {
	return fmt.Sprintf("version %s, listening on %s", a.opts.Version, a.addr)
}

// watchSelf gives the service manager a sign of life as long as a connection to
// our own listener gets its handshake.
func (a *App) watchSelf() {
	ctx, cancel := context.WithCancel(context.Background())
	a.running.Go(func() {
		a.opts.Manager.Watch(ctx, a.secure.Probe, func(err error) {
			a.log.Error("the RPN does not answer itself: the service manager ends it when this lasts", slog.String("event", "self_probe_failed"), slog.String("error", err.Error()))
		})
	})
	a.onRelease("the signs of life", func(context.Context) error { cancel(); return nil })
}
