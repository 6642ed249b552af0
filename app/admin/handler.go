package admin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
)

// Parts are what the handlers ask. All of them are required.
type Parts struct {
	Version string // of the build
	Socket  string // by which operators act; "": none
	Log     *slog.Logger

	Metrics      http.Handler
	EachES       http.Handler // the metrics of each establishment
	Readiness    func() Readiness
	Clocks       func() any                              // of the AMCs and establishments, as JSON shows them
	Top          func(by string, lines int) (any, error) // what goes on; its error is of the question
	Certificates func() Certificates                     // all of them, unfiltered

	// Reload says what changed, a line each. who asks for it; register takes a
	// register whatever it loses, certificates a set that is worse.
	Reload func(who string, register, certificates bool) (what []string, err error)

	// Explain answers the question of a query; its error is of the question.
	Explain func(ctx context.Context, question url.Values) (any, error)

	Console http.Handler // the operator's pages, under /console/; nil: there are none
	// Upgrade has another process take over, of that program ("": the one that
	// runs, as it is on disk now); progress is told how far it is. The error says
	// why this process goes on.
	Upgrade func(ctx context.Context, program string, progress func(line string)) error

	Portal *Portal // who is invited to the portal; nil: nobody can be

	Held       func() any // what of the annuaire waits for an operator
	Decide     func(approve bool, amc roc.NumeroAMC, host, who, why string, alone bool) (routes int, err error)
	Revalidate func() // what is remembered of the annuaire is asked again, soon
}

// Handler is what operators and their tools ask. Nothing here shows a message,
// and only what is under /-/ changes anything. New has seen to it that who acts
// may.
func Handler(p Parts) http.Handler {
	mux := http.NewServeMux()
	index := "rpn " + p.Version + "\n"
	on := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, h)
		if path, read := strings.CutPrefix(pattern, "GET "); !read || !strings.HasPrefix(path, "/-/") {
			index += path + "\n"
		}
	}
	on("GET /metrics", p.Metrics.ServeHTTP)
	on("GET /metrics/etablissements", p.EachES.ServeHTTP)
	on("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	on("GET /readyz", p.serveReadyz)
	on("GET /horloges", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"horloges": p.Clocks()})
	})
	on("GET /certificats", p.serveCertificates)
	if p.Console != nil {
		on("GET /console/", p.Console.ServeHTTP)
	}
	on("GET /annuaire", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, p.Held()) })
	on("POST /-/reload", p.serveReload)
	on("POST /-/upgrade", p.serveUpgrade)
	on("POST /-/annuaire/approve", p.serveDecide("approve", true))
	on("POST /-/annuaire/reject", p.serveDecide("reject", false))
	on("POST /-/annuaire/revalidate", func(w http.ResponseWriter, _ *http.Request) {
		p.Revalidate()
		fmt.Fprintln(w, "each remembered answer is asked again when it is next needed, a minute from now at the latest")
	})
	if p.Portal != nil {
		on("GET /-/portal/invitations", p.Portal.serveAll)
		on("POST /-/portal/invite", p.Portal.serveInvite)
		on("POST /-/portal/revoke", p.Portal.serveRevoke)
	}
	on("GET /-/explain", p.serveExplain)
	on("GET /-/top", p.serveTop)
	on("GET /-/socket", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, p.Socket) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, index)
	})
	return mux
}

// serveReload reloads and says what changed or failed. With ?force=register the
// register is taken however much it drops, and with ?force=certificates a CA
// goes although it has clients, each alone or both.
func (p Parts) serveReload(w http.ResponseWriter, r *http.Request) {
	var register, certificates bool
	for _, f := range r.URL.Query()["force"] {
		switch f {
		case "":
		case "register":
			register = true
		case "certificates":
			certificates = true
		default:
			http.Error(w, "the register or the certificates can be forced: force=register, force=certificates", http.StatusBadRequest)
			return
		}
	}
	what, err := p.Reload(Who(r.Context()), register, certificates)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "not reloaded; what was read before stays in use:\n%v\n", err)
	} else {
		fmt.Fprintln(w, "reloaded")
	}
	for _, line := range what {
		fmt.Fprintln(w, "  "+line)
	}
	if len(what) == 0 && err == nil {
		fmt.Fprintln(w, "  register, certificates and trust stores: the same as before")
	}
}

// serveExplain answers `rpn explain --running`. It is under /-/, for this
// machine only: it may make the annuaire be asked.
func (p Parts) serveExplain(w http.ResponseWriter, r *http.Request) {
	explanation, err := p.Explain(r.Context(), r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, explanation)
}

// serveTop answers `rpn top`. It is under /-/, for this machine and for operators
// only: it says who exchanges with whom at this instant.
func (p Parts) serveTop(w http.ResponseWriter, r *http.Request) {
	lines, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("lignes"), "100"))
	if err != nil || lines < 1 {
		http.Error(w, "lignes: how many lines of each side, at least 1", http.StatusBadRequest)
		return
	}
	activity, err := p.Top(r.URL.Query().Get("tri"), lines)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, activity)
}

// serveDecide approves or rejects what is held or quarantined: ?amc=, ?host=,
// ?who=, ?why= and ?alone=1 (without a second operator).
func (p Parts) serveDecide(act string, approve bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		amc, err := roc.ParseNumeroAMC(q.Get("amc"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n, err := p.Decide(approve, amc, q.Get("host"), whoDecides(r.Context(), q.Get("who")), q.Get("why"), q.Get("alone") == "1")
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		fmt.Fprintf(w, "%s: %d routes or hosts\n", act, n)
	}
}

// whoDecides is who the listener knows it to be; what the caller says of itself
// stands behind it, where it is something else.
func whoDecides(ctx context.Context, said string) string {
	who := Who(ctx)
	if said == "" || said == who {
		return who
	}
	return strings.TrimSpace(who + " (" + said + ")")
}
