package message_test

import (
	"mime"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// What is written is what was parsed, in one form.
func TestContentTypeIsParsedOnceAndWrittenAgain(t *testing.T) {
	t.Parallel()
	const idb = "urn:roc:idb:1.0.0:interroger"
	for in, want := range map[string]string{ // as real clients write it
		"text/xml":                      "text/xml",
		"text/xml; charset=utf-8":       "text/xml; charset=utf-8",
		"text/xml;charset=UTF-8":        "text/xml; charset=utf-8",
		"Text/XML ;\tcharset=\"UTF-8\"": "text/xml; charset=utf-8",
		"text/xml; charset=utf8":        "text/xml; charset=utf-8",
		"text/xml; charset=us-ascii":    "text/xml; charset=us-ascii",
		"text/xml;":                     "text/xml",
		"application/soap+xml; charset=utf-8; action=\"" + idb + "\"":  "application/soap+xml; charset=utf-8; action=\"" + idb + "\"",
		"application/soap+xml; action=\"" + idb + "\"; charset=utf-8":  "application/soap+xml; charset=utf-8; action=\"" + idb + "\"",
		"application/soap+xml; charset=utf-8; action=" + idb:           "application/soap+xml; charset=utf-8; action=\"" + idb + "\"",
		"application/soap+xml;action=https://ws.annuaireamc.fr/search": "application/soap+xml; action=\"https://ws.annuaireamc.fr/search\"",
		"application/soap+xml; action=\"\"":                            "application/soap+xml; action=\"\"",
	} {
		c, err := message.ParseContentType(in)
		if err != nil || c.String() != want {
			t.Errorf("%q: %q %v, want %q", in, c, err, want)
		}
	}
}

// Each of these hides an action from one reader and shows it to another, or
// says what the message is not.
func TestAContentTypeThatTwoCouldReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	const annuler = "urn:roc:anl:1.0.0:annuler"
	for _, in := range []string{
		"", ";", "application/json", "text/xml, text/xml", "text/xml charset=utf-8", "multipart/related; boundary=b",
		`application/soap+xml; transaction="` + annuler + `"`, // CXF looks for "action="
		`application/soap+xml; x="action=` + annuler + `"`,
		`application/soap+xml; charset="utf-8; action=` + annuler + `"`,
		`application/soap+xml; action*=utf-8''` + annuler, `application/soap+xml; action*0="urn:"; action*1="x"`,
		"text/xml; charset*=utf-8''utf-8", "text/xml; charset=utf-8; charset=utf-8", "text/xml; charset=utf-8; Charset=us-ascii",
		`application/soap+xml; action="a"; action="b"`, `application/soap+xml; action="a"; ACTION=b`,
		`application/soap+xml; action="a`, `application/soap+xml; action="a\"b"`, `application/soap+xml; action='a b'`,
		`application/soap+xml; action="a" action="b"`, `application/soap+xml; action="a"x`, "application/soap+xml; action=", "application/soap+xml; action",
		"application/soap+xml; action =a", "application/soap+xml; action= a", "application/soap+xml; =a",
		"text/xml; charset=iso-8859-1", "text/xml; charset=utf-16", "text/xml; charset=utf-8,", "text/xml; charset='utf-8'",
		"text/xml; charset=utf-8\x00", "text/xml; charset=utf-8\r\nX: y", "text/xml; action=\"é\"", "text/xml; type=\"text/xml\"",
		"text/xml;" + strings.Repeat(" ", 1000),
	} {
		c, err := message.ParseContentType(in)
		if !roc.IsRefused(err, roc.NotSOAP) {
			t.Errorf("%q: read as %q, %v; want a refusal as not-soap", in, c, err)
		} else if roc.RefusalOf(err).Detail == "" {
			t.Errorf("%q: the refusal says nothing to the caller", in)
		}
	}
}

func TestTheMediaTypeGoesWithTheEnvelope(t *testing.T) {
	t.Parallel()
	soap12 := idbWith("")
	soap11 := strings.Replace(soap12, soap.NS12, soap.NS11, 1)
	for _, c := range []struct {
		contentType, message string
		ok                   bool
	}{
		{"text/xml", soap11, true},
		{"application/soap+xml", soap12, true},
		{"text/xml", soap12, false},
		{"application/soap+xml", soap11, false},
		{"text/xml; charset=us-ascii", soap11, true},
		{"text/xml; charset=us-ascii", strings.Replace(soap11, "<s:Header>", "<s:Header><!-- é -->", 1), false},
		{"text/xml; charset=utf-8", strings.Replace(soap11, "<s:Header>", "<s:Header><!-- é -->", 1), true},
	} {
		_, err := checkActions(read(t, c.message), c.contentType, "")
		if c.ok && err != nil || !c.ok && !roc.IsRefused(err, roc.NotSOAP) {
			t.Errorf("%s around %.60s: %v", c.contentType, c.message, err)
		}
	}
}

func TestSOAPActionIsWrittenAsItWasParsed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{`""`: `""`, "": "", ` "a:b" `: `"a:b"`, "a:b": "a:b"} {
		a, err := message.ParseSOAPAction(in, true)
		if got, there := a.Header(); err != nil || !there || got != want {
			t.Errorf("%q: %q %v %v, want %q", in, got, there, err, want)
		}
	}
	if _, there := (message.SOAPAction{}).Header(); there {
		t.Error("no SOAPAction came, and one leaves")
	}
	for _, in := range []string{`"a`, `a"`, `"a" "b"`, `"a", "b"`, "a b", "a;b", "a,b", "é", `"a\b"`, "\"\x00\""} {
		if a, err := message.ParseSOAPAction(in, true); !roc.IsRefused(err, roc.UnknownOperation) {
			t.Errorf("%q was read as %+v, %v", in, a, err)
		}
	}
}

// FuzzContentType: what is parsed is, written again, parsed as the same; and it
// says to a reader by the RFCs, and to one that looks for "action=" (CXF), the
// one action that was compared.
func FuzzContentType(f *testing.F) {
	for _, s := range []string{
		"text/xml; charset=utf-8", `application/soap+xml; charset=utf-8; action="urn:roc:idb:1.0.0:interroger"`, "application/soap+xml;action=urn:x;;",
		`application/soap+xml; transaction="a"`, `text/xml; charset*=utf-8''a`, `text/xml; charset="utf-8; action=a"`, `text/xml; action="a=action="`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		c, err := message.ParseContentType(in)
		if err != nil {
			return
		}
		out := c.String()
		again, err := message.ParseContentType(out)
		if err != nil || again != c {
			t.Fatalf("%q is written %q, read as %+v %v", in, out, again, err)
		}
		media, p, err := mime.ParseMediaType(out)
		if err != nil || len(p) > 2 || (media == "text/xml") != (c.Version == soap.SOAP11) {
			t.Fatalf("%q is to the mime package %q %v %v", out, media, p, err)
		}
		wantParsed, wp, err := mime.ParseMediaType(in)
		if err == nil && (wantParsed != media || strings.TrimSpace(wp["action"]) != strings.TrimSpace(p["action"])) {
			t.Fatalf("%q says %q %v, what leaves %q %v", in, wantParsed, wp, media, p)
		}
		_, after, _ := strings.Cut(out, "action=")
		if value, _, _ := strings.Cut(strings.TrimPrefix(after, `"`), `"`); value != p["action"] {
			t.Fatalf("%q: to who looks for action= it is %q, to the mime package %q", out, value, p["action"])
		}
	})
}
