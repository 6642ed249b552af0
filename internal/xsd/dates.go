package xsd

import (
	"errors"
	"time"
)

var (
	errDateTime = errors.New("not an xs:dateTime")
	errDate     = errors.New("not an xs:date")
	errYear     = errors.New("years 1 to 9999 are read")
)

// DateTime reads an xs:dateTime of the years 1 to 9999, any number of decimals
// (the first nine count), 24:00:00 as the midnight that ends the day. zoned is
// false when it names no zone: the time is then that of UTC, and the caller
// says whose clock it was.
func DateTime(s string) (t time.Time, zoned bool, err error) {
	s = Collapse(s)
	day, rest, err := date(s)
	if err != nil {
		return time.Time{}, false, errors.Join(errDateTime, err)
	}
	if len(rest) < 9 || rest[0] != 'T' || rest[3] != ':' || rest[6] != ':' {
		return time.Time{}, false, errDateTime
	}
	hour, ok := two(rest[1:3])
	minute, ok1 := two(rest[4:6])
	sec, ok2 := two(rest[7:9])
	if !ok || !ok1 || !ok2 || hour > 24 || minute > 59 || sec > 59 {
		return time.Time{}, false, errDateTime
	}
	rest = rest[9:]
	nano := 0
	if rest != "" && rest[0] == '.' {
		i := 1
		for unit := 100_000_000; i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
			nano += int(rest[i]-'0') * unit
			if hour == 24 && rest[i] != '0' {
				return time.Time{}, false, errDateTime
			}
			unit /= 10
		}
		if i == 1 {
			return time.Time{}, false, errDateTime
		}
		rest = rest[i:]
	}
	if hour == 24 && (minute > 0 || sec > 0) {
		return time.Time{}, false, errDateTime
	}
	offset, zoned, ok := zone(rest)
	if !ok {
		return time.Time{}, false, errDateTime
	}
	t = day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(sec)*time.Second + time.Duration(nano))
	return t.Add(-offset), zoned, nil
}

// Date reads an xs:date of the years 1 to 9999: the day that is written,
// whatever its zone, which is a span of 24 hours somewhere. zoned says whether
// there was a zone.
func Date(s string) (year int, month time.Month, day int, zoned bool, err error) {
	t, rest, err := date(Collapse(s))
	if err != nil {
		return 0, 0, 0, false, errors.Join(errDate, err)
	}
	_, zoned, ok := zone(rest)
	if !ok {
		return 0, 0, 0, false, errDate
	}
	year, month, day = t.Date()
	return year, month, day, zoned, nil
}

// date reads YYYY-MM-DD and returns what follows.
func date(s string) (t time.Time, rest string, err error) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return time.Time{}, "", errYear
	}
	century, ok := two(s[0:2])
	year, ok1 := two(s[2:4])
	month, ok2 := two(s[5:7])
	day, ok3 := two(s[8:10])
	year += 100 * century
	if !ok || !ok1 || !ok2 || !ok3 || year < 1 || month < 1 || month > 12 || day < 1 {
		return time.Time{}, "", errDate
	}
	t = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Day() != day { // 31 April
		return time.Time{}, "", errDate
	}
	return t, s[10:], nil
}

// zone reads what may end a date: nothing, Z, or an offset of up to 14 hours.
func zone(s string) (offset time.Duration, zoned, ok bool) {
	switch {
	case s == "":
		return 0, false, true
	case s == "Z":
		return 0, true, true
	case len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':':
		return 0, false, false
	}
	h, ok1 := two(s[1:3])
	m, ok2 := two(s[4:6])
	if !ok1 || !ok2 || h > 14 || m > 59 || h == 14 && m > 0 {
		return 0, false, false
	}
	offset = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true, true
}

func two(s string) (int, bool) {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	return 10*int(s[0]-'0') + int(s[1]-'0'), true
}
