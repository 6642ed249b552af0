package admin

import (
	"fmt"
	"net/http"
)

// Portal is what operators do about who is invited to the portal. All of it is
// required.
type Portal struct {
	Invitations func() any // all of them, as JSON shows them

	// Invite makes an invitation to the pages of a structure, or of an AMC, and says
	// its link.
	Invite func(structure, amc, label, by string) (text string, err error)
	Revoke func(id, by string) error
}

func (p *Portal) serveAll(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, p.Invitations())
}

// serveInvite makes an invitation: ?structure= or ?amc=, ?label= and ?who=. The link
// is in the answer, and in no log.
func (p *Portal) serveInvite(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	text, err := p.Invite(q.Get("structure"), q.Get("amc"), q.Get("label"), whoDecides(r.Context(), q.Get("who")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	fmt.Fprintln(w, text)
}

// serveRevoke ends an invitation: ?id= and ?who=.
func (p *Portal) serveRevoke(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if err := p.Revoke(q.Get("id"), whoDecides(r.Context(), q.Get("who"))); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	fmt.Fprintln(w, "revoked: its link, and the access of who used it")
}
