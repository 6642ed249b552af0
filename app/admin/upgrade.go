package admin

import (
	"io"
	"net/http"
	"time"
)

// The last line of the answer to POST /-/upgrade.
const (
	Upgraded    = "upgraded"      // alone on its line
	NotUpgraded = "not upgraded:" // and why
)

// longestUpgrade is far above the deadlines of an upgrade.
const longestUpgrade = 10 * time.Minute

// serveUpgrade has another process take over: ?program=. It writes a line for
// each step, and at the end whether it did. By the unix socket alone: what is
// named is run on this machine as this user.
func (p Parts) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	if _, socket := r.Context().Value(peerKey{}).(string); !socket {
		http.Error(w, "refused: a program is started by the unix socket alone: run rpn upgrade on this machine", http.StatusForbidden)
		return
	}
	out := http.NewResponseController(w)
	out.SetWriteDeadline(time.Now().Add(longestUpgrade))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	say := func(line string) {
		io.WriteString(w, line+"\n")
		out.Flush()
	}
	if err := p.Upgrade(r.Context(), r.URL.Query().Get("program"), say); err != nil {
		say(NotUpgraded + " " + err.Error())
		return
	}
	say(Upgraded)
}
