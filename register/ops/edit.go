package ops

import (
	"bytes"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// Edit writes establishments into a list that people keep: rows stay in its
// order, with its comments and its layout; only the fields that change are
// written again, and new rows come last. The list must be a good one.
//
// ok is false when the text cannot be edited so that it says the rows, and
// nothing else (anchors, rows on one line of a flow list...): YAML writes them
// whole.
func Edit(base File, rows []register.Etablissement) (text []byte, ok bool) {
	known, starts, err := register.ReadEtablissements(base.Name, base.Data)
	if err != nil {
		return nil, false
	}
	want := map[roc.FINESS]*register.Etablissement{}
	for i := range rows {
		want[rows[i].EJ] = &rows[i]
	}
	lines := slices.Collect(strings.Lines(string(base.Data)))
	var b bytes.Buffer
	for i, e := range known {
		from, to := starts[i]-1, len(lines)
		if i+1 < len(starts) {
			to = starts[i+1] - 1
		}
		if i == 0 {
			b.WriteString(strings.Join(lines[:from], ""))
		}
		if from >= to {
			return nil, false // two rows on one line
		}
		wanted := want[e.EJ]
		if wanted == nil {
			return nil, false
		}
		delete(want, e.EJ)
		w := *wanted
		w.EGs = inOrderOf(e.EGs, w.EGs)
		b.WriteString(editRow(lines[from:to], &known[i], &w))
	}
	if n := b.Len(); n > 0 && b.Bytes()[n-1] != '\n' {
		b.WriteByte('\n')
	}
	for i := range rows {
		if want[rows[i].EJ] != nil {
			writeRow(&b, &rows[i])
		}
	}
	return b.Bytes(), says(base.Name, b.Bytes(), rows)
}

// says reports whether a text says those rows.
func says(name string, text []byte, rows []register.Etablissement) bool {
	got, _, err := register.ReadEtablissements(name, text)
	if err != nil || len(got) != len(rows) {
		return false
	}
	all := map[roc.FINESS]string{}
	for i := range rows {
		all[rows[i].EJ] = rowText(&rows[i])
	}
	for i := range got {
		if all[got[i].EJ] != rowText(&got[i]) {
			return false
		}
	}
	return true
}

// rowText is a row whatever the order of its sites.
func rowText(e *register.Etablissement) string {
	r := *e
	r.EGs = slices.Sorted(slices.Values(e.EGs))
	var b bytes.Buffer
	writeRow(&b, &r)
	return b.String()
}

// inOrderOf puts items in the order of a list that may hold some of them, the
// others last.
func inOrderOf(known, items []roc.FINESS) []roc.FINESS {
	var out []roc.FINESS
	for _, f := range known {
		if slices.Contains(items, f) {
			out = append(out, f)
		}
	}
	for _, f := range items {
		if !slices.Contains(known, f) {
			out = append(out, f)
		}
	}
	return out
}

// editRow returns the lines of a row with what changes in it.
func editRow(lines []string, was, is *register.Etablissement) string {
	before, after := fieldsOf(was), fieldsOf(is)
	if slices.EqualFunc(before, after, field.equal) {
		return strings.Join(lines, "")
	}
	body, tail := lines, len(lines)
	for tail > 1 && !says1(lines[tail-1]) {
		tail-- // comments and blank lines between this row and the next
	}
	body = lines[:tail]
	dash := strings.IndexByte(body[0], '-')
	indent := len(body[0]) - len(strings.TrimLeft(body[0][dash+1:], " "))
	if dash < 0 || strings.HasPrefix(body[0][indent:], "{") || strings.TrimSpace(body[0][dash+1:]) == "" {
		var b bytes.Buffer
		writeRow(&b, is)
		return b.String() + strings.Join(lines[tail:], "")
	}
	parts := split(body, indent)
	for _, f := range after {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == f.name })
		old := slices.IndexFunc(before, func(o field) bool { return o.name == f.name })
		switch {
		case old >= 0 && before[old].equal(f):
		case i >= 0 && old >= 0:
			parts[i].lines = parts[i].with(before[old], f, indent)
		case i >= 0:
			parts[i].lines = f.at(indent)
		default:
			parts = append(parts, part{f.name, f.at(indent)})
		}
	}
	var b strings.Builder
	for i, p := range parts {
		gone := p.name != "" && !slices.ContainsFunc(after, func(f field) bool { return f.name == p.name }) &&
			slices.ContainsFunc(before, func(f field) bool { return f.name == p.name })
		if gone && i > 0 {
			continue
		}
		for j, line := range p.lines {
			if i == 0 && j == 0 {
				line = body[0][:indent] + strings.TrimLeft(line[min(indent, len(line)):], " ")
			}
			b.WriteString(line)
		}
		if n := b.Len(); n > 0 && b.String()[n-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	return b.String() + strings.Join(lines[tail:], "")
}

// says1 reports whether a line holds more than a comment.
func says1(line string) bool {
	s := strings.TrimSpace(line)
	return s != "" && !strings.HasPrefix(s, "#")
}

// A field is one field of a row as writeRow writes it: its value on the line of
// its name, or the items below it.
type field struct {
	name, value string
	items       []string
}

func (f field) equal(g field) bool {
	return f.name == g.name && f.value == g.value && slices.Equal(f.items, g.items)
}

func (f field) at(indent int) []string {
	pad := strings.Repeat(" ", indent)
	out := []string{pad + f.name + ":"}
	if f.value != "" {
		out[0] += " " + f.value
	}
	out[0] += "\n"
	for _, item := range f.items {
		out = append(out, pad+"  - "+item+"\n")
	}
	return out
}

func fieldsOf(e *register.Etablissement) (fields []field) {
	var b bytes.Buffer
	writeRow(&b, e)
	for line := range strings.Lines(b.String()) {
		if item, ok := strings.CutPrefix(line, "      - "); ok {
			f := &fields[len(fields)-1]
			f.items = append(f.items, strings.TrimSuffix(item, "\n"))
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line[4:], "\n"), ":")
		fields = append(fields, field{name: name, value: strings.TrimSpace(value)})
	}
	return fields
}

