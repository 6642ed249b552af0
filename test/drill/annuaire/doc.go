// Package annuaire is the drill of the annuaire: outages, poisoning and
// rebinding, played against the real binary, one line a cell. `make
// drill-annuaire` plays it, and so does `make test`.
package annuaire
