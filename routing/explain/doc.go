// Package explain answers operators' questions about the decision, outside the
// path of an exchange but with the same code: [Explain] tells what would happen
// to a message, [Compare] who gains and loses access between two registers,
// [Reached] whom an establishment reaches, and [Domains] lists the insurers'
// domains at a date.
package explain
