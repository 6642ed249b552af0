package access

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/incident"
	"github.com/piano-roc/rpn/register"
)

// A State is how an insurer does, measured.
type State string

// The states, from the worst. The words are those of the page.
const (
	Out       State = "en panne"
	Disturbed State = "perturbé"
	Closed    State = "fermé" // by the register: maintenance, suspended
	Calm      State = "normal"
	Unknown   State = "non mesuré"
)

// Rule is the definition of the states, in French. The definition of an outage
// stands beside it (report.Outages).
const Rule = "Chaque service d'un organisme est mesuré à part, et le plus mauvais compte. En panne : dans une panne qui n'est pas finie. Perturbé : dans la dernière heure, un échange sur vingt ou plus a échoué du fait de l'organisme, ou une panne a pris fin. " +
	"Normal : ni l'un ni l'autre, et au moins cinq échanges dans la dernière heure. Non mesuré : aucun service n'a eu cinq échanges. Fermé : le registre le dit en maintenance ou suspendu. Aucun état n'est saisi à la main ; seul le texte d'un incident l'est."

// A Weather is how one insurer does.
type Weather struct {
	Numero   roc.NumeroAMC
	Nom      string
	State    State
	Since    time.Time      // of an outage: its beginning; of the end of one: its end; of a closing: its date. Zero: not known
	Services []ServiceState // those that were measured
	Until    time.Time      // of a closing: when the register opens it again; zero: not known
}

// A ServiceState is how one of its services does.
type ServiceState struct {
	Service      roc.Service
	State        State
	Since        time.Time
	Sent, Failed int64 // in the last hour
	Last         time.Time
}

// A Sky is the weather of every insurer of the circle, at an instant.
type Sky struct {
	At   time.Time
	AMCs []Weather // the worst first, then by name

	outages []incident.Incident // that were announced, of the last weeks
}

// sky holds the last Sky: a reader waits for no query while others read too, and no
// number of readers makes more of them.
type sky struct {
	last   atomic.Pointer[Sky]
	making sync.Mutex
}

const (
	skyEvery   = 20 * time.Second
	skyLasts   = 3 * skyEvery
	watched    = 10 * time.Minute // after the last question, nothing is made in the background
	skyWindow  = 48 * time.Hour
	skyNow     = time.Hour
	fewest     = 5  // exchanges in the last hour, to be measured
	disturbed  = 20 // one in so many fails
	lookedBack = 400 * 24 * time.Hour
)

// Run keeps the weather, the bands of peers and the pairs that changed up to date
// while somebody reads pages, until ctx ends.
func (d *Data) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { d.keep(ctx, d.renewShifts) }) // which takes longer than the weather may wait
	d.keep(ctx, func(ctx context.Context) error {
		_, err := d.look(ctx, skyEvery/2)
		return errors.Join(err, d.renewPeers(ctx))
	})
}

