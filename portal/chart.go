package portal

import "fmt"

// A chart is stacked bars in SVG, made here, with the same numbers in a table.
type chart struct {
	ID, Title     string
	Width, Height int
	Lines         []gridLine
	Bars          []bar
	Labels        []mark
	Keys          []key
	Table         *table
}

type (
	gridLine struct {
		X, X2, TextX int
		Y, TextY     string
		Text         string
	}
	bar struct {
		Series     int
		X, Y, W, H string
		Text       string
	}
	mark struct {
		X    string
		Y    int
		Text string
	}
	key struct {
		Series int
		Text   string
	}
)

// A point is one bar: its label, a short one for the axis ("": none), and a value
// for each series.
type point struct {
	label, short string
	values       []int64
}

const (
	chartWidth  = 1200
	chartLeft   = 72
	chartRight  = 16
	chartBottom = 26
	chartTop    = 10
	tall        = 240
	low         = 170
)

// ownerColours are the colours of who must act; 0 is that of answers.
var ownerColours = []int{1, 2, 3, 4, 5}

// barChart stacks the series of each point, in their colours. first names the
// points. A series without a value is not shown.
func barChart(id, title, first string, series []string, colours []int, height int, points []point) *chart {
	c := &chart{ID: id, Title: title, Width: chartWidth, Height: height}
	top, sums := int64(1), make([]int64, len(series))
	for _, p := range points {
		sum := int64(0)
		for s, v := range p.values {
			sum += v
			sums[s] += v
		}
		top = max(top, sum)
	}
	top = round(top)
	high := float64(height - chartBottom - chartTop)
	y := func(v int64) float64 { return float64(chartTop) + high*(1-float64(v)/float64(top)) }
	for i := range 3 {
		v := top * int64(i) / 2
		c.Lines = append(c.Lines, gridLine{X: chartLeft, X2: chartWidth, TextX: chartLeft - 8, Y: px(y(v)), TextY: px(y(v) + 5), Text: count(v)})
	}
	step := float64(chartWidth-chartLeft-chartRight) / float64(max(1, len(points)))
	for i, p := range points {
		x, below := float64(chartLeft)+step*float64(i), int64(0)
		for s, v := range p.values {
			if v == 0 {
				continue
			}
			c.Bars = append(c.Bars, bar{Series: colours[s], X: px(x + step*0.12), Y: px(y(below + v)), W: px(step * 0.76), H: px(y(below) - y(below+v)), Text: fmt.Sprintf("%s, %s : %s", p.label, series[s], count(v))})
			below += v
		}
		if p.short != "" {
			c.Labels = append(c.Labels, mark{X: px(x + step/2), Y: height - 6, Text: p.short})
		}
	}
	c.Table = &table{Caption: title, Head: columns(first)}
	for s, name := range series {
		if sums[s] > 0 {
			c.Keys = append(c.Keys, key{colours[s], name})
			c.Table.Head = append(c.Table.Head, column{name, true})
		}
	}
	if len(c.Keys) == 0 {
		c.Table.Empty = "Rien dans cette période."
		return c
	}
	for _, p := range points {
		row := []cell{text(p.label)}
		for s, v := range p.values {
			if sums[s] > 0 {
				row = append(row, text(count(v)))
			}
		}
		c.Table.Rows = append(c.Table.Rows, row)
	}
	return c
}

// round is the next of 2, 4, 6, 8, 10, 20, 30, 40...: even, for the line in the
// middle.
func round(v int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, n := range []int64{1, 2, 3, 4, 5, 6, 8, 10} {
			if n*unit >= v && n*unit%2 == 0 {
				return n * unit
			}
		}
	}
}

func px(v float64) string { return fmt.Sprintf("%.1f", v) }
