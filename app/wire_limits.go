package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/limits/breaker"
	"github.com/piano-roc/rpn/limits/crossbar"
	"github.com/piano-roc/rpn/limits/quota"
	"github.com/piano-roc/rpn/limits/shares"
	"github.com/piano-roc/rpn/limits/shed"
	"github.com/piano-roc/rpn/proxy"
	"github.com/piano-roc/rpn/proxy/http1"
)

// openLimits makes what keeps the establishments, and the AMCs, apart.
func (a *App) openLimits() {
	c := a.config.Limits
	a.seats = crossbar.New(crossbar.Options{Seats: c.PerAMC, Now: a.now})
	a.access = limits.NewAccess(limits.NewAMCs(), a.seats)
	a.ledger = shares.New(shares.Limit{Total: int64(c.Connections)}, shares.Limit{Total: int64(c.Exchanges)}, shares.Limit{Total: int64(c.Memory)})
	a.shedder = shed.New(shed.Options{Target: c.ShedAfter})
	a.resting = breaker.NewSet(breaker.Options{Failures: c.RestAfter, OnChange: a.logResting})
}

// limiter is the limit of each establishment: exact over the instances that
// share a Redis, else that of this one.
func (a *App) limiter() proxy.Limiter {
	c := a.config.Limits
	o := limits.Options{Default: a.config.StandardLimits().Etablissement, Largest: int(c.Bytes), ShapeWait: c.ShapeWait, ShapeQueue: c.ShapeQueue, OnOver: a.overLimit}
	if a.redis == nil {
		return limits.NewLocal(o)
	}
	a.meter = quota.NewMeter(quota.Options{Store: quota.NewRedis(a.redis), Instance: string(roc.NewExchangeID(a.now())), OnAway: a.logLimitsAlone})
	a.onStop("the limits shared by the instances", func(ctx context.Context) error {
		a.meter.Close()
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := a.meter.Leave(ctx); err != nil {
			a.log.Warn("the other instances were not told that this one stops: they count with it for a minute", slog.String("event", "limits_not_left"), slog.Any("error", err))
		}
		return nil
	})
	return limits.NewShared(o, a.meter)
}

// overLimit counts a message that passes although it is beyond the limit of its
// establishment: it is observed.
func (a *App) overLimit(who roc.StructureID, cause roc.CauseCode) {
	a.live.OverLimit(string(cause))
	a.repeats.OverLimit(who, cause)
}

func (a *App) logLimitsAlone(err error) {
	if err == nil {
		a.log.Info("the limits are shared by the instances again", slog.String("event", "limits_shared"))
		return
	}
	a.log.Warn("Redis does not answer: each instance gives its part of each limit", slog.String("event", "limits_alone"), slog.Any("error", err))
}

// checkLimits says whether the limits are held over all instances.
func (a *App) checkLimits(time.Time) admin.Health {
	h := admin.Health{Name: "limits", OK: true}
	switch state, away := a.limitsState(); state {
	case live.NoRedis:
		h.Detail = "held by this instance alone: there is no Redis"
	case live.RedisLost:
		h.Degraded = true
		h.Detail = fmt.Sprintf("Redis does not answer, or settles, since %s: each of %d instances gives its part of each limit",
			away.UTC().Format(time.RFC3339), a.meter.Instances())
	default:
		h.Detail = fmt.Sprintf("shared by %d instances", a.meter.Instances())
	}
	return h
}

// logResting logs that an address of an AMC rests, or serves again.
func (a *App) logResting(s breaker.State) {
	if !s.Resting {
		a.log.Info("an address of an AMC serves again", slog.String("event", "amc_serves_again"), slog.String("address", s.Address))
		return
	}
	if s.Announced {
		a.log.Warn("an address of an AMC said that it is out until then: 503 with Retry-After", slog.String("event", "amc_announced_pause"), slog.String("address", s.Address),
			slog.Time("since", s.Since), slog.Time("until", s.Until))
		return
	}
	a.log.Warn("an address of an AMC rests: it failed again and again", slog.String("event", "amc_resting"), slog.String("address", s.Address),
		slog.Time("since", s.Since), slog.Time("until", s.Until))
}

