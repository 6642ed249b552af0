package portal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/login"
)

// policy lets a page load its own style and images, send its own forms, and
// nothing else: no script, no frame, nothing from elsewhere.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP guards every page: what may be asked at all, by whom, how often.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	if len(r.URL.RawQuery) > maxQuery {
		http.Error(w, "La question est trop longue.", http.StatusRequestURITooLong)
		return
	}
	if !readable(r.URL) {
		http.Error(w, "La question n'est pas en UTF-8.", http.StatusBadRequest)
		return
	}
	if err := p.cross.Check(r); err != nil { // Sec-Fetch-Site, else Origin
		http.Error(w, "Cette demande vient d'une autre page que celles du RPN.", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if _, known := p.mux.Handler(r); known == "" {
		p.none(w, r)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// readable reports whether what an address asks is text: a page shows it again.
func readable(u *url.URL) bool {
	for name, values := range u.Query() {
		if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(values, "")) {
			return false
		}
	}
	return utf8.ValidString(u.Path)
}

// nothing is the answer where no route is, or none for this method. Who is not
// identified does not learn which.
func nothing(q *question) (any, error) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r := *q.Request
		r.Method = method
		if method == q.Method || q.Method == http.MethodHead {
			continue // of a file that is not there
		}
		if _, known := q.p.mux.Handler(&r); known != "" {
			return nil, errMethod{method}
		}
	}
	return nil, access.ErrHidden
}

// serve answers a route: who asks is decided here, and what it may see by the
// Subject.
func (p *Portal) serve(route route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		now := p.o.Now()
		viewer, err := p.admit(r)
		who := viewer.Key()
		if err != nil || who == "" {
			who = network(r.RemoteAddr)
		}
		if wait, ok := p.pages.allow(who, now); !ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			p.fail(w, r, viewer, http.StatusTooManyRequests, "Trop de pages demandées", "Attendez quelques secondes, puis recommencez.")
			return
		}
		if route.entrance && err != nil { // who is refused otherwise may come in here
			viewer, err = access.Viewer{}, nil
		}
		var refusal *access.Refusal
		if errors.As(err, &refusal) {
			p.o.Log.Warn("somebody was refused at the portal", "event", "portal_refused", "peer", r.RemoteAddr, "error", refusal.Error())
			p.fail(w, r, access.Viewer{}, http.StatusForbidden, "Accès refusé", refusal.Text)
			return
		}
		if err != nil {
			p.failed(w, r, access.Viewer{}, err)
			return
		}
		if viewer.Kind() == access.Public && !route.entrance && (!route.public || !p.o.Weather) {
			p.unidentified(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), pageTime)
		defer cancel()
		if !route.entrance { // which waits for the provider, and makes no figure
			if !p.turn(ctx) {
				w.Header().Set("Retry-After", "2")
				p.fail(w, r, viewer, http.StatusServiceUnavailable, "Trop de pages à la fois", "Recommencez dans quelques secondes.")
				return
			}
			defer func() { <-p.turns }()
		}
		answer, err := p.answer(route, r.WithContext(ctx), viewer)
		if err != nil {
			p.failed(w, r, viewer, err)
			return
		}
		p.write(w, r, viewer, answer)
		if viewer.Kind() != access.Public {
			p.o.Log.Info("a page was read", "event", "portal_page", "who", viewer.Name(), "key", viewer.Key()[:min(16, len(viewer.Key()))], "method", r.Method, "path", r.URL.Path)
		}
	}
}

// turn waits for a turn to make a page.
func (p *Portal) turn(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, waitForTurn)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// answer asks the route, about what its path names.
func (p *Portal) answer(route route, r *http.Request, viewer access.Viewer) (any, error) {
	q := &question{Request: r, p: p, reader: p.o.Data.As(viewer)}
	var err error
	switch id := r.PathValue("id"); route.about {
	case aboutEtablissement:
		q.about, err = q.reader.Etablissement(id)
		q.path = "/etablissement/" + id
	case aboutAMC:
		q.about, err = q.reader.AMC(id)
		q.path = "/amc/" + id
	case aboutNation:
		q.about, err = q.reader.Nation()
		q.path = "/national"
	}
	if err != nil {
		return nil, err
	}
	if route.least != "" && !viewer.May(route.least) {
		return nil, errForbidden
	}
	if route.method == http.MethodPost && !route.machine {
		if err := r.ParseForm(); err != nil {
			return nil, badRequest("Le formulaire est illisible ou trop long.")
		}
		if !p.tokenOf(viewer, r.PostForm.Get("jeton"), q.now()) {
			return nil, badRequest("Ce formulaire est trop ancien : rechargez la page, puis recommencez.")
		}
	}
	return route.answer(q)
}

