package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/piano-roc/rpn/indicators/top"
)

// A topView draws what goes on. The zero width and height have no bound.
type topView struct {
	by            top.Key
	width, height int
	live, colour  bool
	paused        bool
	failed        error // the RPN did not answer: what is drawn is older
}

// keysOfTop are the keys that change the order, with what they say.
var keysOfTop = []struct {
	key  byte
	by   top.Key
	name string
}{{'d', top.ByRate, "débit"}, {'r', top.ByRefusals, "refus"}, {'p', top.ByP95, "p95"}, {'c', top.ByInFlight, "en cours"}, {'n', top.ByName, "nom"}}

func (v *topView) sortBy(key byte) {
	for _, k := range keysOfTop {
		if k.key == key {
			v.by = k.by
		}
	}
}

// The widths of columns; names have what is left, and at least this.
const (
	numberWidth = 9
	minName     = 18
	maxName     = 40
)

// draw writes the table: the whole instance, then the establishments, then the
// insurers, as many of them as the height holds.
func (v topView) draw(a top.Activity) string {
	head := v.head(a)
	insurers, establishments := len(a.AMC), len(a.Etablissements)
	if v.height > 0 {
		room := max(2, v.height-len(head)-5) // two titles, two blank lines, the keys
		insurers = min(insurers, max(1, room/3, room-establishments))
		establishments = min(establishments, max(1, room-insurers))
	}
	name := maxName
	if v.width > 0 {
		name = min(maxName, max(minName, v.width-6*numberWidth-24))
	}
	lines := append(head, "", v.bold(cells(fmt.Sprintf("ÉTABLISSEMENTS (%d)", a.Lines[0]), name, "éch./s", "refus/s", "quota/s", "p95 ms", "en cours", "ko/s")+"  dernier refus"))
	for i := range establishments {
		lines = append(lines, v.establishment(&a.Etablissements[i], name, a.At))
	}
	lines = append(lines, "", v.bold(cells(fmt.Sprintf("ORGANISMES (%d)", a.Lines[1]), name, "éch./s", "échecs/s", "refus/s", "p95 ms", "en cours", "file")+"  état"))
	for i := range insurers {
		lines = append(lines, v.insurer(&a.AMC[i], name, a.At))
	}
	if v.live {
		lines = append(lines, v.help())
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(v.cut(l))
		b.WriteByte('\n')
	}
	return b.String()
}

func (v topView) head(a top.Activity) []string {
	t := a.Total
	lines := []string{v.bold(fmt.Sprintf("rpn top, %s, depuis %s, version %s", hour(a.At), lasting(a.At.Sub(a.Since)), printable(a.Version))),
		fmt.Sprintf("%s éch./s, %s refus/s (dont quota %s, organismes %s), p95 %s ms, %d en attente", number(t.Rate), number(t.Refused), number(t.Quota), number(t.Failed), number(t.P95), t.Waiting)}
	var capacity []string
	for _, c := range a.Capacity {
		capacity = append(capacity, fmt.Sprintf("%s %d / %d", printable(c.Nom), c.Used, c.Total))
	}
	lines = append(lines, strings.Join(capacity, ", "), "limites "+printable(a.Limits))
	if v.failed != nil {
		lines = append(lines, v.paint("31", "LE RPN NE RÉPOND PAS : "+printable(v.failed.Error())))
	}
	return lines
}

func (v topView) establishment(l *top.Line, name int, now time.Time) string {
	s := cells(label(l), name, number(l.Rate), number(l.Refused), number(l.Quota), number(l.P95), strconv.Itoa(l.InFlight), number(l.Bytes/1000))
	if r := l.Last; r != nil {
		s += fmt.Sprintf("  %s %s, il y a %s", printable(r.Code), printable(r.Cause), lasting(now.Sub(r.At)))
	}
	if l.Quota >= 0.05 {
		s = v.paint("33", s)
	}
	return s
}

func (v topView) insurer(l *top.AMC, name int, now time.Time) string {
	inFlight := strconv.Itoa(l.InFlight)
	if l.Seats > 0 {
		inFlight += "/" + strconv.Itoa(l.Seats)
	}
	s := cells(label(&l.Line), name, number(l.Rate), number(l.Failed), number(l.Refused-l.Failed), number(l.P95), inFlight, strconv.Itoa(l.Waiting))
	if l.Rests == nil {
		return s + "  " + printable(l.Etat)
	}
	s += "  AU REPOS depuis " + hour(*l.Rests)
	if left := l.Until.Sub(now); left > 0 {
		s += ", essai dans " + lasting(left)
	} else {
		s += ", essai au prochain message"
	}
	return v.paint("31", s)
}

func (v topView) help() string {
	var keys []string
	for _, k := range keysOfTop {
		s := string(k.key) + " " + k.name
		if k.by == v.by {
			s = v.bold(s)
		}
		keys = append(keys, s)
	}
	state := "espace arrêter"
	if v.paused {
		state = v.paint("33", "ARRÊTÉ : espace pour reprendre")
	}
	return "tri : " + strings.Join(keys, ", ") + " ; " + state + " ; q terminer"
}

func label(l *top.Line) string {
	if l.Nom == "" {
		return printable(l.ID)
	}
	return printable(l.Nom)
}

// cells writes a name and the numbers behind it.
func cells(first string, name int, numbers ...string) string {
	var b strings.Builder
	b.WriteString(padded(shortened(first, name), name))
	for _, n := range numbers {
		b.WriteString(strings.Repeat(" ", max(1, numberWidth-utf8.RuneCountInString(n))) + n)
	}
	return b.String()
}

func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func shortened(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// cut keeps a line within the width; the colours take no place in it.
func (v topView) cut(line string) string {
	if v.width <= 0 {
		return line
	}
	var b strings.Builder
	n, escaped := 0, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escaped = true
		case escaped:
			escaped = r != 'm'
		case n >= v.width:
			continue
		default:
			n++
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (v topView) bold(s string) string { return v.paint("1", s) }

func (v topView) paint(how, s string) string {
	if !v.colour {
		return s
	}
	return "\x1b[" + how + "m" + s + "\x1b[0m"
}

// printable is a text without what would move the cursor or change the terminal:
// names come from files that others write.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

// number writes a number the French way, short.
func number(f float64) string {
	decimals := 1
	if f >= 100 {
		decimals = 0
	}
	s := strings.Replace(strconv.FormatFloat(f, 'f', decimals, 64), ".", ",", 1)
	return strings.Replace(s, "-0,0", "0,0", 1)
}

func hour(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// lasting writes a duration, in its two largest units.
func lasting(d time.Duration) string {
	s := max(0, int(d.Round(time.Second).Seconds()))
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d j %02d h", s/86400, s/3600%24)
}
