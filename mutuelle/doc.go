// Package mutuelle is the fictitious insurer « Mutuelle ANS »: the AMC side of
// the profile, for establishments that try their software, for the demo and
// for the tests. It answers IDB, SIM, CLC and ANL in V1 and V2, over SOAP 1.1
// and 1.2, with signed answers. Named cases are chosen by the numero_adherent
// of the request: see cases.go and docs/mutuelle.md.
//
// It keeps no state: the same request has the same answer, whatever came
// before, and several instances may answer in parallel. It knows nothing of the
// proxy.
package mutuelle
