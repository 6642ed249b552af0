package app

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/indicators/dossiers"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// openDossiers prepares the keys by which exchanges of one dossier are linked.
// Without a journal there is nothing to write a link in. Where there are no links,
// no key is left of those that there were.
func (a *App) openDossiers() {
	c := &a.config.Indicators
	if a.journal == nil || c.Dossiers == 0 {
		// A file that cannot be deleted keeps nobody from starting: nothing is linked
		// by it any more, and the log says it.
		if err := dossiers.Forget(a.config.DossiersFile()); err != nil {
			a.log.Error("the keys of dossiers cannot be deleted: delete the file by hand", "event", "dossiers_left", "error", err.Error())
		}
		return
	}
	o := dossiers.Options{Days: c.Dossiers, Secrets: a.secrets, File: a.config.DossiersFile(), Log: a.log, Now: a.now}
	if a.secrets != nil {
		o.Redis = a.redis // a key leaves this machine sealed, or not
	}
	a.dossiers = dossiers.Open(o)
}

// dossierOf is the link of a checked request, as the proxy asks for it; nil: there
// are none.
func (a *App) dossierOf() func(roc.StructureID, roc.Key, *xmlsig.Checked, time.Time) roc.Dossier {
	if a.dossiers == nil {
		return nil
	}
	return a.dossiers.Link
}

// runDossiers makes, shares and drops keys until ctx ends.
func (a *App) runDossiers(ctx context.Context) {
	if a.dossiers != nil {
		a.loops.Go(func() { a.dossiers.Run(ctx) })
	}
}
