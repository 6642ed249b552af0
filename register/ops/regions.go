package ops

import (
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// IsRegion reports whether an establishment is of that région, whatever its
// accents and capitals.
func IsRegion(l *register.List, name string) bool {
	return slices.ContainsFunc(regionsIn(l), func(r string) bool { return plain(r) == plain(name) })
}

// NearestRegions are the régions of the register that name may mean: those that
// hold it or are a slip of it; else all of them.
func NearestRegions(l *register.List, name string) []string {
	all := regionsIn(l)
	near := strict.Nearest(plain(name), mapped(all, plain))
	var found []string
	for _, r := range all {
		if plain(r) == near || strings.Contains(plain(r), plain(name)) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) > 0:
		return found
	case len(all) == 0:
		return []string{"none is written there"}
	}
	return all
}

// regionsIn are those of the establishments, in order.
func regionsIn(l *register.List) []string {
	var all []string
	for e := range l.Etablissements() {
		if e.Region != "" && !slices.Contains(all, e.Region) {
			all = append(all, e.Region)
		}
	}
	slices.Sort(all)
	return all
}

func mapped(list []string, f func(string) string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = f(s)
	}
	return out
}
