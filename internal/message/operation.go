package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// NSAnnuaire is the namespace of the annuaire's messages (profile section 1).
const NSAnnuaire = "https://ws.annuaireamc.fr/"

// An Operation is one line of the table of profile section 1.
type Operation struct {
	Service roc.Service
	Version roc.Version // NoVersion for the annuaire
	Request soap.Name   // the Body's only child, in a request
	Answer  soap.Name   // the same, in its answer

	Action       string // "urn:roc:idb:1.0.0:interroger"
	AnswerAction string // "urn:roc:idb:1.0.0:interrogerReponse"

	prefix string // of the namespace, in the profile's examples
}

// operations is profile section 1, line by line. It is never written to.
var operations = [...]Operation{
	{roc.Annuaire, roc.NoVersion, soap.Name{Space: NSAnnuaire, Local: "search"}, soap.Name{Space: NSAnnuaire, Local: "searchResponse"},
		NSAnnuaire + "search", NSAnnuaire + "searchResponse", "ann"},
	line(roc.IDB, roc.V1, "idb", "1.0.0", "interroger"),
	line(roc.IDB, roc.V2, "idb", "2.0.0", "interroger"),
	line(roc.SIM, roc.V1, "sim", "1.0.0", "simuler"),
	line(roc.SIM, roc.V2, "sim", "2.0.0", "simuler"),
	line(roc.CLC, roc.V1, "clc", "1.0.0", "calculer"),
	line(roc.CLC, roc.V2, "clc", "2.0.0", "calculer"),
	line(roc.ANL, roc.V1, "anl", "1.0.0", "annuler"),
	line(roc.ANL, roc.V2, "anl", "2.0.0", "annuler"),
}

func line(s roc.Service, v roc.Version, prefix, number, local string) Operation {
	space := "urn:roc:" + prefix + ":" + number
	return Operation{
		Service: s, Version: v,
		Request: soap.Name{Space: space, Local: local}, Answer: soap.Name{Space: space, Local: local + "Reponse"},
		Action: space + ":" + local, AnswerAction: space + ":" + local + "Reponse", prefix: prefix,
	}
}

// says is what an operation does, for the developer who reads generated code.
var says = map[roc.Service]string{
	roc.Annuaire: "Cherche à l'annuaire AMC les adresses d'un organisme complémentaire.",
	roc.IDB:      "Demande à l'organisme les droits d'un bénéficiaire.",
	roc.SIM:      "Demande à l'organisme un calcul, sans engagement.",
	roc.CLC:      "Demande à l'organisme un calcul et une garantie de paiement.",
	roc.ANL:      "Annule une garantie de paiement.",
}

// Operations returns the table of profile section 1, in its order.
func Operations() []Operation {
	list := operations
	return list[:]
}

// OperationOf returns the operation whose request has that name: the QName of
// the Body's only child decides alone (profile section 1).
func OperationOf(n soap.Name) (Operation, bool) {
	for i := range operations {
		if operations[i].Request == n {
			return operations[i], true
		}
	}
	return Operation{}, false
}

// operationOf is OperationOf for the element itself: it allocates nothing.
func operationOf(n soap.Node) (Operation, bool) {
	for i := range operations {
		if n.Is(operations[i].Request.Space, operations[i].Request.Local) {
			return operations[i], true
		}
	}
	return Operation{}, false
}

// OperationFor returns the operation of a service in a version. The annuaire
// has no version.
func OperationFor(s roc.Service, v roc.Version) (Operation, bool) {
	for i := range operations {
		if operations[i].Service == s && operations[i].Version == v {
			return operations[i], true
		}
	}
	return Operation{}, false
}

// AnswerOf returns the operation whose answer has that name.
func AnswerOf(n soap.Name) (Operation, bool) {
	for i := range operations {
		if operations[i].Answer == n {
			return operations[i], true
		}
	}
	return Operation{}, false
}
