package xmlsig

import (
	"errors"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xsd"
)

var errDateTime = errors.New("not an xsd:dateTime with a zone")

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
		return ts, stale(roc.TimestampMalformed, "Timestamp is not Created then Expires", "Le Timestamp doit contenir Created, puis Expires, et rien d'autre.")
	}
	var err error
	if ts.created, err = dateTimeOf(created); err != nil {
		return ts, stale(roc.TimestampMalformed, "Created is malformed", "Created n'est pas une date et une heure avec fuseau (exemple : 2026-11-21T09:30:00Z).")
	}
	if !expires.IsZero() {
		if ts.expires, err = dateTimeOf(expires); err != nil {
			return ts, stale(roc.TimestampMalformed, "Expires is malformed", "Expires n'est pas une date et une heure avec fuseau (exemple : 2026-11-21T09:35:00Z).")
		}
	}
	return ts, nil
}

// dateTimeOf parses a date and time surrounded by white space: a writer with
// CRLF line ends puts it on a line of its own.
func dateTimeOf(n soap.Node) (time.Time, error) {
	raw, ok := n.RawText()
	text := string(raw)
	if !ok {
		if text, ok = n.Text(); !ok || n.HasCDATA() {
			return time.Time{}, errDateTime
		}
	}
	at, zoned, err := xsd.DateTime(text)
	if err != nil || !zoned {
		return time.Time{}, errDateTime
	}
	return at, nil
}

// end is when the life of the timestamp ends.
func (ts timestamp) end() time.Time {
	if ts.expires.IsZero() {
		return ts.created.Add(defaultLife)
	}
	return ts.expires
}

// checkTime compares a signed timestamp with the clock.
func (v *Verifier) checkTime(ts timestamp, at time.Time) error {
	end := ts.end()
	switch life := end.Sub(ts.created); {
	case life <= 0:
		return stale(roc.TimestampLife, "Expires is not after Created", "Expires n'est pas après Created.")
	case life > v.maxLife:
		return stale(roc.TimestampLife, "life of the Timestamp too long", "La durée de vie du Timestamp dépasse %s.", French(v.maxLife))
	}
	if ahead := ts.created.Sub(at); ahead > v.tolerance {
		return measured(ahead, offset(roc.ClockAhead, ahead, "Created is in the future", "Votre horloge avance de %s.", French(ahead)))
	}
	if late := at.Sub(end); late > v.tolerance {
		return measured(ts.created.Sub(at), offset(roc.MessageExpired, ts.created.Sub(at), "Expires is past", "Le message a expiré il y a %s (signé il y a %s) : si vous venez de le signer, votre horloge retarde.", French(late), French(at.Sub(ts.created))))
	}
	return nil
}

// measured adds the offset of the signer's clock to a refusal.
func measured(offset time.Duration, r *roc.Refusal) error {
	r.ClockOffset = &offset
	return r
}

// offset is stale, of a clock that differs by that much: by a time zone, when it
// is a whole number of half hours and a little.
func offset(cause roc.CauseCode, by time.Duration, en, fr string, args ...any) *roc.Refusal {
	const half, little, widest = 30 * time.Minute, 2 * time.Minute, 14 * time.Hour
	r := stale(cause, en, fr, args...)
	if whole := by.Round(half); whole != 0 && whole.Abs() <= widest && (by-whole).Abs() <= little {
		r.Because(roc.TimeZone)
	}
	return r
}

func stale(cause roc.CauseCode, en, fr string, args ...any) *roc.Refusal {
	return roc.Refuse(roc.StaleTimestamp, "%s", en).Because(cause).Saying(fr, args...)
}

// French writes a duration the way an establishment reads it: "7 min 12 s".
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
