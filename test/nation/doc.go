// Package nation is a small country for a test: a PKI, an annuaire, insurers,
// establishments, and the RPN, all on free ports. It tells stories on top of
// nation:
//
//	n := nation.New(t)
//	chu := n.Etablissement(nation.UnderSurveillance("verte"))
//
//	chu.Send(roc.IDB, "verte").WantAnswer()
//	chu.Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle)
//
//	n.AMC("bleue").WantReceived(0)
//
// The RPN is the real application in process, or the real binary (Binary). Its
// log is printed when the test fails, or with -v. Nothing is left behind.
package nation
