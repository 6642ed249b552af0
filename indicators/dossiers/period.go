package dossiers

import (
	"time"

	"github.com/piano-roc/rpn/indicators/store"
)

// A period is the days that one key serves for.
type period struct {
	number      int64     // since the one of 5 January 1970, a Monday
	from, until time.Time // midnights in Paris
}

// periodOf is the period of so many days that an instant is in.
func periodOf(at time.Time, days int) period {
	y, m, d := at.In(store.Paris).Date()
	since := int64(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
	into := since % int64(days)
	if into < 0 {
		into += int64(days)
	}
	from := time.Date(y, m, d-int(into), 0, 0, 0, 0, store.Paris)
	return period{number: (since - into) / int64(days), from: from, until: from.AddDate(0, 0, days)}
}
