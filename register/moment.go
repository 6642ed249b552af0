package register

import (
	"errors"
	"sync"
	"time"
	_ "time/tzdata" // a container has no zone database, and days of the register are days in France
)

// A Moment is an instant of the register. It is written as a day, which begins
// at midnight in Paris (2026-11-01), or as an instant with its zone (RFC 3339:
// 2026-11-01T08:00:00+01:00). The zero Moment is not written: no limit.
type Moment struct {
	time.Time
	day bool // it was written as a day
}

const dayLayout = "2006-01-02"

// paris is the zone of the days of the register. The zone database is in the
// binary, so a missing one is a mistake in the build.
var paris = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic("register: " + err.Error())
	}
	return l
})

// ParseMoment reads a Moment.
func ParseMoment(s string) (Moment, error) {
	if t, err := time.ParseInLocation(dayLayout, s, paris()); err == nil {
		return Moment{t, true}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return Moment{t, false}, nil
	}
	return Moment{}, errors.New("a date is a day, or an instant with its zone (2026-11-01T08:00:00+01:00)")
}

// DayOf makes a Moment of the day, in France, that holds an instant.
func DayOf(t time.Time) Moment {
	y, m, d := t.In(paris()).Date()
	return Moment{time.Date(y, m, d, 0, 0, 0, 0, paris()), true}
}

// InParis returns an instant in the zone of the register.
func InParis(t time.Time) time.Time { return t.In(paris()) }

// String writes the moment as it is written in a file: "" for the zero Moment.
func (m Moment) String() string {
	switch {
	case m.IsZero():
		return ""
	case m.day:
		return m.Format(dayLayout)
	}
	return m.Format(time.RFC3339)
}

// MarshalText writes the moment like String, for JSON.
func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// end is the first instant after the moment taken as an end: a day is included
// whole.
func (m Moment) end() time.Time {
	if m.day {
		return m.AddDate(0, 0, 1)
	}
	return m.Time
}

// after is the first instant after the moment taken as a last one, written the
// same way.
func (m Moment) after() Moment { return Moment{m.end(), m.day} }

// Last is the last instant of the moment: of the day, or the instant itself.
func (m Moment) Last() time.Time {
	if m.day {
		return m.end().Add(-time.Nanosecond)
	}
	return m.Time
}

// A Period goes from Depuis to Jusque, the last day included; either may be
// absent.
type Period struct {
	Depuis Moment `yaml:"depuis" json:"depuis,omitzero"`
	Jusque Moment `yaml:"jusque" json:"jusque,omitzero"`
}

// Covers reports whether the period holds that instant.
func (p Period) Covers(at time.Time) bool {
	return !at.Before(p.Depuis.Time) && (p.Jusque.IsZero() || at.Before(p.Jusque.end()))
}

// backwards reports a period that ends before it begins.
func (p Period) backwards() bool {
	return !p.Jusque.IsZero() && !p.Depuis.Before(p.Jusque.end())
}

// edges gives the instants at which the meaning of the period changes.
func (p Period) edges(yield func(time.Time)) {
	if !p.Depuis.IsZero() {
		yield(p.Depuis.Time)
	}
	if !p.Jusque.IsZero() {
		yield(p.Jusque.end())
	}
}
