// Package annuaire asks the AMC directory where an insurer's services are, and
// remembers the answers.
//
// Directory is what the path of an exchange calls: from memory, else it asks,
// one question in flight per key. Client asks one question over the network and
// believes only an answer that is signed, valid today and about the AMC asked.
// Best is the pure rule by which rows with wildcards answer a key.
//
// The annuaire is trusted: who controls its answers controls where health data
// goes. That is why nothing of an answer is read outside what its signature
// covers, and why routing guards the address once more.
package annuaire
