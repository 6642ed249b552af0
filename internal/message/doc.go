// Package message alone knows the shape of the bodies: the RPN-ROC profile,
// version 1 (docs/profile.md). The real ROC schemas are not public; on the day
// they are obtained, this package changes and no other.
//
// It holds the table of operations, the routing key read from a checked
// message, the builders and readers of every request and answer of the profile
// (for the fictitious insurer, the annuaire, the demo and the tests; the proxy
// needs none of them), and the WSDL with its schemas.
package message
