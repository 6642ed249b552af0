package ops

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// LongestDrain is the longest maintenance that Drain writes: an AMC that is out
// for longer is suspended, which is another decision.
const LongestDrain = 31 * 24 * time.Hour

var (
	stateLine  = regexp.MustCompile(`^(\s+|\s*-\s+)etat:\s*(\w+)\s*(#.*)?$`)
	motifLine  = regexp.MustCompile(`^\s+motif:\s*(\S.*)$`)
	statesFlow = regexp.MustCompile(`^(\s+etats:\s*\[.*\})\s*\]\s*(#.*)?$`)
	statesLine = regexp.MustCompile(`^(\s+)etats:\s*(#.*)?$`)
	endWords   = regexp.MustCompile(`jusque:\s*"?([0-9][0-9TZ:+.-]*)"?`)
)

// Drain writes a maintenance of an AMC into the list that people keep, from now
// until then; everything else in the file stays as it is, its comments too.
func Drain(base File, n roc.NumeroAMC, now, until time.Time, motif string) ([]byte, error) {
	row, err := findAMC(base, n, now)
	if err != nil {
		return nil, err
	}
	switch {
	case !until.After(now):
		return nil, errors.New("la fin de la maintenance est passée")
	case until.Sub(now) > LongestDrain:
		return nil, errors.New("une maintenance dure 31 jours au plus ; au-delà, écrivez etat: suspendu dans le registre")
	case row.amc.Etat == register.AMCMaintenance:
		return nil, fmt.Errorf("l'organisme %s est déjà en maintenance jusqu'au %s : rpn amc resume d'abord", n, row.amc.Fin.UTC().Format(time.RFC3339))
	case !row.amc.Etat.Open():
		return nil, fmt.Errorf("l'organisme %s est dans l'état %s : il ne reçoit rien", n, row.amc.Etat)
	}
	entry := fmt.Sprintf("{depuis: %s, etat: maintenance, jusque: %s", stamp(now), stamp(until))
	if motif != "" {
		entry += ", motif: " + quoted(motif)
	}
	entry += "}"
	lines, ok := withEntry(row.lines, entry)
	text := row.with(lines)
	if !ok || !row.onlyThis(text, now, func(a *register.AMC) bool {
		return a.Etat == register.AMCMaintenance && a.Fin.Equal(until.Truncate(time.Second))
	}) {
		return nil, fmt.Errorf("%s n'est pas écrit d'une façon qui se complète sans risque : ajoutez vous-même, en dernier dans etats de l'organisme %s, %s", base.Name, n, entry)
	}
	return text, nil
}

// Resume ends the maintenance of an AMC now.
func Resume(base File, n roc.NumeroAMC, now time.Time) ([]byte, error) {
	row, err := findAMC(base, n, now)
	if err != nil {
		return nil, err
	}
	if row.amc.Etat != register.AMCMaintenance {
		return nil, fmt.Errorf("l'organisme %s n'est pas en maintenance : son état est %s", n, row.amc.Etat)
	}
	end := now.Truncate(time.Second)
	for _, c := range row.amc.Etats { // one that has just begun lasts a second
		if c.Etat == register.AMCMaintenance && !c.Depuis.After(now) && !end.After(c.Depuis.Time) {
			end = c.Depuis.Add(time.Second)
		}
	}
	lines, done := slices.Clone(row.lines), false
	for i, line := range lines {
		for _, at := range endWords.FindAllStringSubmatchIndex(line, -1) {
			m, err := register.ParseMoment(line[at[2]:at[3]])
			if err == nil && !done && inForce(row.amc, m, now) {
				lines[i] = line[:at[2]] + stamp(end) + line[at[3]:]
				done = true
				break
			}
		}
	}
	text := row.with(lines)
	if !done || !row.onlyThis(text, end, func(a *register.AMC) bool { return a.Etat != register.AMCMaintenance }) {
		return nil, fmt.Errorf("%s n'est pas écrit d'une façon qui se corrige sans risque : écrivez vous-même jusque: %s dans la maintenance de l'organisme %s", base.Name, stamp(end), n)
	}
	return text, nil
}