// A part is the lines of one field as they stand in a list, with the comments
// above it.
type part struct {
	name  string
	lines []string
}

// split cuts the lines of a row at its fields.
func split(body []string, indent int) (parts []part) {
	var above []string
	for i, line := range body {
		text := line
		if i == 0 {
			text = strings.Repeat(" ", indent) + line[indent:]
		}
		depth := len(text) - len(strings.TrimLeft(text, " "))
		name, _, isField := strings.Cut(strings.TrimSpace(text), ":")
		switch {
		case !says1(line) && depth <= indent:
			above = append(above, line)
		case depth == indent && isField && !strings.HasPrefix(name, "-"):
			parts = append(parts, part{strings.Trim(name, `"'`), append(above, text)})
			above = nil
		case len(parts) > 0:
			last := &parts[len(parts)-1]
			last.lines = append(append(last.lines, above...), line)
			above = nil
		}
	}
	return parts
}

// with returns the lines of a part whose field has changed: its comments stay,
// and so do the items that are the same.
func (p part) with(was, is field, indent int) []string {
	head := 0
	for head < len(p.lines) && !says1(p.lines[head]) {
		head++
	}
	out := slices.Clone(p.lines[:head])
	kept := items(p.lines[head+1:])
	wasItems, isItems := was.list(), is.list()
	if len(isItems) > 0 && len(kept) == len(wasItems) {
		out = append(out, p.lines[head])
		pad := itemIndent(kept)
		for _, item := range isItems {
			if i := slices.Index(wasItems, item); i >= 0 {
				out = append(out, kept[i]...)
			} else {
				out = append(out, pad+"- "+item+"\n")
			}
		}
		return out
	}
	fresh := is.at(indent)
	if comment := inlineComment(p.lines[head]); comment != "" && len(fresh) > 0 {
		fresh[0] = strings.TrimSuffix(fresh[0], "\n") + comment + "\n"
	}
	return append(out, fresh...)
}

// list are the items of a field, which writeRow may have put on one line.
func (f field) list() []string {
	if inner, ok := strings.CutPrefix(f.value, "["); ok {
		return strings.Split(strings.TrimSuffix(inner, "]"), ", ")
	}
	return f.items
}

// items cuts the lines below a field at its items, each with the comments above
// it. There are none where the field stands on one line.
func items(lines []string) (all [][]string) {
	var above []string
	for _, line := range lines {
		switch {
		case !says1(line):
			above = append(above, line)
		case strings.HasPrefix(strings.TrimSpace(line), "- "):
			all = append(all, append(above, line))
			above = nil
		case len(all) > 0:
			all[len(all)-1] = append(append(all[len(all)-1], above...), line)
			above = nil
		}
	}
	return all
}

func itemIndent(items [][]string) string {
	for _, line := range items[0] {
		if says1(line) {
			return line[:strings.IndexByte(line, '-')]
		}
	}
	return ""
}

// inlineComment is the comment at the end of a line, with the space before it.
func inlineComment(line string) string {
	i := strings.LastIndex(line, " #")
	if i < 0 || strings.ContainsAny(line[i:], `"'`) {
		return ""
	}
	return strings.TrimRight("  "+strings.TrimLeft(line[i:], " "), "\n")
}
