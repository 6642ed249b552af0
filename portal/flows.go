package portal

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
)

// A flowMap is lines from establishments, on the left, to insurers, on the right.
type flowMap struct {
	Title       string
	Height      int
	Left, Right []mark
	Lines       []flowLine
	Keys        []key
	Table       *table
}

type flowLine struct {
	Series            int
	Path, Width, Text string
}

// The largest of each side are drawn; the table has more.
const (
	drawn      = 12
	flowRows   = 60
	flowStep   = 36
	flowLeft   = 380
	flowRight  = 820
	flowMiddle = (flowLeft + flowRight) / 2
)

// flowsPage is what passes now: who calls whom, and whose the failures are.
func flowsPage(q *question) (any, error) {
	flows := q.about.Flows()
	p := &page{Title: "En direct", Lead: fmt.Sprintf("Les échanges des %d dernières minutes que cette instance a portés : de qui, vers qui, et à qui d'agir quand ils n'aboutissent pas.", access.FlowMinutes)}
	p.Sections = []section{{ID: "actualiser", Links: []link{{Text: "Actualiser", Href: q.link("/national/direct")}}}}
	if len(flows) == 0 {
		p.Sections = append(p.Sections, section{Table: &table{Empty: "Aucun échange dans ces minutes."}})
		return p, nil
	}
	p.Sections = append(p.Sections, section{ID: "carte", Flows: q.flowMap(flows)})
	return p, nil
}

func (q *question) nameOf(id roc.StructureID) string {
	if id == "" {
		return "jamais identifiés"
	}
	return or(q.about.NameOfEtablissement(id), finess(id))
}

func (q *question) nameOfAMC(n roc.NumeroAMC) string {
	if n == "" {
		return "organisme non lu, ou annuaire"
	}
	return or(q.reader.NameOfAMC(n), "AMC "+string(n))
}

func (q *question) flowMap(flows []access.Flow) *flowMap {
	m := &flowMap{Title: "Échanges de qui vers qui, et à qui d'agir"}
	var from []roc.StructureID
	var to []roc.NumeroAMC
	for _, f := range flows { // the largest first
		if !slices.Contains(from, f.From) && len(from) < drawn {
			from = append(from, f.From)
		}
		if !slices.Contains(to, f.AMC) && len(to) < drawn {
			to = append(to, f.AMC)
		}
	}
	y := func(i int) int { return 20 + i*flowStep }
	m.Height = y(max(len(from), len(to))) - flowStep/2 + 10
	for i, id := range from {
		m.Left = append(m.Left, mark{px(flowLeft - 10), y(i) + 5, short(q.nameOf(id))})
	}
	for i, n := range to {
		m.Right = append(m.Right, mark{px(flowRight + 10), y(i) + 5, short(q.nameOfAMC(n))})
	}
	m.Table = &table{Caption: "Échanges de qui vers qui, les plus nombreux d'abord", Head: columns("Établissement", "Organisme", "#Échanges", "#Non aboutis", "#Part", "À qui d'agir surtout"), Quiet: true}
	used := map[int]bool{}
	top := float64(flows[0].All)
	for i, f := range flows {
		s := 0
		if f.Lost*20 >= f.All {
			s = 1 + max(0, slices.Index(owners, f.Owner))
		}
		if a, b := slices.Index(from, f.From), slices.Index(to, f.AMC); a >= 0 && b >= 0 {
			used[s] = true
			m.Lines = append(m.Lines, flowLine{s, fmt.Sprintf("M%d,%d C%d,%d %d,%d %d,%d", flowLeft, y(a), flowMiddle, y(a), flowMiddle, y(b), flowRight, y(b)), px(1 + 9*math.Sqrt(float64(f.All)/top)), fmt.Sprintf("%s vers %s : %s, dont %s", q.nameOf(f.From), q.nameOfAMC(f.AMC), plural(f.All, "échange", "échanges"), plural(f.Lost, "non abouti", "non aboutis"))})
		}
		if i < flowRows {
			owner := "-"
			if f.Lost > 0 {
				owner = ownerName(f.Owner)
			}
			m.Table.Rows = append(m.Table.Rows, []cell{text(q.nameOf(f.From)), text(q.nameOfAMC(f.AMC)), text(count(f.All)), text(count(f.Lost)), text(share(f.Lost, f.All)), text(owner)})
		}
	}
	for s, name := range slices.Concat(endings[:1], ownerNames) {
		if used[s] {
			m.Keys = append(m.Keys, key{s, name})
		}
	}
	// What fails is drawn last, over the rest.
	slices.SortStableFunc(m.Lines, func(x, y flowLine) int { return cmp.Compare(x.Series, y.Series) })
	if more := len(flows) - flowRows; more > 0 {
		m.Table.More = plural(int64(more), "autre couple n'est pas montré.", "autres couples ne sont pas montrés.")
	}
	return m
}

// short is a name that fits beside a line.
func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return s
}
