// Package ops answers operators' questions about the register, outside the path
// of an exchange: [Import] makes one from a FINESS extract, [Check] reports
// what looks wrong in one, [Find] shows a row of it, [YAML] writes one.
//
// What also needs routing (explain, diff, domains) is in routing/explain.
package ops
