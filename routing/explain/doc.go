// Package explain is what operators ask of the decision, beside the path of an
// exchange, with the code of the path itself: [Explain] says what would become
// of a message, [Compare] who gains and loses access between two registers,
// [Reached] whom an establishment reaches, and [Domains] lists the insurers'
// domains at a date.
package explain
