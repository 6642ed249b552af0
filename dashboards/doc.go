// Package dashboards is what ANS looks at, as code: recording rules, objectives
// with their alerts, and Grafana dashboards. Its tables are Go; what Prometheus
// and Grafana read is generated beside them and committed:
//
//	go generate ./dashboards
//
// A test compares them. An expression may name the metrics of indicators/live
// and few others (query.go); what French readers see is French.
package dashboards

//go:generate go run ./cmd/dashboards -root ..
