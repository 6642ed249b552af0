// Package systemd is what the service manager is told (sd_notify) and what it
// gives: sockets that it has opened, and how often it wants to hear from us.
// Without it every function does nothing.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// Names of the sockets (FileDescriptorName= in rpn.socket).
const (
	Establishments = "establishments"
	Admin          = "admin"
)

// Sockets are the listeners that the service manager has opened, each nil when
// it has not. One that has another name, or is no TCP socket, is an error: it
// would take connections that nobody answers.
func Sockets() (establishments, admin net.Listener, err error) {
	var problems []error
	for _, f := range activation.Files(true) {
		name := f.Name()
		l, err := net.FileListener(f)
		f.Close()
		tcp, ok := l.(*net.TCPListener)
		switch {
		case err != nil || !ok:
			problems = append(problems, fmt.Errorf("the socket %s that the service manager gives does not listen on TCP", name))
		case name == Establishments && establishments == nil:
			establishments = tcp
			continue
		case name == Admin && admin == nil:
			admin = tcp
			continue
		default:
			problems = append(problems, fmt.Errorf("the service manager gives a socket named %s: FileDescriptorName= is %s or %s, one socket each", name, Establishments, Admin))
		}
		if l != nil {
			l.Close()
		}
	}
	return establishments, admin, errors.Join(problems...)
}

// A Manager tells the service manager how the RPN does.
type Manager struct {
	send func(state string) error
	// Watchdog is how long the service manager waits for a sign of life; 0: it
	// does not.
	Watchdog time.Duration
}

// Find returns the service manager that started this process.
func Find() (*Manager, error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("WATCHDOG_USEC: %w", err)
	}
	return &Manager{Watchdog: watchdog, send: func(state string) error { _, err := daemon.SdNotify(false, state); return err }}, nil
}

// notify sends lines; a service manager that does not listen is no reason to stop.
func (m *Manager) notify(lines ...string) {
	if m != nil {
		m.send(strings.Join(lines, "\n"))
	}
}

// Ready tells that exchanges are served.
func (m *Manager) Ready(status string) { m.notify(daemon.SdNotifyReady, "STATUS="+oneLine(status)) }

// Status tells people how it does: systemctl status.
func (m *Manager) Status(status string) { m.notify("STATUS=" + oneLine(status)) }

// Reloading tells that files are read again; Ready follows.
func (m *Manager) Reloading() { m.notify(daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec()) }

// Stopping tells that what is in flight finishes.
func (m *Manager) Stopping(status string) {
	m.notify(daemon.SdNotifyStopping, "STATUS="+oneLine(status))
}

// Alive is a sign of life between two probes.
func (m *Manager) Alive() { m.notify(daemon.SdNotifyWatchdog) }

// HandOver tells that another process is the service from now on.
func (m *Manager) HandOver(pid int, status string) {
	m.notify(fmt.Sprintf("MAINPID=%d", pid), daemon.SdNotifyReady, daemon.SdNotifyWatchdog, "STATUS="+oneLine(status))
}

// Watch gives a sign of life each third of Watchdog as long as probe succeeds,
// until ctx ends. A probe has as long as the interval; failed is told of each
// that does not succeed.
func (m *Manager) Watch(ctx context.Context, probe func(context.Context) error, failed func(error)) {
	if m == nil || m.Watchdog <= 0 {
		return
	}
	tick := time.NewTicker(m.Watchdog / 3)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, m.Watchdog/3)
		err := probe(within)
		cancel()
		switch {
		case err == nil:
			m.notify(daemon.SdNotifyWatchdog)
		case ctx.Err() == nil:
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
