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
		texts = append(texts, or(q.reader.NameOfAMC(n), string(n))+"\u00a0("+count(c.amcs[n])+")")
	}
	if more := len(names) - most; more > 0 {
		texts = append(texts, plural(int64(more), "autre", "autres"))
	}
	return strings.Join(texts, ", ")
}

// causesTable is "à corriger, par effet".
func (q *question) causesTable(caption string, rows []store.Row, withAMC bool) *table {
	list, all := causesOf(rows)
	t := &table{Caption: caption, Quiet: true, Head: columns("Cause", "#Échanges perdus", "#Part", "À qui d'agir", "Geste"), Empty: "Rien à corriger : tous les échanges de la période ont abouti."}
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
	if rest := len(list) - shownCauses; rest > 1 {
		lost := int64(0)
		for _, c := range list[shownCauses:] {
			lost += c.lost
		}
		t.Fold, t.Rest = shownCauses, plural(int64(rest), "autre cause", "autres causes")+"\u00a0: "+plural(lost, "échange perdu", "échanges perdus")
	}
	return t
}

// shownCauses are those that stand open: the others have less effect.
const shownCauses = 6

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

// The series of the charts: what was answered and what was not, then what was not
// by who must act. A series has its colour everywhere.
var (
	endings    = []string{"réponses utilisables", "non aboutis"}
	ownerNames = func() (names []string) {
		for _, o := range owners {
			names = append(names, ownerName(o))
		}
		return names
	}()
)

// points cuts rows that keep period, code and owner apart into the bars of two
// charts, of endings and of ownerNames: one for each of begins, until the next begins.
func points(rows []store.Row, begins []time.Time, label, short func(int, time.Time) string) (all, lost []point) {
	for i, t := range begins {
		all = append(all, point{label(i, t), short(i, t), make([]int64, len(endings))})
		lost = append(lost, point{label(i, t), short(i, t), make([]int64, len(owners))})
	}
	for i := range rows {
		r := &rows[i]
		n, found := slices.BinarySearchFunc(begins, r.Begin, func(t time.Time, at int64) int { return cmp.Compare(t.Unix(), at) })
		if !found {
			n--
		}
		switch {
		case n < 0:
		case r.Code == store.Answered:
			all[n].values[0] += r.Exchanges
		default:
			all[n].values[1] += r.Exchanges
			lost[n].values[max(0, slices.Index(owners, r.Owner))] += r.Exchanges
		}
	}
	return all, lost
}

var monthNames = [...]string{"janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."}

// charts are the last 31 days and the last 13 months of a subject.
func (q *question) charts(s *access.Subject) ([]section, error) {
	now := q.now()
	long := periods(now)[3]
	rows, err := s.Figures(q.Context(), access.Question{Grain: store.Day, From: long.from, To: long.to, By: []store.Dimension{store.ByPeriod, store.ByCode, store.ByOwner}, NoDurations: true})
	if err != nil {
		return nil, err
	}
	var daysBegin, monthsBegin []time.Time
	for i := range 31 {
		daysBegin = append(daysBegin, store.Day.Begin(now).AddDate(0, 0, i-30)) // the last one is today
	}
	for i := range months {
		monthsBegin = append(monthsBegin, long.from.AddDate(0, i, 0))
	}
	slices.SortFunc(rows, func(x, y store.Row) int { return cmp.Compare(x.Begin, y.Begin) })
	days, daysLost := points(rows, daysBegin, func(_ int, t time.Time) string { return day(t) }, func(i int, t time.Time) string {
		if i%5 != 0 {
			return ""
		}
		return t.Format("02/01")
	})
	all, allLost := points(rows, monthsBegin, func(_ int, t time.Time) string { return monthNames[t.Month()-1] + t.Format(" 2006") }, func(i int, t time.Time) string {
		if i == 0 || t.Month() == time.January {
			return monthNames[t.Month()-1] + t.Format("\u00a02006")
		}
		return monthNames[t.Month()-1]
	})
	return []section{
		{ID: "s-jours", Heading: "31 jours", Charts: []*chart{
			barChart("jours", "Échanges, par jour", "Jour", endings, []int{0, 6}, tall, days),
			barChart("jours-perdus", "Dont non aboutis, par jour et par qui doit agir", "Jour", ownerNames, ownerColours, low, daysLost),
		}},
		{ID: "s-mois", Heading: "13 mois", Charts: []*chart{
			barChart("mois", "Échanges, par mois", "Mois", endings, []int{0, 6}, tall, all),
			barChart("mois-perdus", "Dont non aboutis, par mois et par qui doit agir", "Mois", ownerNames, ownerColours, low, allLost),
		}},
	}, nil
}

// alone are the names of cards that say what they are part of, where they stand
// alone.
var alone = map[string]string{"p50_rpn": "Temps dans le RPN (p50)", "p99_rpn": "Temps dans le RPN (p99)", "p95_amc": "Temps de l'organisme (p95)"}

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
		list = append(list, stat{Name: or(alone[c.ID], c.Name), Value: typeset(c.Format(today)), Beside: "7\u00a0jours\u00a0: " + typeset(c.Format(week)), Card: &c})
	}
	return list, nil
}
