package message

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/xsd"
)

// A Montant is an amount of euros, in cents.
type Montant int64

// ParseMontant reads "60", "60.5" or "60.00": up to nine digits of euros, then
// up to two of cents. No sign, no space, no comma.
func ParseMontant(s string) (Montant, error) {
	euros, cents, point := s, "", false
	for i := range len(s) {
		if s[i] == '.' {
			euros, cents, point = s[:i], s[i+1:], true
			break
		}
	}
	if len(euros) < 1 || len(euros) > 9 || len(cents) > 2 || point && cents == "" || !digits(euros) || !digits(cents) {
		return 0, errors.New("un montant s'écrit en euros avec un point, 162.48")
	}
	var m Montant
	for i := range len(euros) {
		m = 10*m + Montant(euros[i]-'0')
	}
	m *= 100
	for i := range len(cents) {
		unit := Montant(10)
		if i == 1 {
			unit = 1
		}
		m += unit * Montant(cents[i]-'0')
	}
	return m, nil
}

// String writes the amount with its two decimals: "162.48".
func (m Montant) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	return fmt.Sprintf("%s%d.%02d", sign, m/100, m%100)
}

// dateLayout is how we write an xs:date: without a zone, a day in France.
const dateLayout = "2006-01-02"

// paris is the zone of every date of the profile. The zone database is in the
// binary (tzdata.go), so a missing one is a mistake in the build.
var paris = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic("message: " + err.Error())
	}
	return l
})

// day writes the date of t in its own zone, "" for the zero time.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(dateLayout)
}

// parseDay reads an xs:date: the day that is written, which is a day in
// France, whatever zone a writer adds to it.
func parseDay(s string) (time.Time, error) {
	year, month, day, _, err := xsd.Date(s)
	if err != nil {
		return time.Time{}, errors.New("une date s'écrit AAAA-MM-JJ")
	}
	return time.Date(year, month, day, 0, 0, 0, 0, paris()), nil
}

// parseInstant reads an xs:dateTime, with or without a zone: France without.
func parseInstant(s string) (time.Time, error) {
	t, zoned, err := xsd.DateTime(s)
	if err != nil || zoned {
		return t, err
	}
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), paris()), nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