// keep renews something every skyEvery while somebody reads pages.
func (d *Data) keep(ctx context.Context, renew func(context.Context) error) {
	tick := time.NewTicker(skyEvery)
	defer tick.Stop()
	var failed error
	for {
		var err error
		if d.o.Now().Unix()-d.asked.Load() < int64(watched.Seconds()) {
			err = renew(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && failed == nil && !errors.Is(err, ErrNone) {
			d.o.Log.Error("the figures of the portal cannot be read; it tries again", "event", "portal_figures_failed", "error", err.Error())
		}
		failed = err
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sky is the weather, the same for every viewer.
func (r *Reader) Sky(ctx context.Context) (*Sky, error) { return r.d.look(ctx, skyLasts) }

// look makes the weather again when it is older than that.
func (d *Data) look(ctx context.Context, old time.Duration) (*Sky, error) {
	now := d.o.Now()
	fresh := func() *Sky {
		if s := d.sky.last.Load(); s != nil && now.Sub(s.At) < old {
			return s
		}
		return nil
	}
	if s := fresh(); s != nil {
		return s, nil
	}
	d.sky.making.Lock()
	defer d.sky.making.Unlock()
	if s := fresh(); s != nil {
		return s, nil
	}
	return d.makeSky(ctx, now)
}

func (d *Data) makeSky(ctx context.Context, now time.Time) (*Sky, error) {
	st, err := d.store.get(ctx)
	if err != nil {
		return nil, err
	}
	all, err := st.Availabilities(ctx, now.Add(-skyWindow), now.Add(-skyNow), now.Add(store.Window))
	if err != nil {
		return nil, err
	}
	s := &Sky{At: now}
	for amc := range d.o.Register().AMCs() {
		if amc.Etat == register.AMCClos || amc.Etat == register.AMCAttendue || amc.Etat == register.AMCValidation {
			continue
		}
		w := Weather{Numero: amc.Numeros[0], Nom: amc.Nom, State: Unknown}
		for _, n := range amc.Numeros {
			for _, r := range all[n] {
				service := stateOf(&r, now)
				if service.State == Out && service.Since.Before(now.Add(-skyWindow+time.Hour)) {
					if service.Since, err = began(ctx, st, n, r.Service, now); err != nil {
						return nil, err
					}
				}
				w.Services = append(w.Services, service)
			}
		}
		w.sum(amc)
		s.AMCs = append(s.AMCs, w)
	}
	slices.SortFunc(s.AMCs, func(x, y Weather) int {
		return cmp.Or(cmp.Compare(rank(x.State), rank(y.State)), cmp.Compare(Alphabetical(x.Nom), Alphabetical(y.Nom)))
	})
	if s.outages, err = outages(ctx, st, now); err != nil {
		return nil, err
	}
	d.sky.last.Store(s)
	return s, nil
}

var plainLetters = strings.NewReplacer("à", "a", "â", "a", "ç", "c", "é", "e", "è", "e", "ê", "e", "ë", "e", "î", "i", "ï", "i", "ô", "o", "ù", "u", "û", "u", "ü", "u", "œ", "oe")

// Alphabetical is a name as French dictionaries sort it: without accents nor
// capitals.
func Alphabetical(name string) string { return plainLetters.Replace(strings.ToLower(name)) }

func rank(s State) int { return slices.Index([]State{Out, Disturbed, Closed, Calm, Unknown}, s) }

// stateOf applies the rule to a service.
func stateOf(r *store.Recent, now time.Time) ServiceState {
	s := ServiceState{Service: r.Service, State: Unknown, Sent: r.SentNow, Failed: r.FailNow, Last: r.Last}
	if n := len(r.Outages); n > 0 {
		switch o := r.Outages[n-1]; {
		case o.To.IsZero():
			s.State, s.Since = Out, o.From
			return s
		case o.To.After(now.Add(-skyNow)):
			s.State, s.Since = Disturbed, o.To
			return s
		}
	}
	switch {
	case r.SentNow < fewest:
	case r.FailNow*disturbed >= r.SentNow:
		s.State = Disturbed
	default:
		s.State = Calm
	}
	return s
}

// began finds when an outage began that is older than the weather looks back.
func began(ctx context.Context, st *store.Store, n roc.NumeroAMC, service roc.Service, now time.Time) (time.Time, error) {
	list, err := st.Availability(ctx, n, now.Add(-lookedBack), now.Add(store.Window))
	if err != nil {
		return time.Time{}, err
	}
	for _, a := range list {
		if k := len(a.Outages); a.Service == service && k > 0 && a.Outages[k-1].To.IsZero() {
			return a.Outages[k-1].From, nil
		}
	}
	return time.Time{}, nil
}

// sum is the worst of the services, and what the register says before all.
func (w *Weather) sum(amc *register.AMC) {
	for _, s := range w.Services {
		if rank(s.State) < rank(w.State) || s.State == w.State && s.Since.Before(w.Since) && !s.Since.IsZero() {
			w.State, w.Since = s.State, s.Since
		}
	}
	if !amc.Etat.Open() {
		w.State, w.Since, w.Until = Closed, amc.Depuis.Time, amc.Fin
	}
}
