package http1

import (
	"errors"
	"sync"
)

// errOurClock: the certificates of several hosts are not valid at our time, and
// of none since then they are.
var errOurClock = errors.New("certificates of several hosts are not valid at this time: the clock of this machine is likely wrong")

// A clockDoubt remembers the hosts whose certificates were not valid at our time
// since the last one that was. One host may be at fault; several at once are not.
type clockDoubt struct {
	mu    sync.Mutex
	hosts map[string]bool
}

// doubtful hosts make our clock the likelier one to be wrong.
const doubtful = 2

// bad notes a host, and reports whether our clock is in doubt.
func (d *clockDoubt) bad(host string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hosts == nil {
		d.hosts = map[string]bool{}
	}
	if len(d.hosts) < doubtful {
		d.hosts[host] = true
	}
	return len(d.hosts) >= doubtful
}

// good notes a host whose certificate is valid.
func (d *clockDoubt) good() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.hosts)
}
