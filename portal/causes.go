package portal

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
)

// A cause is why exchanges did not end well: a code and who must act.
type cause struct {
	code  string
	owner roc.Responsable
	lost  int64
	amcs  map[roc.NumeroAMC]int64
}

// causesOf groups rows that keep code and owner apart, the largest effect first.
func causesOf(rows []store.Row) (list []cause, all int64) {
	type key struct {
		code  string
		owner roc.Responsable
	}
	found := map[key]*cause{}
	for i := range rows {
		r := &rows[i]
		all += r.Exchanges
		if r.Code == store.Answered {
			continue
		}
		k := key{r.Code, r.Owner}
		if found[k] == nil {
			found[k] = &cause{code: r.Code, owner: r.Owner, amcs: map[roc.NumeroAMC]int64{}}
		}
		found[k].lost += r.Exchanges
		if r.AMC != "" {
			found[k].amcs[r.AMC] += r.Exchanges
		}
	}
	for _, c := range found {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(x, y cause) int {
		return cmp.Or(cmp.Compare(y.lost, x.lost), cmp.Compare(x.code, y.code), cmp.Compare(x.owner, y.owner))
	})
	return list, all
}

// worst are the insurers of a cause, the one with most first.
func (c *cause) worst(q *question, most int) string {
	var names []roc.NumeroAMC
	for n := range c.amcs {
		if n != "-" {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(x, y roc.NumeroAMC) int { return cmp.Or(cmp.Compare(c.amcs[y], c.amcs[x]), cmp.Compare(x, y)) })
	var texts []string
	for _, n := range names[:min(most, len(names))] {
		texts = append(texts, or(q.reader.NameOfAMC(n), string(n))+" ("+count(c.amcs[n])+")")
	}
	if more := len(names) - most; more > 0 {
		texts = append(texts, plural(int64(more), "autre", "autres"))
	}
	return strings.Join(texts, ", ")
}

// causesTable is "à corriger, par effet".
func (q *question) causesTable(caption string, rows []store.Row, withAMC bool) *table {
	list, all := causesOf(rows)
	t := &table{Caption: caption, Head: columns("Cause", "#Échanges perdus", "#Part", "À qui d'agir", "Geste"), Empty: "Rien à corriger : tous les échanges de la période ont abouti."}
	if withAMC {
		t.Head = append(t.Head, column{Text: "Organismes"})
	}
	for _, c := range list {
		m := report.MeaningOf(c.code)
		name := m.Libelle
		if strings.HasPrefix(c.code, "RPN") {
			name = c.code + " " + name
		}
		row := []cell{text(name), text(count(c.lost)), text(share(c.lost, all)), text(ownerName(c.owner)), text(m.Remede)}
		if withAMC {
			row = append(row, text(c.worst(q, 3)))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// lostBy counts what did not end well, by owner.
func lostBy(rows []store.Row) (all, answered int64, by map[roc.Responsable]int64) {
	by = map[roc.Responsable]int64{}
	for i := range rows {
		r := &rows[i]
		all += r.Exchanges
		if r.Code == store.Answered {
			answered += r.Exchanges
		} else {
			by[r.Owner] += r.Exchanges
		}
	}
	return all, answered, by
}

// series are those of the charts: what was answered, then what was not, by who
// must act.
func series() []string {
	names := []string{"réponses utilisables"}
	for _, o := range owners {
		names = append(names, "à traiter par "+ownerName(o))
	}
	return names
}

// points cuts rows that keep period, code and owner apart into the bars of a
// chart: one for each of begins, until the next begins.
func points(rows []store.Row, begins []time.Time, label, short func(int, time.Time) string) []point {
	list := make([]point, len(begins))
	for i, t := range begins {
		list[i] = point{label(i, t), short(i, t), make([]int64, 1+len(owners))}
	}
	for i := range rows {
		r := &rows[i]
		n, found := slices.BinarySearchFunc(begins, r.Begin, func(t time.Time, at int64) int { return cmp.Compare(t.Unix(), at) })
		if !found {
			n--
		}
		if n < 0 {
			continue
		}
		at := 0
		if r.Code != store.Answered {
			at = 1 + max(0, slices.Index(owners, r.Owner))
		}
		list[n].values[at] += r.Exchanges
	}
	return list
}

var monthNames = [...]string{"janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."}

// charts are the last 31 days and the last 13 months of a subject.
func (q *question) charts(s *access.Subject) ([]section, error) {
	now := q.now()
	long := periods(now)[3]
	rows, err := s.Figures(q.Context(), access.Question{Grain: store.Day, From: long.from, To: long.to, By: []store.Dimension{store.ByPeriod, store.ByCode, store.ByOwner}})
	if err != nil {
		return nil, err
	}
	var daysBegin, monthsBegin []time.Time
	for i := range 31 {
		daysBegin = append(daysBegin, store.Day.Begin(now).AddDate(0, 0, i-30))
	}
	for i := range months {
		monthsBegin = append(monthsBegin, long.from.AddDate(0, i, 0))
	}
	slices.SortFunc(rows, func(x, y store.Row) int { return cmp.Compare(x.Begin, y.Begin) })
	byDay := barChart("jours", "Échanges des 31 derniers jours, par jour", "Jour", series(),
		points(rows, daysBegin, func(_ int, t time.Time) string { return day(t) }, func(i int, t time.Time) string {
			if i%5 != 0 {
				return ""
			}
			return t.Format("02/01")
		}))
	byMonth := barChart("mois", "Échanges des 13 derniers mois, par mois", "Mois", series(),
		points(rows, monthsBegin, func(_ int, t time.Time) string { return monthNames[t.Month()-1] + t.Format(" 2006") }, func(_ int, t time.Time) string {
			return monthNames[t.Month()-1]
		}))
	return []section{{ID: "s-jours", Heading: "31 jours", Chart: byDay}, {ID: "s-mois", Heading: "13 mois", Chart: byMonth}}, nil
}

// today are the large figures of the day, beside those of a longer period.
func (q *question) today(ids ...string) ([]stat, error) {
	all := periods(q.now())
	today, err := q.about.Sum(q.Context(), all[0].from, all[0].to)
	if err != nil {
		return nil, err
	}
	week, err := q.about.Sum(q.Context(), all[1].from, all[1].to)
	if err != nil {
		return nil, err
	}
	var list []stat
	for _, c := range report.CardsOf(ids...) {
		list = append(list, stat{Name: c.Name, Value: c.Format(today), Beside: "7 jours : " + c.Format(week), Card: &c})
	}
	return list, nil
}
