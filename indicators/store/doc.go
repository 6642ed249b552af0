// Package store keeps the figures of each establishment and each insurer.
//
// They are a projection of the journal and of nothing else: [Store.Project]
// reads its records in their order, adds them to the cells, and writes the
// cells and the place it has come to in one transaction. Each record counts
// exactly once, whatever is killed when; emptied and projected again, the store
// holds equal figures of all that the journal still keeps. A figure that
// somebody doubts is computed again from the sealed trace.
//
// A cell is what one establishment asked of one insurer in one hour, by service,
// version and outcome: counts, and the distribution of the durations as a
// sketch that adds up with others (DDSketch, relative error 1 %). Sums over
// days, over all insurers, over all establishments and over the nation are
// kept as well, and the windows of five minutes that say when an insurer is out
// ([Store.Availability]). A row of the store holds all cells of an establishment,
// an insurer and a day, or all of one sum.
//
// SQLite is the embedded default; PostgreSQL serves several instances. Each
// journal has its own rows, so two instances never write the same one.
package store
