package report

import (
	"context"
	"slices"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// SmallestBand is how many others a comparison needs: with fewer of them, a
// figure of one could be guessed.
const SmallestBand = 10

// A Band is where others stand.
type Band struct {
	Others            int // whose figure is known
	Low, Median, High float64
}

// Groups sums what establishments exchanged in a period, group by group. group
// names the group of one; "": it is in none. Its groups may be establishments
// (with all their structure ids), départements, régions, vendors.
func Groups(ctx context.Context, s *store.Store, from, to time.Time, group func(roc.StructureID) string) (map[string]*Sum, error) {
	rows, err := s.Figures(ctx, store.Query{Grain: store.Day, From: from, To: to, By: append([]store.Dimension{store.ByStructure}, Dimensions...)})
	if err != nil {
		return nil, err
	}
	parts := map[string][]store.Row{}
	for _, r := range rows {
		if g := group(r.Structure); g != "" {
			parts[g] = append(parts[g], r)
		}
	}
	sums := map[string]*Sum{}
	for g, p := range parts {
		sums[g] = SumOf(p)
	}
	return sums, nil
}

// AddDossiers adds the figures of dossiers to the sums of Groups. It reads every
// row of one establishment and one insurer in the period: it takes seconds where
// Groups does not.
func AddDossiers(ctx context.Context, s *store.Store, from, to time.Time, sums map[string]*Sum, group func(roc.StructureID) string) error {
	rows, err := s.Dossiers(ctx, store.DossierQuery{From: from, To: to, ByStructure: true})
	if err != nil {
		return err
	}
	parts := map[string][]store.DossierRow{}
	for _, r := range rows {
		parts[group(r.Structure)] = append(parts[group(r.Structure)], r)
	}
	for g, sum := range sums {
		sum.Dossiers = store.SumOfDossiers(parts[g])
	}
	return nil
}

// BandOf returns the quartiles of a card over all of sums but one; false, and
// nothing else, when fewer than SmallestBand of them are known.
func BandOf(c *Card, sums map[string]*Sum, but string) (Band, bool) {
	var values []float64
	for name, s := range sums {
		if v, known := c.Of(s); known && name != but {
			values = append(values, v)
		}
	}
	if len(values) < SmallestBand {
		return Band{}, false
	}
	slices.Sort(values)
	at := func(q float64) float64 { // between the two nearest
		x := q * float64(len(values)-1)
		i := min(int(x), len(values)-2)
		return values[i] + (x-float64(i))*(values[i+1]-values[i])
	}
	return Band{len(values), at(0.25), at(0.5), at(0.75)}, true
}

// A Perception compares, over the hours in which an insurer failed an
// establishment, what it did to it and what it did to all others: was it them,
// or you?
type Perception struct {
	Hours        int   // in which it failed the establishment
	Sent, Failed int64 // of the establishment

	// Of all others, in the same hours: zero, with Hidden, when they are fewer than
	// SmallestBand.
	OthersSent, OthersFailed int64
	Hidden                   bool
}

// PerceivedBy returns it for a period, and an establishment with all its structure
// ids. establishment names the one of a structure id, so that the others are
// establishments, and not ids. Whole hours are compared: of a failure of some
// minutes, the share of both is that of its hour.
func PerceivedBy(ctx context.Context, s *store.Store, structures []roc.StructureID, amc roc.NumeroAMC, from, to time.Time, establishment func(roc.StructureID) roc.StructureID) (p Perception, err error) {
	rows, err := s.Figures(ctx, store.Query{Grain: store.Hour, From: from, To: to, AMC: amc, By: []store.Dimension{store.ByPeriod, store.ByStructure}})
	if err != nil {
		return p, err
	}
	failed := map[int64]bool{} // hours in which it failed the establishment
	for i := range rows {
		if r := &rows[i]; r.Failed > 0 && slices.Contains(structures, r.Structure) {
			failed[r.Begin] = true
		}
	}
	p.Hours = len(failed)
	others := map[roc.StructureID]bool{}
	for i := range rows {
		switch r := &rows[i]; {
		case !failed[r.Begin]:
		case slices.Contains(structures, r.Structure):
			p.Sent, p.Failed = p.Sent+r.Sent, p.Failed+r.Failed
		case r.Sent > 0:
			others[establishment(r.Structure)] = true
			p.OthersSent, p.OthersFailed = p.OthersSent+r.Sent, p.OthersFailed+r.Failed
		}
	}
	if p.Hidden = p.Hours > 0 && len(others) < SmallestBand; p.Hidden {
		p.OthersSent, p.OthersFailed = 0, 0
	}
	return p, nil
}

// String says it in French.
func (p Perception) String() string {
	mine, known := ratio(p.Failed, p.Sent)
	if !known {
		return "l'organisme n'a rien fait échouer"
	}
	text := "échecs du fait de l'organisme dans les heures où il y en a eu : " + percent(mine) + " des vôtres, "
	others, known := ratio(p.OthersFailed, p.OthersSent)
	switch {
	case p.Hidden || !known:
		return text + "et moins de dix autres établissements l'appelaient : rien n'en est montré"
	case 2*others >= mine:
		return text + percent(others) + " de ceux des autres : c'était lui"
	}
	return text + percent(others) + " de ceux des autres : cherchez d'abord chez vous"
}