// checkResting lists the addresses at rest. It degrades: the others are served.
func (a *App) checkResting(now time.Time) admin.Health {
	h := admin.Health{Name: "amc", OK: true, Detail: "no address of an AMC rests"}
	list := a.resting.Resting()
	if len(list) == 0 {
		return h
	}
	h.Degraded = true
	var say []string
	for _, s := range list[:min(len(list), 20)] {
		say = append(say, fmt.Sprintf("%s since %s", s.Address, s.Since.UTC().Format(time.RFC3339)))
	}
	h.Detail = fmt.Sprintf("%d addresses of AMCs rest, after repeated failures or because they said so: %s", len(list), strings.Join(say, ", "))
	return h
}

// checkShares says whether the instance is full.
func (a *App) checkShares(now time.Time) admin.Health {
	h := admin.Health{Name: "capacity", OK: true}
	var say []string
	for k, name := range map[shares.Kind]string{shares.Connections: "connections", shares.Exchanges: "exchanges in flight", shares.Bytes: "bytes held"} {
		used, total := a.ledger.Used(k)
		line := fmt.Sprintf("%d of %d %s", used, total, name)
		if a.ledger.Saturated(k) {
			h.Degraded = true
			line += " (saturated: only who holds little is served)"
		}
		say = append(say, line)
	}
	slices.Sort(say)
	if r := a.shedder.Ratio(now); r > 0 {
		h.Degraded = true
		say = append(say, fmt.Sprintf("%.0f %% of the messages refused for want of a processor, the least important first", 100*r))
	}
	h.Detail = strings.Join(say, ", ")
	return h
}

// restingStats says how many addresses rest, and since when the first of them.
func (a *App) restingStats() (addresses int, since time.Time) {
	list := a.resting.Resting()
	for _, s := range list {
		if since.IsZero() || s.Since.Before(since) {
			since = s.Since
		}
	}
	return len(list), since
}

// capacity says which part of each resource of this instance is taken.
func (a *App) capacity() live.CapacityStats {
	part := func(k shares.Kind) float64 {
		used, total := a.ledger.Used(k)
		if total <= 0 { // not limited
			return 0
		}
		return float64(used) / float64(total)
	}
	return live.CapacityStats{Connections: part(shares.Connections), Exchanges: part(shares.Exchanges), Memory: part(shares.Bytes)}
}

// limitsState says whether the limits hold over all instances, and since when
// they do not: the one reading of the meter that every page goes by.
func (a *App) limitsState() (state live.RedisState, away time.Time) {
	if a.meter == nil {
		return live.NoRedis, time.Time{}
	}
	if away = a.meter.Away(); away.IsZero() {
		return live.RedisThere, away
	}
	return live.RedisLost, away
}

// breakers is a breaker.Set as the upstream connections ask it.
type breakers struct{ set *breaker.Set }

func (b breakers) Allow(address string, who roc.StructureID, at time.Time) (http1.Visit, error) {
	pass, state, ok := b.set.Allow(address, string(who), at)
	if ok {
		return visit{pass}, nil
	}
	if state.Announced {
		r := roc.Refuse(roc.AMCSuspended, "%s asked for nothing until %s", address, state.Until.UTC().Format(time.RFC3339)).Because(roc.AnnouncedAMC).
			After(max(time.Second, state.Until.Sub(at)))
		r.Since = state.Since
		return nil, r.Saying("L'organisme a répondu le %s (UTC) qu'il est indisponible jusqu'au %s (UTC) ; rien n'a été transmis.",
			state.Since.UTC().Format("02/01/2006 15:04:05"), state.Until.UTC().Format("02/01/2006 15:04:05"))
	}
	r := roc.Refuse(roc.AMCResting, "%s rests since %s", address, state.Since.UTC().Format(time.RFC3339)).Because(roc.AMCRests).
		After(max(time.Second, state.Until.Sub(at)))
	r.Since = state.Since
	return nil, r.Saying("Adresse au repos depuis le %s (UTC), après des échecs répétés ; rien n'a été transmis à l'organisme.",
		state.Since.UTC().Format("02/01/2006 15:04:05"))
}

type visit struct{ pass breaker.Pass }

// Announced tells it too.
func (v visit) Announced(until, at time.Time) { v.pass.Announce(until, at) }

// Done tells the breaker.
func (v visit) Done(end http1.VisitEnd, at time.Time) {
	outcome := breaker.Nothing
	switch end {
	case http1.Answered:
		outcome = breaker.Success
	case http1.NotAnswered:
		outcome = breaker.Failure
	}
	v.pass.Done(outcome, at)
}