// token is what a form of a viewer bears: nobody else knows it, and it lasts an
// hour or two.
func (p *Portal) token(v access.Viewer, at time.Time) string {
	m := hmac.New(sha256.New, p.secret[:])
	fmt.Fprintf(m, "%s\n%d", v.Key(), at.Unix()/3600)
	return hex.EncodeToString(m.Sum(nil))
}

func (p *Portal) tokenOf(v access.Viewer, text string, at time.Time) bool {
	return hmac.Equal([]byte(text), []byte(p.token(v, at))) || hmac.Equal([]byte(text), []byte(p.token(v, at.Add(-time.Hour))))
}

// failed says why there is no page.
func (p *Portal) failed(w http.ResponseWriter, r *http.Request, viewer access.Viewer, err error) {
	var bad badRequest
	var problem *login.Problem
	var later *unavailable
	var method errMethod
	switch {
	case errors.As(err, &later):
		p.o.Log.Error("an act could not be done at the portal", "event", "portal_page_failed", "path", r.URL.Path, "error", err.Error())
		p.fail(w, r, viewer, http.StatusServiceUnavailable, "Indisponible pour le moment", later.text)
	case errors.As(err, &problem):
		p.failedLogin(w, r, viewer, problem)
	case errors.Is(err, access.ErrNotYours):
		p.fail(w, r, viewer, http.StatusForbidden, "Réservé au titulaire du certificat", "Seul qui tient le certificat de l'établissement ou de l'organisme, ou un exploitant chargé de l'administration, peut inviter et révoquer.")
	case errors.As(err, &bad):
		p.fail(w, r, viewer, http.StatusBadRequest, "Demande incorrecte", string(bad))
	case errors.Is(err, access.ErrHidden):
		p.fail(w, r, viewer, http.StatusNotFound, "Rien à cette adresse", "Cette page n'existe pas, ou n'est pas pour vous.")
	case errors.As(err, &method) && method.allowed == http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		p.fail(w, r, viewer, http.StatusMethodNotAllowed, "Cette adresse ne se lit pas", "Elle reçoit un formulaire, envoyé par une page du RPN : revenez à cette page.")
	case errors.As(err, &method):
		w.Header().Set("Allow", "GET, HEAD")
		p.fail(w, r, viewer, http.StatusMethodNotAllowed, "Cette page se lit", "Rien ne peut être envoyé à cette adresse.")
	case errors.Is(err, errForbidden):
		p.fail(w, r, viewer, http.StatusForbidden, "Rôle insuffisant", "Votre rôle permet de lire cette page, pas d'agir.")
	case errors.Is(err, access.ErrBusy):
		w.Header().Set("Retry-After", "3")
		p.fail(w, r, viewer, http.StatusServiceUnavailable, "Une autre recherche est en cours", "Recommencez dans quelques secondes.")
	case errors.Is(err, access.ErrUnread):
		p.o.Log.Error("a page could not be made", "event", "portal_page_failed", "path", r.URL.Path, "error", err.Error())
		p.fail(w, r, viewer, http.StatusServiceUnavailable, "Le journal n'est pas lu en entier", "Une partie du journal ne peut pas être lue : cet échange y est peut-être. Recommencez plus tard, puis demandez à l'exploitant.")
	case errors.Is(err, access.ErrNone):
		p.fail(w, r, viewer, http.StatusServiceUnavailable, "Rien n'est conservé ici", "Ce RPN ne tient ni journal ni indicateurs.")
	case errors.Is(err, journal.ErrNotSealed):
		w.Header().Set("Retry-After", "15")
		p.fail(w, r, viewer, http.StatusServiceUnavailable, "Pas encore scellé", "La preuve existe dès que le journal est scellé, en quelques secondes. Recommencez.")
	case errors.Is(err, context.DeadlineExceeded):
		p.fail(w, r, viewer, http.StatusServiceUnavailable, "Trop long", fmt.Sprintf("Cette page demande plus de %d secondes : réduisez la période, ou recommencez plus tard.", int(pageTime.Seconds())))
	default:
		if r.Context().Err() == nil {
			p.o.Log.Error("a page could not be made", "event", "portal_page_failed", "path", r.URL.Path, "error", err.Error())
		}
		p.fail(w, r, viewer, http.StatusServiceUnavailable, "Indisponible pour le moment", "Les chiffres ou le journal ne peuvent pas être lus. Les échanges, eux, continuent. Recommencez plus tard.")
	}
}

// network is an address as a stranger is counted: IPv4, or IPv6 /64.
func network(remote string) string {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	return roc.PeerNetwork(addr.Addr()).String()
}
