package register

import (
	"net/url"
	"strings"

	"github.com/piano-roc/rpn/internal/strict"
)

// checkAlertes refuses an alert that nobody could get. amcsKnown says whether its
// AMCs can be checked.
func checkAlertes(l *List, doc *strict.Document, alertes []Alerte, amcsKnown bool, path ...any) {
	for j, a := range alertes {
		at := append(path[:len(path):len(path)], "alertes", j)
		switch {
		case (a.Courriel == "") == (a.Webhook == ""):
			doc.Refuse(doc.At(at...), "write `courriel: ...` or `webhook: https://...`: two ways are two alerts", "an alert has one way to be told")
		case a.Courriel != "" && !IsCourriel(a.Courriel):
			doc.Refuse(doc.At(append(at, "courriel")...), "write it like astreinte@chu.example", "%.60q is not an e-mail address", a.Courriel)
		case a.Webhook != "" && !IsWebhook(a.Webhook):
			doc.RefuseSecret(doc.At(append(at, "webhook")...), "write it like https://chu.example/rpn, without a user name", "this is not an https address")
		}
		refuseTwice(doc, a.Organismes, itself, "AMC", append(at[:len(at):len(at)], "organismes")...)
		for k, n := range a.Organismes {
			where := append(at[:len(at):len(at)], "organismes", k)
			if path[0] == "amcs" {
				doc.Refuse(doc.At(where...), "remove organismes", "an AMC is told of itself")
				break
			}
			if _, ok := l.AMC(n); amcsKnown && n != "" && !ok {
				doc.Refuse(doc.At(where...), "add that AMC to the list of AMCs, or correct the number", "no AMC has the number %s", n)
			}
		}
	}
	refuseTwice(doc, alertes, func(a Alerte) string { return a.Courriel + a.Webhook }, "alert", append(path[:len(path):len(path)], "alertes")...)
}

// IsWebhook reports whether a text is an address that may be called: https, a
// host, nobody's name.
func IsWebhook(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 500 && !strings.ContainsRune(s, ' ') && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.Fragment == "" && u.Opaque == ""
}
