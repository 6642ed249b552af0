// Package ops is what operators ask of the register, beside the path of an
// exchange: [Import] makes one of a FINESS extract, [Check] says what looks
// wrong in one, [Find] shows a row of it, [YAML] writes one.
//
// What rests on routing too (explain, diff, domains) is routing/explain.
package ops
