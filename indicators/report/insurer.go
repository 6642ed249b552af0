package report

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// An Insurer is what the cards of one insurer take from the register, beside the
// figures.
type Insurer struct {
	Granted   float64 // exchanges in a second that it accepts; 0: it sets no limit
	Peak      int64   // the most exchanges sent to it in one window, all services together
	Reachable int     // establishments that may send it messages
	Calling   int     // of them, those that did
}

// InsurerOf returns it for a period. establishment names the establishment of a
// structure id; "": the register has none. may are the names of those that may
// reach the insurer.
func InsurerOf(ctx context.Context, s *store.Store, amc roc.NumeroAMC, granted float64, from, to time.Time, may map[roc.StructureID]bool, establishment func(roc.StructureID) roc.StructureID) (*Insurer, error) {
	rows, err := s.Figures(ctx, store.Query{Grain: store.Day, From: from, To: to, AMC: amc, By: []store.Dimension{store.ByStructure}})
	if err != nil {
		return nil, err
	}
	calling := map[roc.StructureID]bool{}
	for _, r := range rows {
		if e := establishment(r.Structure); may[e] && r.Sent > 0 {
			calling[e] = true
		}
	}
	peak, err := s.Peak(ctx, amc, from, to)
	return &Insurer{Granted: granted, Peak: peak, Reachable: len(may), Calling: len(calling)}, err
}

// ofInsurer is a figure of one insurer that takes something from the register.
func ofInsurer(id, name string, unit Unit, numerator, denominator string, of func(*Sum) (float64, bool)) Card {
	return Card{ID: id, Name: name, Unit: unit, Numerator: numerator, Denominator: denominator, Fields: "request_in, structure, amc, outcome, code, responsable, registre", Version: 1,
		Of: func(s *Sum) (float64, bool) {
			if s.Insurer == nil {
				return 0, false
			}
			return of(s)
		}}
}
