package xmlsig

import (
	"errors"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

var errDateTime = errors.New("not an xsd:dateTime with a zone")

// parseDateTime reads an xsd:dateTime: a zone is required, any number of
// decimals is read (the first nine count). No year beyond 9999, no 24:00, no
// leap second.
func parseDateTime(b []byte) (time.Time, error) {
	if len(b) < 20 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, errDateTime
	}
	year, ok := digits(b[0:4])
	month, ok1 := digits(b[5:7])
	day, ok2 := digits(b[8:10])
	hour, ok3 := digits(b[11:13])
	minute, ok4 := digits(b[14:16])
	sec, ok5 := digits(b[17:19])
	if !(ok && ok1 && ok2 && ok3 && ok4 && ok5) || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || sec > 59 || year < 1 {
		return time.Time{}, errDateTime
	}
	rest, nano := b[19:], 0
	if rest[0] == '.' {
		i := 1
		for unit := 100_000_000; i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
			nano += int(rest[i]-'0') * unit
			unit /= 10
		}
		if i == 1 {
			return time.Time{}, errDateTime
		}
		rest = rest[i:]
	}
	offset := 0
	switch {
	case len(rest) == 1 && rest[0] == 'Z':
	case len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		h, ok := digits(rest[1:3])
		m, ok1 := digits(rest[4:6])
		if !ok || !ok1 || h > 14 || m > 59 || h == 14 && m > 0 {
			return time.Time{}, errDateTime
		}
		if offset = h*3600 + m*60; rest[0] == '-' {
			offset = -offset
		}
	default:
		return time.Time{}, errDateTime
	}
	t := time.Date(year, time.Month(month), day, hour, minute, sec, nano, time.UTC)
	if t.Day() != day { // 31 April
		return time.Time{}, errDateTime
	}
	return t.Add(-time.Duration(offset) * time.Second), nil
}

func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// A timestamp is a wsu:Timestamp, read.
type timestamp struct {
	created, expires time.Time // expires is zero when absent
}

// readTimestamp reads the structure: Created, then perhaps Expires, nothing
// else (profile section 3).
func readTimestamp(n soap.Node) (timestamp, error) {
	var ts timestamp
	created := n.First()
	expires := created.Next()
	if !created.Is(soap.NSWSU, "Created") || !expires.IsZero() && !expires.Is(soap.NSWSU, "Expires") || !expires.Next().IsZero() || !n.OnlyElements() {
		return ts, stale("Timestamp is not Created then Expires", "Le Timestamp doit contenir Created, puis Expires, et rien d'autre.")
	}
	var err error
	if ts.created, err = dateTimeOf(created); err != nil {
		return ts, stale("Created is malformed", "Created n'est pas une date et une heure avec fuseau (exemple : 2026-11-21T09:30:00Z).")
	}
	if !expires.IsZero() {
		if ts.expires, err = dateTimeOf(expires); err != nil {
			return ts, stale("Expires is malformed", "Expires n'est pas une date et une heure avec fuseau (exemple : 2026-11-21T09:35:00Z).")
		}
	}
	return ts, nil
}

func dateTimeOf(n soap.Node) (time.Time, error) {
	b, ok := n.RawText()
	if !ok {
		return time.Time{}, errDateTime
	}
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return parseDateTime(b)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// end is when the life of the timestamp ends.
func (ts timestamp) end() time.Time {
	if ts.expires.IsZero() {
		return ts.created.Add(defaultLife)
	}
	return ts.expires
}

// checkTime holds a signed timestamp against the clock.
func (v *Verifier) checkTime(ts timestamp, at time.Time) error {
	end := ts.end()
	switch life := end.Sub(ts.created); {
	case life <= 0:
		return stale("Expires is not after Created", "Expires n'est pas après Created.")
	case life > v.maxLife:
		return stale("life of the Timestamp too long", "La durée de vie du Timestamp dépasse %s.", French(v.maxLife))
	}
	if ahead := ts.created.Sub(at); ahead > v.tolerance {
		return measured(ahead, stale("Created is in the future", "Votre horloge avance de %s.", French(ahead)))
	}
	if late := at.Sub(end); late > v.tolerance {
		return measured(ts.created.Sub(at), stale("Expires is past", "Le message a expiré il y a %s (signé il y a %s) : si vous venez de le signer, votre horloge retarde.", French(late), French(at.Sub(ts.created))))
	}
	return nil
}

// measured adds the offset of the signer's clock to a refusal.
func measured(offset time.Duration, r *roc.Refusal) error {
	r.ClockOffset = &offset
	return r
}

func stale(en, fr string, args ...any) *roc.Refusal {
	return roc.Refuse(roc.StaleTimestamp, "%s", en).Saying(fr, args...)
}

// French writes a duration as an establishment reads it: "7 min 12 s".
func French(d time.Duration) string {
	d = d.Abs().Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%d jours", h/24)
	case h > 0:
		return fmt.Sprintf("%d h %02d min", h, m)
	case m > 0 && s > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", s)
}
