// Package report turns figures into what people read: definition cards, the
// weekly CSV files, tables.
//
// A figure is defined once, by its [Card]: docs/indicators.md, the headings of
// the CSV files, the fields of the JSON and the help of the pages are made of
// the cards, so one word has one definition. What people read is in French.
package report
