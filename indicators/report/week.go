package report

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
)

// A Week is a week of ISO 8601 in Paris, "2026-S43": from Monday at midnight to
// the next one.
type Week struct{ Year, Number int }

var weekForm = regexp.MustCompile(`^(\d{4})-S(\d{2})$`)

// ParseWeek reads "2026-S43". A year has 52 or 53 weeks.
func ParseWeek(s string) (Week, error) {
	m := weekForm.FindStringSubmatch(s)
	if m == nil {
		return Week{}, fmt.Errorf("%q n'est pas une semaine : écrivez AAAA-Sxx, 2026-S43", s)
	}
	y, _ := strconv.Atoi(m[1])
	n, _ := strconv.Atoi(m[2])
	w := Week{y, n}
	if n < 1 || WeekOf(w.Begin()) != w {
		return Week{}, fmt.Errorf("l'année %d n'a pas de semaine %d", y, n)
	}
	return w, nil
}

// WeekOf returns the week that an instant is in.
func WeekOf(t time.Time) Week {
	y, n := t.In(store.Paris).ISOWeek()
	return Week{y, n}
}

// Begin returns the Monday of the week at midnight in Paris.
func (w Week) Begin() time.Time {
	fourth := time.Date(w.Year, 1, 4, 0, 0, 0, 0, store.Paris) // of the first week, by ISO 8601
	return fourth.AddDate(0, 0, -(int(fourth.Weekday())+6)%7+7*(w.Number-1))
}

// End returns the next Monday.
func (w Week) End() time.Time { return w.Begin().AddDate(0, 0, 7) }

// String returns "2026-S43".
func (w Week) String() string { return fmt.Sprintf("%04d-S%02d", w.Year, w.Number) }
