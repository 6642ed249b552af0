package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/app/handover"
)

// Deadlines of the process that gives its place.
const (
	preparedWithin = 2 * time.Minute
	servingWithin  = 30 * time.Second
	leaveIdle      = 10 * time.Second // connections on which nothing comes are ended after that
)

// An upgrade is what an operator asks for.
type upgrade struct {
	program  string
	progress func(line string)
	done     chan error
}

// askUpgrade is Parts.Upgrade.
func (a *App) askUpgrade(_ context.Context, program string, progress func(string)) error {
	if a.succeeds.Load() {
		return errors.New("the process before this one still ends its exchanges: try again in a moment")
	}
	program, err := upgradeProgram(program)
	if err != nil {
		return err
	}
	u := upgrade{program, progress, make(chan error, 1)}
	select {
	case a.upgrades <- u:
		return <-u.done
	case <-time.After(time.Second):
		return errors.New("an upgrade or a stop is under way, or the RPN is not run by rpn serve")
	}
}

// upgradeProgram is the program that takes over; "" means the one that runs, as
// it is on disk now. Who may open the operator's socket may have no more run than
// what the administrator of the machine has put there.
func upgradeProgram(name string) (string, error) {
	if name == "" {
		own, err := os.Executable()
		if err != nil {
			return "", err
		}
		name = own
	}
	if !filepath.IsAbs(name) {
		return "", fmt.Errorf("%s: give its whole path", name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s is no program", name)
	case !ok || owner.Uid != 0 && int(owner.Uid) != os.Getuid():
		return "", fmt.Errorf("%s belongs neither to root nor to the user of the RPN: chown it", name)
	case info.Mode()&0o022 != 0:
		return "", fmt.Errorf("%s may be written by others than its owner: chmod go-w it", name)
	}
	return name, nil
}

// upgrade has another process take over. Without an error it has, and the
// exchanges in flight are over: this process is to stop. With an error and an
// App this process goes on with that App, which is a, or another one when the
// new process failed after it was given the folder. With an error alone nothing
// serves any more.
func (a *App) upgrade(ctx context.Context, u upgrade) (*App, error) {
	a.log.Info("another process is to take over", slog.String("event", "upgrade_begun"), slog.String("program", u.program))
	u.progress("starting " + u.program)
	sockets, err := a.sockets()
	if err != nil {
		return a, a.notUpgraded(a, err)
	}
	defer sockets.Close()
	s, err := handover.Start(u.program, sockets.files, handover.Before{Missing: a.Readiness().Missing, NeverHeard: a.neverHeard()})
	if err != nil {
		return a, a.notUpgraded(a, err)
	}
	stop := context.AfterFunc(ctx, s.Kill) // SIGTERM in the middle: the new one must not outlive us
	defer stop()
	u.progress(fmt.Sprintf("process %d reads the configuration, the certificates, the lists", s.Pid()))
	if _, err := s.Want(handover.Folder, preparedWithin); err != nil {
		s.Kill()
		return a, a.notUpgraded(a, err)
	}
	u.progress("it is ready to take over; this process stops accepting")
	over := make(chan struct{})
	next, err := a.handTo(ctx, s, sockets, over)
	if err != nil {
		return next, a.notUpgraded(next, err)
	}
	if !stop() { // it is being killed: so are we
		return nil, ctx.Err()
	}
	a.log.Info("another process has taken over: what is in flight finishes here", slog.String("event", "upgrade_done"), slog.Int("pid", s.Pid()), slog.Int("in_flight", a.proxy.InFlight()))
	u.progress(fmt.Sprintf("process %d serves", s.Pid()))
	a.reportLeaving(over, u.progress)
	return nil, nil
}

// notUpgraded logs why no other process takes over, and returns it with what
// serves now: next, or nothing.
func (a *App) notUpgraded(next *App, err error) error {
	what := "the old process goes on"
	if next == nil {
		what = "nothing serves any more, the old process ends: start the RPN again"
	}
	a.log.Error("no other process takes over: "+what, slog.String("event", "upgrade_failed"), slog.String("error", oneLine(err)))
	return fmt.Errorf("%s: %w", what, err)
}

// handTo stops accepting, gives the folder, and has the exchanges in flight
// written down by the new process. When that one fails this process takes all of
// it back, and the exchanges wait meanwhile: next then serves, nil if that failed
// too. over is closed when the exchanges are over.
func (a *App) handTo(ctx context.Context, s *handover.Successor, sockets *sockets, over chan<- struct{}) (next *App, err error) {
	back := func() (handover.Keeper, error) {
		s.Kill()
		var again error
		if next, again = a.takeBack(sockets); again != nil {
			err = errors.Join(err, fmt.Errorf("and this process cannot take its place back: %w", again))
			return nil, again
		}
		return next.custody.keeper, nil
	}
	a.custody.change(func() (handover.Keeper, error) {
		a.release(ctx, over)
		if err = s.Give(); err == nil {
			_, err = s.Want(handover.Serving, servingWithin)
		}
		if err != nil {
			return back()
		}
		return handover.Remote(s.Writes), nil
	})
	if err != nil {
		return next, err
	}
	a.opts.Manager.Alive()
	m, err := s.Want(handover.Ready, readyWithin+5*time.Second)
	if err != nil {
		a.custody.change(back)
		return next, err
	}
	a.opts.Manager.HandOver(m.Pid, "version "+m.Version+", listening on "+a.addr.String())
	return nil, nil
}

// release stops accepting, and everything that writes in the state folder. The
// exchanges in flight go on; over is closed at their end, or when timeouts.stop
// has cut them.
func (a *App) release(ctx context.Context, over chan<- struct{}) {
	a.released.Store(true)
	a.secure.Close()
	a.closeAdmin()
	go func() {
		defer close(over)
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Timeouts.Stop)
		defer cancel()
		if err := a.proxy.Leave(within, leaveIdle); err != nil {
			a.log.Error("exchanges were cut", slog.String("event", "stop_step_failed"), slog.String("step", "exchanges in flight"), slog.String("error", err.Error()))
		}
	}()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Timeouts.Stop)
	defer cancel()
	a.end(within, func(s namedStop) bool { return s.folder })
}

