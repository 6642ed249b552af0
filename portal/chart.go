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
	chartWidth  = 960
	chartHeight = 240
	chartLeft   = 64
	chartBottom = 24
	chartTop    = 12
)

// barChart stacks the series of each point. first names the points.
func barChart(id, title, first string, series []string, points []point) *chart {
	c := &chart{ID: id, Title: title, Width: chartWidth, Height: chartHeight}
	top := int64(1)
	for _, p := range points {
		sum := int64(0)
		for _, v := range p.values {
			sum += v
		}
		top = max(top, sum)
	}
	top = round(top)
	high := float64(chartHeight - chartBottom - chartTop)
	y := func(v int64) float64 { return float64(chartTop) + high*(1-float64(v)/float64(top)) }
	for i := range 3 {
		v := top * int64(i) / 2
		c.Lines = append(c.Lines, gridLine{X: chartLeft, X2: chartWidth, TextX: chartLeft - 6, Y: px(y(v)), TextY: px(y(v) + 4), Text: count(v)})
	}
	step := float64(chartWidth-chartLeft) / float64(max(1, len(points)))
	for i, p := range points {
		x, below := float64(chartLeft)+step*float64(i), int64(0)
		for s, v := range p.values {
			if v == 0 {
				continue
			}
			c.Bars = append(c.Bars, bar{Series: s, X: px(x + step*0.1), Y: px(y(below + v)), W: px(step * 0.8), H: px(y(below) - y(below+v)), Text: fmt.Sprintf("%s, %s : %s", p.label, series[s], count(v))})
			below += v
		}
		if p.short != "" {
			c.Labels = append(c.Labels, mark{X: px(x + step/2), Y: chartHeight - 6, Text: p.short})
		}
	}
	c.Table = &table{Caption: title, Head: columns(first)}
	for s, name := range series {
		c.Keys = append(c.Keys, key{s, name})
		c.Table.Head = append(c.Table.Head, column{name, true})
	}
	for _, p := range points {
		row := []cell{text(p.label)}
		for _, v := range p.values {
			row = append(row, text(count(v)))
		}
		c.Table.Rows = append(c.Table.Rows, row)
	}
	return c
}

// round is the next of 2, 4, 10, 20, 40, 100...
func round(v int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, n := range []int64{2, 4, 10} {
			if n*unit >= v {
				return n * unit
			}
		}
	}
}

func px(v float64) string { return fmt.Sprintf("%.1f", v) }
