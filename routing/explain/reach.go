package explain

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
	"github.com/piano-roc/rpn/routing"
)

// A reach finds whom the establishments of a list reach. Those in the same
// state, with the same AMC miroir, reach the same AMCs: package routing is
// asked once for each such case.
type reach struct {
	list  *register.List
	cases map[reachCase][]*register.AMC
	tries map[roc.FINESS]bool // the establishments of the trials of some AMC
}

type reachCase struct {
	etat      register.Etat
	miroir    roc.NumeroAMC
	formation bool
	ej        roc.FINESS // of one that some AMC has trials with; else ""
}

func reachOf(l *register.List) *reach {
	r := &reach{l, map[reachCase][]*register.AMC{}, map[roc.FINESS]bool{}}
	for a := range l.AMCs() {
		for _, f := range a.EssaisAvec {
			r.tries[roc.FINESS(f)] = true
		}
	}
	return r
}

func (r *reach) caseOf(e *register.Etablissement) reachCase {
	c := reachCase{etat: e.Etat, miroir: e.Miroir, formation: e.Formation}
	if r.tries[e.EJ] {
		c.ej = e.EJ
	}
	return c
}

// by returns the AMCs that an establishment reaches, by IDB: the service open
// in every state that reaches anybody.
func (r *reach) by(e *register.Etablissement) []*register.AMC {
	c := r.caseOf(e)
	amcs, known := r.cases[c]
	if !known {
		for a := range r.list.AMCs() {
			if routing.Reaches(e, a, roc.IDB) {
				amcs = append(amcs, a)
			}
		}
		r.cases[c] = amcs
	}
	return amcs
}

// Reached says whom the establishments of a list reach, for ops.Find.
func Reached(l *register.List) ops.Reached { return reachOf(l).by }
