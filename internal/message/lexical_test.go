package message_test

import (
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// A lexicalReader reads one kind of message whole.
type lexicalReader struct {
	example roc.Content
	read    func(c *xmlsig.Checked) (any, error)
}

func lexicalReaders() map[string]lexicalReader {
	routed := func(c *xmlsig.Checked, whole any, err error) (any, error) { // key and sites are read by the proxy, strictly
		key, err1 := message.Key(c)
		ej, eg, err2 := message.Sites(c)
		for _, e := range []error{err, err1, err2} {
			if e != nil {
				return nil, e
			}
		}
		return []any{whole, key, ej, eg}, nil
	}
	return map[string]lexicalReader{
		"searchResponse": {exempleSearchAnswer().Envelope(soap.SOAP12), func(c *xmlsig.Checked) (any, error) { return whole(message.ReadSearchAnswer(c)) }},
		"search":         {exempleSearch().Envelope(soap.SOAP11), func(c *xmlsig.Checked) (any, error) { return whole(message.ReadSearch(c.Envelope())) }},
		"IDB": {exempleIDB().Envelope(soap.SOAP12), func(c *xmlsig.Checked) (any, error) {
			q, err := message.ReadIDB(c)
			return routed(c, q, err)
		}},
		"CLC": {exempleCLC().Envelope(soap.SOAP11), func(c *xmlsig.Checked) (any, error) {
			q, err := message.ReadCLC(c)
			return routed(c, q, err)
		}},
		"SIM": {exempleSIM(roc.V2).Envelope(soap.SOAP12), func(c *xmlsig.Checked) (any, error) {
			q, err := message.ReadSIM(c)
			return routed(c, q, err)
		}},
		"ANL": {exempleANL(roc.V1).Envelope(soap.SOAP12), func(c *xmlsig.Checked) (any, error) {
			q, err := message.ReadANL(c)
			return routed(c, q, err)
		}},
	}
}

func whole[T any](v T, err error) (any, error) { return v, err }

// baseTypes finds the type of XML Schema that each element of the profile is
// of, by its name, and patterns or enumerations left aside: xmllint applies
// those.
func baseTypes(t *testing.T) map[string]string {
	t.Helper()
	simple, elements := map[string]string{}, map[string]string{}
	files, err := fs.Glob(message.Schemas(), "*.xsd")
	if err != nil {
		t.Fatal(err)
	}
	types := regexp.MustCompile(`<xs:simpleType name="(\w+)"><xs:restriction base="xs:(\w+)"`)
	named := regexp.MustCompile(`<xs:element name="(\w+)" type="(?:xs|c|a):(\w+)"`)
	inline := regexp.MustCompile(`<xs:element name="(\w+)"[^>]*><xs:simpleType>\s*<xs:restriction base="xs:(\w+)"`)
	said := regexp.MustCompile(`<xs:annotation>.*?</xs:annotation>`)
	for pass := range 2 {
		for _, f := range files {
			b, err := fs.ReadFile(message.Schemas(), f)
			if err != nil {
				t.Fatal(err)
			}
			b = said.ReplaceAll(b, nil)
			if pass == 0 {
				for _, m := range types.FindAllStringSubmatch(string(b), -1) {
					simple[m[1]] = m[2]
				}
				continue
			}
			for _, m := range named.FindAllStringSubmatch(string(b), -1) {
				if base, ok := simple[m[2]]; ok {
					elements[m[1]] = base
				} else if m[2] == "boolean" {
					elements[m[1]] = m[2]
				}
			}
			for _, m := range inline.FindAllStringSubmatch(string(b), -1) {
				elements[m[1]] = m[2]
			}
		}
	}
	return elements
}

// A spelling is another way to write a value; same says that it is the same
// value, and blank that there is white space around it.
type spelling struct {
	text        string
	same, blank bool
}

// spellings generates the lexical space of a type around a value.
func spellings(base, v string) []spelling {
	list := []spelling{
		{" " + v + " ", true, true}, {"\n\t" + v + "\r\n", true, true}, {"&#13;&#10;" + v, true, true}, {"&#x20;" + v + "&#9;", true, true},
		{"<![CDATA[" + v + "]]>", true, false}, {fmt.Sprintf("&#%d;", v[0]) + v[1:], true, false},
		{"", false, false}, {v + v, false, false}, {"x", false, false}, {"\u00a0" + v, false, false},
	}
	add := func(same bool, texts ...string) {
		for _, s := range texts {
			list = append(list, spelling{s, same, false})
		}
	}
	switch base {
	case "date":
		add(true, v+"Z", v+"+01:00", v+"-14:00", v+"+14:00", v+"-00:00")
		add(false, "2024-02-29", "2026-02-29", "0001-01-01", "9999-12-31Z", "-0044-03-15", "12026-01-01", "20260101", v+"T00:00:00", v+"+15:00")
		list = append(list, spelling{"\r\n" + v + "+01:00\r\n", true, true})
	case "dateTime":
		add(false, "2026-11-21T09:29:58", "2026-11-21T09:29:58Z", "2026-11-21T09:29:58.123456789012+14:00", "2026-11-21T24:00:00", "2026-11-21T24:00:01", "2026-11-21T09:29:58,5Z", "2026-11-21", "-0044-03-15T12:00:00")
	case "boolean":
		add(false, "true", "false", "1", "0", "TRUE", "oui", "01")
		list = append(list, spelling{" 0 ", false, true})
	case "int":
		add(true, "+"+v, "00"+v)
		add(false, "-"+v, "-0", "1.0", "1e1", "99999999999", "0x1", "3")
	case "decimal":
		add(false, "60", "60.5", "0.00", "000060.00", "+60.00", "-60.00", ".5", "5.", "60,00", "123456789.12", "1234567890")
	}
	return list
}

var leaf = regexp.MustCompile(`<(\w+)>([^<>&]+)</\w+>`)

// What is valid by the published schemas is read: values are generated from
// the type of each field, xmllint says which are valid. White space around a
// date is read too: XML Schema collapses it, libxml2 does not.
func TestEveryReaderTakesTheLexicalSpaceOfThePublishedTypes(t *testing.T) {
	t.Parallel()
	types := baseTypes(t)
	for name, r := range lexicalReaders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := string(r.example.Bytes())
			want, err := r.read(checked(t, r.example))
			if err != nil {
				t.Fatal(err)
			}
			var messages []roc.Content
			var of []string
			var ways []spelling
			body := strings.Index(text, "Body")
			for _, at := range leaf.FindAllStringSubmatchIndex(text, -1) {
				if at[0] < body {
					continue
				}
				field, value := text[at[2]:at[3]], text[at[4]:at[5]]
				base, ok := types[field]
				if !ok {
					t.Fatalf("no type is found for %s", field)
				}
				for _, s := range spellings(base, value) {
					messages = append(messages, roc.NewContent([]byte(text[:at[4]]+s.text+text[at[5]:])))
					of, ways = append(of, field+" (xs:"+base+")"), append(ways, s)
				}
			}
			read := 0
			for i, valid := range messagetest.Which(t, messages) {
				isDate := strings.Contains(of[i], "xs:date")
				if !valid && !(isDate && ways[i].blank && ways[i].same) {
					continue
				}
				got, err := r.read(checked(t, messages[i]))
				if err != nil {
					t.Errorf("%s %q: valid, and refused: %v", of[i], ways[i].text, err)
					continue
				}
				read++
				if ways[i].same && !reflect.DeepEqual(got, want) {
					t.Errorf("%s %q: read as another value\n%+v\n%+v", of[i], ways[i].text, got, want)
				}
			}
			t.Logf("%d of %d spellings are valid and read", read, len(messages))
			if read < len(messages)/3 {
				t.Errorf("only %d of %d spellings were valid: the generator proves nothing", read, len(messages))
			}
		})
	}
}

// The answer of a Java annuaire: dates with a zone, a boolean between spaces.
func TestAnAnswerOfAJavaAnnuaireIsRead(t *testing.T) {
	t.Parallel()
	text := string(exempleSearchAnswer().Envelope(soap.SOAP12).Bytes())
	for old, now := range map[string]string{
		"<debut>2026-01-01</debut>": "<debut>2026-01-01Z</debut>", "<fin>2026-12-31</fin>": "<fin>\r\n 2026-12-31+01:00\r\n</fin>", "<roc>true</roc>": "<roc> true </roc>",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("the example does not hold %s", old)
		}
		text = strings.Replace(text, old, now, 1)
	}
	a, err := message.ReadSearchAnswer(checked(t, roc.NewContent([]byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Debut.Format(time.DateOnly) + " " + a.Fin.Format(time.DateOnly) + " " + fmt.Sprint(a.ROC); got != "2026-01-01 2026-12-31 true" {
		t.Errorf("read as %s", got)
	}
}