// reportLeaving tells how many exchanges are left, until there are none.
func (a *App) reportLeaving(left <-chan struct{}, progress func(string)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-left:
			progress("the exchanges of the process before are over")
			return
		case <-tick.C:
			progress(fmt.Sprintf("the process before ends %d exchanges", a.proxy.InFlight()))
		}
	}
}

// takeBack has this process serve again, after the new one failed with the
// folder in its hands. It is a start like another, on the sockets that stayed
// open: who came meanwhile waits. The exchanges of a end beside it.
func (a *App) takeBack(sockets *sockets) (*App, error) {
	opts := a.opts
	opts.Predecessor, opts.Portal = nil, nil
	var err error
	if opts.Listener, opts.Admin, err = sockets.listen(); err != nil {
		return nil, err
	}
	next, err := begin(opts)
	if err != nil {
		return nil, err
	}
	next.running.Go(func() { a.stopWithin(context.Background()) })
	return next, nil
}

// sockets are those that the next process gets, and that this one could take
// back.
type sockets struct{ files [2]*os.File }

func (a *App) sockets() (*sockets, error) {
	s := &sockets{}
	for i, l := range []net.Listener{a.listener, a.adminListener} {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			s.Close()
			return nil, fmt.Errorf("a listener of kind %T cannot be handed over", l)
		}
		f, err := tcp.File()
		if err != nil {
			s.Close()
			return nil, err
		}
		s.files[i] = f
	}
	return s, nil
}

// listen listens on them again.
func (s *sockets) listen() (establishments, operators net.Listener, err error) {
	if establishments, err = net.FileListener(s.files[0]); err != nil {
		return nil, nil, err
	}
	if operators, err = net.FileListener(s.files[1]); err != nil {
		establishments.Close()
		return nil, nil, err
	}
	return establishments, operators, nil
}

// Close lets go of them.
func (s *sockets) Close() {
	for _, f := range s.files {
		if f != nil {
			f.Close()
		}
	}
}
