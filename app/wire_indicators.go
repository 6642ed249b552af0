package app

import (
	"runtime"

	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/rsaverify"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// indicatorOptions gives the indicators what they ask at each exchange and at
// each scrape. The label of an AMC is its first number in the register: a closed
// list, whose names may change.
func (a *App) indicatorOptions() live.Options {
	var dropped func() uint64
	if sink := a.opts.LogSink; sink != nil {
		dropped = func() uint64 { return sink.State().Dropped }
	}
	var refusals []string
	for _, r := range trust.Reasons() {
		refusals = append(refusals, string(r))
	}
	return live.Options{
		LogDropped: dropped,
		AMC: func(n roc.NumeroAMC) (string, bool) {
			if amc, ok := a.register.Current().AMC(n); ok {
				return string(amc.Numeros[0]), true
			}
			return "", false
		},
		AMCs: func(yield func(label, nom string)) {
			for amc := range a.register.Current().AMCs() {
				yield(string(amc.Numeros[0]), amc.Nom)
			}
		},
		InFlight:     func() int { return a.proxy.InFlight() },
		Shed:         func() float64 { return a.shedder.Ratio(a.now()) },
		Capacity:     a.capacity,
		Resting:      a.restingStats,
		LimitsShared: func() live.RedisState { state, _ := a.limitsState(); return state },
		Mail:         a.mailStats,
		Revocation:   a.revocationStats,
		Journal:      a.journalStats,
		Evidence:     a.evidence,
		Provider:     a.providerFailures,
		Figures:      a.figuresStats,
		Open:         func() (int, int) { return a.server.Open(), a.client.Open() },
		Certificates: a.certificateCounts,
		Annuaire: func() live.AnnuaireStats {
			s := a.directory.Stats()
			stats := live.AnnuaireStats{
				Memory: s.Hits + s.UnknownHits, Asked: s.Misses,
				Answered: s.Answered, Unknown: s.Unknown,
				Silent: s.Silent, Refused: s.Refused, Failed: s.Failed,
				Keys: s.Keys, LastAnswer: s.LastAnswer,
				Stale: s.Stale, Renewals: s.Renewals, FromDisk: s.FromDisk, FromShared: s.FromShared, Disbelieved: s.Disbelieved, Held: s.Held,
				RolledBack: s.RolledBack, Unstored: s.Unstored, Limited: s.Limited,
				Redis: a.redisState(),
			}
			if a.disk != nil {
				stats.Damaged = uint64(a.disk.Size().Damaged)
			}
			return stats
		},
		Version: a.opts.Version, Revision: a.opts.Revision, GoVersion: runtime.Version(),
		Refusals: refusals, ReplaysForgotten: func() uint64 {
			if a.replay == nil { // nobody looks
				return 0
			}
			return a.replay.Forgotten()
		},
		RSAWay: rsaWay(), RSASelfTest: rsaverify.Current().SelfTest,
	}
}

// labelOfES is the label of an establishment, its first structure, whichever of
// its structures calls.
func (a *App) labelOfES(id roc.StructureID) (string, bool) {
	es, ok := a.register.Current().ByStructure(id)
	if !ok {
		return "", false
	}
	return string(es.Structure), true
}

// labelsOfES yields those of the register that are not closed.
func (a *App) labelsOfES(yield func(label, nom string)) {
	for es := range a.register.Current().Etablissements() {
		if es.Etat != register.Clos {
			yield(string(es.Structure), es.Nom)
		}
	}
}

// redisState is how Redis does, for the metrics.
func (a *App) redisState() live.RedisState {
	switch {
	case a.redis == nil:
		return live.NoRedis
	case a.redis.Health().OK:
		return live.RedisThere
	}
	return live.RedisLost
}
