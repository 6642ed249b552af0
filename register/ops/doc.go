// Package ops is what operators ask of the register, beside the path of
// an exchange: [Import] makes one of a FINESS extract, [Check] says what looks
// wrong in one, [Find] shows a row of it, [Compare] says who gains and loses
// access between two, [Explain] says what would become of a message, and
// [Domains] lists the insurers' domains at a date.
//
// What it says of who may reach whom is asked of package routing, the code of
// the path itself.
package ops
