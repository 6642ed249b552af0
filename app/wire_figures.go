package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/indicators/store"
)

// openFigures prepares what keeps the figures up to date. Their store is opened
// in the background: it fails open, so an RPN whose store is away starts and
// carries, and says in /readyz that the figures are late. Its address is checked
// here: one that production does not accept is refused.
func (a *App) openFigures() error {
	c := &a.config.Indicators
	if a.journal == nil || !c.Kept() {
		return nil
	}
	if err := a.checkFiguresAddress(); err != nil {
		return err
	}
	a.figures = store.NewFollower(store.FollowerOptions{
		Open: a.openStore,
		Dir:  a.config.Journal.Folder, Stats: a.journal.Stats, Every: c.Every, Keep: c.Keep, Log: a.log, Now: a.now,
	})
	return nil
}

// checkFiguresAddress refuses an address of the store that production does not
// accept.
func (a *App) checkFiguresAddress() error {
	if err := store.CheckAddress(a.config.Indicators.Store, a.figuresOptions().Verified); err != nil {
		return setup(fmt.Errorf("%s: indicators.store: %w", a.config.File(), err), "in production a PostgreSQL on another machine is reached by TLS, and its name is verified; PGSSLMODE and the like count too")
	}
	return nil
}

// openStore opens the store of the figures.
func (a *App) openStore(ctx context.Context) (*store.Store, error) {
	return store.Open(ctx, a.config.Indicators.Store, a.figuresOptions())
}

func (a *App) figuresOptions() store.Options {
	c := &a.config.Indicators
	return store.Options{Password: c.Password(), Verified: a.config.Environment == config.Production, MinFree: uint64(c.MinFree), Dial: a.written().DialContext}
}

// figuresStats are the metrics of the figures; false: there are none.
func (a *App) figuresStats() (live.FiguresStats, bool) {
	if a.figures == nil {
		return live.FiguresStats{}, false
	}
	s := a.figures.State()
	return live.FiguresStats{Behind: s.Behind, Lag: s.Lag, Failures: s.Failures}, true
}

// lateFigures is from when on figures are late.
const lateFigures = time.Minute

// checkFigures says whether the figures are up to date. It never takes the RPN
// out of service: exchanges do without them.
func (a *App) checkFigures(time.Time) admin.Health {
	h := admin.Health{Name: "indicators", OK: true}
	if a.figures == nil {
		h.Detail = "none: they need a journal and indicators.store, or a state folder"
		return h
	}
	s := a.figures.State()
	h.Detail = fmt.Sprintf("%d records are not in the figures yet, the oldest of them for %s or less", s.Behind, s.Lag.Round(time.Second))
	switch {
	case errors.Is(s.Err, store.ErrOtherJournal), errors.Is(s.Err, store.ErrSchema), errors.Is(s.Err, store.ErrNoRoom):
		h.Degraded, h.Detail = true, s.Err.Error()
	case s.Err != nil:
		h.Degraded, h.Detail = true, "the store fails, and the figures catch up once it does not: "+s.Err.Error()+"; "+h.Detail
	case s.Lag > lateFigures:
		h.Degraded = true
	}
	return h
}
