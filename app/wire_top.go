package app

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/indicators/top"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/shares"
)

// board keeps what goes on, in the names of the register.
func (a *App) board() *top.Board {
	return top.New(top.Options{
		Structure: func(id roc.StructureID) (roc.StructureID, string, bool) {
			if es, ok := a.register.Current().ByStructure(id); ok {
				return es.Structure, es.Nom, true
			}
			return "", "", false
		},
		AMC: a.insurer,
		Now: a.now,
	})
}

func (a *App) insurer(n roc.NumeroAMC) (roc.NumeroAMC, string, bool) {
	if amc, ok := a.register.Current().AMC(n); ok {
		return amc.Numeros[0], amc.Nom, true
	}
	return "", "", false
}

// activity is what goes on, in that order, so many lines of each side: what the
// board has counted, with what is in flight, what waits and what rests.
func (a *App) activity(by string, lines int) (any, error) {
	key := top.Key(cmp.Or(by, string(top.ByRate)))
	if !slices.Contains(top.Keys, key) {
		return nil, fmt.Errorf("tri: %q is none of %v", by, top.Keys)
	}
	s := a.top.Activity()
	s.Version = a.opts.Version
	s.Limits = a.whoHoldsLimits()
	s.Total.InFlight = a.proxy.InFlight()
	for _, k := range []struct {
		kind shares.Kind
		nom  string
	}{{shares.Exchanges, "échanges en cours"}, {shares.Connections, "connexions"}, {shares.Bytes, "octets en mémoire"}} {
		used, total := a.ledger.Used(k.kind)
		s.Capacity = append(s.Capacity, top.Capacity{Nom: k.nom, Used: used, Total: total})
	}
	a.addInFlight(&s)
	a.addPools(&s)
	a.addResting(&s)
	for i := range s.AMC {
		if amc, ok := a.register.Current().AMC(roc.NumeroAMC(s.AMC[i].ID)); ok {
			s.AMC[i].Etat = string(amc.Etat)
		}
	}
	s.Sort(key, lines)
	return s, nil
}

func (a *App) whoHoldsLimits() string {
	switch state, away := a.limitsState(); state {
	case live.NoRedis:
		return "tenues par cette instance seule"
	case live.RedisLost:
		return fmt.Sprintf("Redis ne répond pas depuis %s : chacune des %d instances donne sa part", away.UTC().Format(time.TimeOnly), a.meter.Instances())
	}
	return fmt.Sprintf("partagées par %d instances", a.meter.Instances())
}

// addInFlight adds the exchanges in flight; of who has none that ended, a line.
func (a *App) addInFlight(s *top.Activity) {
	held := a.ledger.Holders(shares.Exchanges)
	for i := range s.Etablissements {
		l := &s.Etablissements[i]
		l.InFlight = int(held[l.ID])
		delete(held, l.ID)
	}
	for id, n := range held {
		l := top.Line{ID: id, InFlight: int(n)}
		if es, ok := a.register.Current().ByStructure(roc.StructureID(id)); ok {
			l.Nom = es.Nom
		}
		s.Etablissements = append(s.Etablissements, l)
	}
}

// addPools adds what is in flight to each AMC, and waits.
func (a *App) addPools(s *top.Activity) {
	for _, p := range a.access.Pools() {
		id := cmp.Or(string(p.Number), top.Outside)
		i := slices.IndexFunc(s.AMC, func(x top.AMC) bool { return x.ID == id })
		if i < 0 {
			_, nom, _ := a.insurer(p.Number)
			s.AMC = append(s.AMC, top.AMC{Line: top.Line{ID: id, Nom: nom}})
			i = len(s.AMC) - 1
		}
		l := &s.AMC[i]
		l.Seats, l.InFlight, l.Waiting = p.Seats, p.Running, p.Waiting
		s.Total.Waiting += p.Waiting
	}
}

// addResting adds since when the addresses of AMCs rest; one that no line was
// written to of late has a line of its own.
func (a *App) addResting(s *top.Activity) {
	for _, r := range a.resting.Resting() {
		host, _, err := net.SplitHostPort(r.Address)
		if err != nil {
			host = r.Address
		}
		known := false
		for i := range s.AMC {
			if l := &s.AMC[i]; l.Host == host {
				l.Rests, l.Until, known = &r.Since, &r.Until, true
			}
		}
		if !known {
			s.AMC = append(s.AMC, top.AMC{Line: top.Line{ID: top.Outside, Nom: r.Address}, Host: host, Rests: &r.Since, Until: &r.Until})
		}
	}
}
