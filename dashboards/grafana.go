package dashboards

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// A Dashboard is one page of Grafana. Its texts are French.
type Dashboard struct {
	UID, Title, Description string
	Variables               []Variable
	Rows                    []Row
}

// A Variable is a choice at the top of a page: the values of a label.
type Variable struct {
	Name, Label string
	Metric      string // whose label has the values
	Value       string // the label
	Multi       bool   // several, or all
}

// A Row is a title and its panels.
type Row struct {
	Title  string
	Panels []Panel
}

// A Kind is how a panel shows its figures.
type Kind string

// The kinds. No plugin is needed.
const (
	Lines  Kind = "timeseries"
	Number Kind = "stat"
	Table  Kind = "table"
)

// A Panel is one figure. Every one has a title, a sentence that defines it, a
// unit and at least one query.
type Panel struct {
	Kind               Kind
	Title, Description string
	Unit               string
	Queries            []Query
	Warn, Bad          float64 // from when on it is orange, red; 0: never
	Low                bool    // it is bad to be below: Warn > Bad
	Stack              bool
}

// A Query is one expression and the name of its series.
type Query struct{ Expr, Legend string }

// Units of Grafana.
const (
	perSecond = "reqps"
	ratio     = "percentunit"
	duration  = "s"
	size      = "bytes"
	plain     = "short"
	instant   = "dateTimeFromNow"
)

// JSON is the page as Grafana reads it; its queries were checked.
func (d Dashboard) JSON() ([]byte, error) {
	b := dashboard.NewDashboardBuilder(d.Title).
		Uid(d.UID).Description(d.Description).Tags([]string{"rpn"}).
		Readonly().Timezone("browser").Refresh("1m").Time("now-6h", "now").
		Link(dashboard.NewDashboardLinkBuilder("Tableaux du RPN").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"rpn"}).AsDropdown(true).KeepTime(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Source").Type("prometheus"))
	for _, v := range d.Variables {
		b.WithVariable(variable(v))
	}
	for _, r := range d.Rows {
		b.WithRow(dashboard.NewRowBuilder(r.Title))
		for _, p := range r.Panels {
			if err := addPanel(b, p); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", d.Title, p.Title, err)
			}
		}
	}
	page, err := b.Build()
	if err != nil {
		return nil, err
	}
	out, err := json.MarshalIndent(page, "", "  ")
	return append(out, '\n'), err
}

func datasource() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

func variable(v Variable) *dashboard.QueryVariableBuilder {
	q := dashboard.NewQueryVariableBuilder(v.Name).Label(v.Label).
		Datasource(datasource()).
		Query(dashboard.StringOrMap{String: cog.ToPtr(fmt.Sprintf("label_values(%s, %s)", scoped(v.Metric), v.Value))}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc)
	if v.Multi {
		q.Multi(true).IncludeAll(true).AllValue(".*")
	}
	return q
}

func addPanel(b *dashboard.DashboardBuilder, p Panel) error {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.Queries {
		if err := Check(q.Expr); err != nil {
			return err
		}
		t := prometheus.NewDataqueryBuilder().Expr(scoped(q.Expr)).LegendFormat(q.Legend).RefId(string(rune('A' + i))).Datasource(datasource())
		switch p.Kind {
		case Table:
			t.Instant().Format(prometheus.PromQueryFormatTable)
		case Number:
			t.Instant()
		default:
			t.Range()
		}
		targets = append(targets, t)
	}
	levels := thresholds(p)
	switch p.Kind {
	case Lines:
		mode, fill := common.StackingModeNone, 5.0
		if p.Stack {
			mode, fill = common.StackingModeNormal, 30
		}
		panel := timeseries.NewPanelBuilder().Title(p.Title).Description(p.Description).Unit(p.Unit).Datasource(datasource()).
			Targets(targets).Thresholds(levels).Min(0).Span(12).Height(8).LineWidth(1).FillOpacity(fill).ShowPoints(common.VisibilityModeNever).
			Stacking(common.NewStackingConfigBuilder().Mode(mode)).
			Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{"lastNotNull", "max"})).
			Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
		if p.Warn != 0 || p.Bad != 0 {
			panel.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
		}
		b.WithPanel(panel)
	case Number:
		b.WithPanel(stat.NewPanelBuilder().Title(p.Title).Description(p.Description).Unit(p.Unit).Datasource(datasource()).
			Targets(targets).Thresholds(levels).Span(6).Height(4).GraphMode(common.BigValueGraphModeNone).
			TextMode(textMode(p)))
	case Table:
		b.WithPanel(table.NewPanelBuilder().Title(p.Title).Description(p.Description).Unit(p.Unit).Datasource(datasource()).
			Targets(targets).Thresholds(levels).Span(12).Height(8).Filterable(true))
	default:
		return fmt.Errorf("a panel of kind %q", p.Kind)
	}
	return nil
}

// textMode shows the name of the series where that is what the number is about.
func textMode(p Panel) common.BigValueTextMode {
	if p.Unit == "none" {
		return common.BigValueTextModeName
	}
	return common.BigValueTextModeAuto
}

func thresholds(p Panel) *dashboard.ThresholdsConfigBuilder {
	good, warn, bad := "green", "orange", "red"
	steps := []dashboard.Threshold{{Color: good}}
	switch {
	case p.Low:
		steps = []dashboard.Threshold{{Color: bad}, {Value: cog.ToPtr(p.Bad), Color: warn}, {Value: cog.ToPtr(p.Warn), Color: good}}
	default:
		if p.Warn != 0 {
			steps = append(steps, dashboard.Threshold{Value: cog.ToPtr(p.Warn), Color: warn})
		}
		if p.Bad != 0 {
			steps = append(steps, dashboard.Threshold{Value: cog.ToPtr(p.Bad), Color: bad})
		}
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}
