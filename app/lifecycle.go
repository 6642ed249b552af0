package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/app/config"
)

// onStop registers how to end what was just started. Stop runs these in
// reverse order and names the one that fails.
func (a *App) onStop(name string, stop func(context.Context) error) {
	a.stops = append(a.stops, namedStop{name: name, stop: stop})
}

type namedStop struct {
	name   string
	stop   func(context.Context) error
	folder bool // also run when the folder is given to another process
}

// onRelease is onStop for what writes in the state folder, or is done by one
// process at a time: it ends when another process takes over, while the
// exchanges in flight go on.
func (a *App) onRelease(name string, stop func(context.Context) error) {
	a.stops = append(a.stops, namedStop{name, stop, true})
}

// Start opens the two listeners and begins to serve. It returns as soon as
// both accept connections; /readyz may still be 503 until the annuaire has
// answered once. After an error nothing is left running.
func (a *App) Start() (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, a.unwind(context.Background()))
		}
	}()
	if err := a.startAdmin(); err != nil {
		return err
	}
	if err := a.startOwn(); err != nil {
		return err
	}
	if err := a.startPortal(); err != nil {
		return err
	}
	a.startLoops()
	return a.startProxy()
}

// ErrStopped is the error of a second Stop.
var ErrStopped = errors.New("the RPN is already stopping")

// Stop ends the RPN: /readyz turns 503, then (after timeouts.drain) the
// listener closes, the exchanges in flight finish within ctx, and what is left
// is closed. Every step runs even when an earlier one failed.
func (a *App) Stop(ctx context.Context) error {
	if a.draining.Swap(true) {
		return ErrStopped
	}
	a.log.Info("stopping", slog.String("event", "stopping"), slog.String("drain", a.config.Timeouts.Drain.String()), slog.String("deadline", a.config.Timeouts.Stop.String()),
		slog.Int("in_flight", a.proxy.InFlight()))
	if !a.released.Load() {
		a.opts.Manager.Stopping("what is in flight finishes")
		pause(ctx, a.config.Timeouts.Drain)
	}
	err := a.unwind(ctx)
	a.log.Info("stopped", slog.String("event", "stopped"), slog.Bool("clean", err == nil))
	return err
}

func (a *App) unwind(ctx context.Context) error {
	err := a.end(ctx, func(namedStop) bool { return true })
	a.running.Wait()
	return err
}

// end runs those of the stops, in reverse order.
func (a *App) end(ctx context.Context, those func(namedStop) bool) error {
	var failed []error
	var left []namedStop
	for _, s := range slices.Backward(a.stops) {
		if !those(s) {
			left = append(left, s)
			continue
		}
		if err := s.stop(ctx); err != nil {
			a.log.Error("a step of the stop failed", slog.String("event", "stop_step_failed"), slog.String("step", s.name), slog.String("error", err.Error()))
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	slices.Reverse(left)
	a.stops = left
	return errors.Join(failed...)
}

// listen opens an address of the configuration, and says in one line which one
// could not be opened, and what to do.
func (a *App) listen(field, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err == nil {
		return ln, nil
	}
	remedy := "give " + field + " an address and port of this machine"
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = fmt.Sprintf("stop what uses the port (`ss -ltnp 'sport = :%s'` names it), or change %s", port, field)
		err = fmt.Errorf("port %s is already in use", port)
	case errors.Is(err, syscall.EACCES):
		remedy = fmt.Sprintf("choose a port above 1023, or give the program the right to open it (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE); change %s", field)
		err = fmt.Errorf("port %s may not be opened by this user", port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = errors.New("this machine has no such address")
	}
	return nil, &config.SetupError{What: fmt.Sprintf("%s: %s: %s: %v", a.config.File(), field, address, err), Remedy: remedy}
}

// pause waits that long, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// startLoops begins what goes on in the background: looking at the files,
// and asking the annuaire.
func (a *App) startLoops() {
	ctx, cancel := context.WithCancel(context.Background())
	a.onRelease("loops", func(context.Context) error { cancel(); a.loops.Wait(); return nil })
	a.startJournal()
	a.startHistory()
	a.loops.Go(func() { a.watchExpiries(ctx) })
	a.loops.Go(func() { a.watchDates(ctx) })
	a.loops.Go(func() { a.names.Run(ctx) })
	a.loops.Go(func() { a.reloader.watch(ctx, a.opts.ReloadEvery, a.now) })
	began := a.ground()
	a.followLists()
	a.loops.Go(func() { a.watchConnections(ctx, began) })
	a.loops.Go(func() { a.saveState(ctx) })
	a.runDossiers(ctx)
	if a.figures != nil {
		a.loops.Go(func() { a.figures.Run(ctx) })
	}
	if a.watcher != nil {
		a.loops.Go(func() { a.watcher.Run(ctx) })
	}
	if a.mailer != nil {
		a.loops.Go(func() { a.mailer.Run(ctx) })
	}
	if a.figures != nil { // the console, and the portal where there is one
		a.loops.Go(func() { a.pages.Run(ctx) })
	}
	if a.config.Annuaire.Probe > 0 {
		a.loops.Go(func() { a.probeAnnuaire(ctx) })
	}
}
