package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/app/handover"
	"github.com/piano-roc/rpn/proxy"
)

// Deadlines of the process that takes over.
const (
	listsWithin = 30 * time.Second // to obtain the revocation lists that the old process has
	givenWithin = 30 * time.Second // for the old process to give the folder
	readyWithin = 20 * time.Second // to do as well as the old process, once it serves
)

// succeed proves all that can be proved before the old process stops accepting,
// then has it give the state folder. Without an old process it does nothing.
func (a *App) succeed() error {
	p := a.opts.Predecessor
	if p == nil {
		return nil
	}
	dry := a.opts
	dry.Predecessor, dry.Manager, dry.Listener, dry.Admin, dry.Portal = nil, nil, nil, nil, nil
	dry.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	if err := Check(context.Background(), dry, false).Err(); err != nil {
		return err
	}
	for field, given := range map[string][2]string{"listen": {a.config.Listen, p.Establishments.Addr().String()}, "admin": {a.config.Admin, p.Admin.Addr().String()}} {
		_, wanted, _ := net.SplitHostPort(given[0])
		if _, port, _ := net.SplitHostPort(given[1]); wanted != port && wanted != "0" {
			return fmt.Errorf("%s is now %s in %s, and the sockets are handed over as they are (%s): a change of address needs a restart", field, given[0], a.config.File(), given[1])
		}
	}
	a.followLists()
	late := time.NewTimer(listsWithin)
	defer late.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for a.neverHeard() > p.Before.NeverHeard {
		select {
		case <-look.C:
		case <-late.C:
			return fmt.Errorf("%d places of revocation lists have not answered within %s, and %d had not answered the process before", a.neverHeard(), listsWithin, p.Before.NeverHeard)
		}
	}
	if err := p.TakeFolder(givenWithin); err != nil {
		return fmt.Errorf("the process before this one does not give the state folder: %w", err)
	}
	a.succeeds.Store(true)
	return nil
}

// neverHeard is how many places of revocation lists have never answered.
func (a *App) neverHeard() int { return a.revocationStats().Never }

// followLists begins to follow the revocation lists, once.
func (a *App) followLists() {
	if a.listsFollowed {
		return
	}
	a.listsFollowed = true
	ctx, cancel := context.WithCancel(context.Background())
	a.running.Go(func() { a.revocation.Run(ctx) })
	a.onStop("revocation lists", func(context.Context) error { cancel(); return nil })
}

// proveReady writes down what the old process still ends, and tells it when this
// one does as well as it did.
func (a *App) proveReady(p *handover.Predecessor) error {
	a.running.Go(func() {
		handover.Serve(p.Writes, a.custody.keeper)
		a.succeeds.Store(false)
	})
	a.onRelease("what the process before this one writes", func(context.Context) error { p.Close(); return nil })
	err := p.Report(handover.Message{Step: handover.Serving})
	if err == nil {
		err = a.asWellAs(p.Before)
	}
	if err == nil {
		err = p.Report(handover.Message{Step: handover.Ready, Version: a.opts.Version, Pid: os.Getpid()})
	}
	if err != nil {
		return errors.Join(err, a.stopWithin(context.Background()))
	}
	return nil
}

// asWellAs waits until the listener answers a handshake of our own, and /readyz
// names nothing missing that was not missing before.
func (a *App) asWellAs(before handover.Before) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	if err := a.secure.Probe(ctx); err != nil {
		return err
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		missing := slices.DeleteFunc(a.Readiness().Missing, func(name string) bool { return slices.Contains(before.Missing, name) })
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("after %s it is not ready: %s", readyWithin, strings.Join(missing, ", "))
		}
	}
}

// openCustody makes this process the one that writes in the state folder, and
// returns what the proxy asks about replays; nil when the policy does not look.
func (a *App) openCustody(p config.ReplayPolicy) proxy.Replays {
	o := ours{journal: a.tracer(), replays: a.replayWindow(p)}
	if a.attempts != nil {
		o.keepOne = a.attempts.Keep
	}
	a.custody = &custody{keeper: o}
	if o.replays == nil {
		return nil
	}
	return replays{a.custody}
}

// traces is the journal as the proxy sees it; nil where there is none.
func (a *App) traces() proxy.Journal {
	if a.journal == nil {
		return nil
	}
	return a.custody
}
