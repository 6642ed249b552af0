package annuaire

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Entry is what the annuaire says about one key. It is small and passed by
// value; its Adresses are shared with the memory and are never changed.
type Entry struct {
	AMC        roc.NumeroAMC
	Nom        string
	ROC        bool      // the AMC takes part in the dispositif
	Debut, Fin time.Time // first and last day of validity, 00:00 in Europe/Paris, the last day included; zero: no limit on that side
	Adresses   []Adresse // of the service asked, in every version; empty: not offered
	At         time.Time // when the annuaire was asked
	Remembered bool      // from memory, not asked for this exchange
	Stale      bool      // from memory, and no longer fresh: it is revalidated in the background

	// Raw is the annuaire's signed answer, byte for byte, for the disk and the
	// other instances. One that is remembered has none.
	Raw roc.Content
}

// An Adresse is where one service of an AMC is reached in one version.
type Adresse struct {
	Service roc.Service
	Version roc.Version
	URL     string // as the annuaire gives it: unchecked until routing.Choose
}

// An Asker asks the annuaire one question and waits for the answer, within
// ctx. It keeps nothing, and is safe for concurrent use. Its refusals are
// AnnuaireSilent, AnnuaireRefused and UnknownAMC.
type Asker interface {
	Ask(ctx context.Context, key roc.Key) (Entry, error)
}

// end is the first instant at which the entry is no longer valid: the start of
// the day after Fin. Zero: none.
func (e *Entry) end() time.Time {
	if e.Fin.IsZero() {
		return e.Fin
	}
	return e.Fin.AddDate(0, 0, 1)
}

// validAt reports whether the entry's validity covers that instant.
func (e *Entry) validAt(at time.Time) bool {
	return !at.Before(e.Debut) && (e.Fin.IsZero() || at.Before(e.end()))
}
