// Package dossiers keeps the keys by which exchanges of one dossier are linked
// (message.DossierKey), and drops them.
//
// One key serves for a period of some days, which begins on a Monday at midnight
// in Paris where there are seven of them. At its end the key is deleted: in
// memory, in the file and in Redis. Exchanges of two periods cannot be joined by
// anybody, also one minute apart; within a period they can, by who reads the
// journal. A key is random: no other secret gives it back.
//
// Several instances share the key through Redis, sealed by the secrets that they
// share; each keeps it in its state folder too, for its restart. An instance that
// starts while Redis is lost, or without one, makes a key of its own: its links
// are then of this instance alone, until it has the key that is shared. No
// exchange waits for any of it: without a key an exchange has no link.
//
// docs/decisions/0018-dossiers.md says why it is so.
package dossiers
