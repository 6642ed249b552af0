package explain

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
	"github.com/piano-roc/rpn/routing"
)

// A reach knows whom the establishments of a list reach. Those in the same
// state, with the same AMC miroir, reach the same: each such case is asked of
// package routing once.
type reach struct {
	list  *register.List
	cases map[reachCase][]*register.AMC
}

type reachCase struct {
	etat   register.Etat
	miroir roc.NumeroAMC
}

func reachOf(l *register.List) *reach {
	return &reach{l, map[reachCase][]*register.AMC{}}
}

// by returns the AMCs that an establishment reaches, by IDB: the service open
// in every state that reaches anybody.
func (r *reach) by(e *register.Etablissement) []*register.AMC {
	c := reachCase{e.Etat, e.Miroir}
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