// inForce reports whether a maintenance with that end is the one in force.
func inForce(a *register.AMC, end register.Moment, now time.Time) bool {
	for _, c := range a.Etats {
		if c.Etat == register.AMCMaintenance && !c.Depuis.After(now) && c.Jusque.Equal(end.Time) {
			return true
		}
	}
	return false
}

// stamp is an instant as the register writes it.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// An amcRow is the row of one AMC in its file.
type amcRow struct {
	base                 File
	all                  []register.AMC
	i                    int           // of the AMC, in all
	amc                  *register.AMC // as it is now
	before, lines, after []string
}

func findAMC(base File, n roc.NumeroAMC, now time.Time) (*amcRow, error) {
	rows, starts, err := register.ReadAMCs(base.Name, base.Data)
	if err != nil {
		return nil, err
	}
	list, err := register.ParseAMCs(base.Name, base.Data, now)
	if err != nil {
		return nil, err
	}
	r := &amcRow{base: base, all: rows, i: slices.IndexFunc(rows, func(a register.AMC) bool { return slices.Contains(a.Numeros, n) })}
	if r.i < 0 {
		return nil, fmt.Errorf("aucun organisme de %s n'a le numéro %s", base.Name, n)
	}
	r.amc, _ = list.AMC(n)
	lines := slices.Collect(strings.Lines(string(base.Data)))
	from, to := starts[r.i]-1, len(lines)
	if r.i+1 < len(starts) {
		to = starts[r.i+1] - 1
	}
	if from < 0 || from >= to {
		return r, nil // two rows on one line: nothing will be found in it
	}
	r.before, r.lines, r.after = lines[:from], lines[from:to], lines[to:]
	return r, nil
}

func (r *amcRow) with(lines []string) []byte {
	return []byte(strings.Join(slices.Concat(r.before, lines, r.after), ""))
}

// onlyThis reports whether a text says of this AMC what is wanted, and of
// everything else what the file said.
func (r *amcRow) onlyThis(text []byte, now time.Time, wanted func(*register.AMC) bool) bool {
	got, _, err := register.ReadAMCs(r.base.Name, text)
	if err != nil || len(got) != len(r.all) {
		return false
	}
	for i := range got {
		a, b := got[i], r.all[i]
		if i == r.i {
			a.Etat, a.Etats, a.Motif, b.Etat, b.Etats, b.Motif = "", nil, "", "", nil, ""
		}
		if !reflect.DeepEqual(a, b) {
			return false
		}
	}
	list, err := register.ParseAMCs(r.base.Name, text, now)
	if err != nil {
		return false
	}
	a, ok := list.AMC(r.all[r.i].Numeros[0])
	return ok && wanted(a)
}

// withEntry puts an entry last among the states of a row.
func withEntry(row []string, entry string) ([]string, bool) {
	for i, line := range row {
		text := strings.TrimRight(line, "\r\n")
		eol := line[len(text):]
		if m := statesFlow.FindStringSubmatch(text); m != nil {
			return slices.Concat(row[:i], []string{m[1] + ", " + entry + "]" + after(m[2]) + eol}, row[i+1:]), true
		}
		if m := statesLine.FindStringSubmatch(text); m != nil {
			j := i + 1
			for j < len(row) && (strings.HasPrefix(row[j], m[1]+" ") || strings.HasPrefix(row[j], m[1]+"-")) {
				j++
			}
			if j == i+1 {
				return row, false
			}
			indent := row[i+1][:len(row[i+1])-len(strings.TrimLeft(row[i+1], " "))]
			return slices.Concat(row[:j], []string{indent + "- " + entry + eol}, row[j:]), true
		}
		if m := stateLine.FindStringSubmatch(text); m != nil {
			motif := ""
			rest := slices.DeleteFunc(slices.Clone(row[i+1:]), func(l string) bool {
				if found := motifLine.FindStringSubmatch(strings.TrimRight(l, "\r\n")); found != nil {
					motif = ", motif: " + found[1]
					return true
				}
				return false
			})
			// Without a date, its first state was always in force.
			return slices.Concat(row[:i], []string{m[1] + "etats: [{depuis: 2000-01-01, etat: " + m[2] + motif + "}, " + entry + "]" + after(m[3]) + eol}, rest), true
		}
	}
	return row, false
}

func after(comment string) string {
	if comment == "" {
		return ""
	}
	return " " + comment
}
