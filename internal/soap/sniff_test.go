package soap

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

func TestAnEnvelopeIsToldFromAPage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`<s:Envelope xmlns:s="` + NS11 + `"><s:Body/></s:Envelope>`:                             true,
		"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- <html> -->\n<Envelope xmlns='" + NS12 + "'>": true,
		"<e:Envelope\n\txmlns:e=\"" + NS12 + "\"\n>":                                            true,
		"":                                 false,
		"<ok/>":                            false,
		"<html><body>503</body></html>":    false,
		"<!DOCTYPE html><html/>":           false,
		"<Envelope>":                       false,
		`<Envelope xmlns="urn:another">`:   false,
		`<EnvelopeX xmlns="` + NS12 + `">`: false,
		"text before <s:Envelope xmlns:s='" + NS11:      false,
		"<?xml version='1.0'":                           false,
		"<!-- " + `<s:Envelope xmlns:s="` + NS11 + `">`: false,
	} {
		if got := BeginsEnvelope(roc.NewContent([]byte(text))); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
