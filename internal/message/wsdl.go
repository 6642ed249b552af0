package message

import (
	"bytes"
	"embed"
	"io/fs"
	"strings"
	"sync/atomic"
	"text/template"

	"github.com/piano-roc/rpn/internal/roc"
)

//go:embed wsdl
var wsdlFiles embed.FS

// schemaNames are the schemas of the profile, each after those it imports.
var schemaNames = func() []string {
	list := []string{"commun.xsd", "erreur.xsd", "annuaire.xsd"}
	for _, op := range operations[1:] { // urn:roc:idb:1.0.0 is in idb-1.0.0.xsd
		list = append(list, strings.ReplaceAll(strings.TrimPrefix(op.Request.Space, "urn:roc:"), ":", "-")+".xsd")
	}
	return list
}()

// Schemas returns the XSDs of the profile, by the names of Document.
func Schemas() fs.FS {
	sub, err := fs.Sub(wsdlFiles, "wsdl")
	if err != nil {
		panic("message: " + err.Error())
	}
	return sub
}

// Descriptions are the documents of GET /roc?wsdl and GET /roc?xsd=NAME, made
// once: answering one costs no more than writing its bytes, which are shared
// and must not be changed. Safe for concurrent use.
type Descriptions struct {
	schemas map[string][]byte
	parts   [][]byte // of the WSDL: the address of the service stands between them
	last    atomic.Pointer[wsdlAt]
}

// wsdlAt is the WSDL with one address in it.
type wsdlAt struct {
	endpoint string
	body     []byte
}

// NewDescriptions makes the documents.
func NewDescriptions() *Descriptions {
	const address = "urn:rpn:address"
	d := &Descriptions{schemas: map[string][]byte{}, parts: bytes.Split(WSDL(address), []byte(address))}
	for _, name := range schemaNames {
		d.schemas[name] = schema(name)
	}
	return d
}

// Find returns what a raw query asks for. endpoint is the address that callers
// are to post to, as it stands in the WSDL. ok is false when the query asks for
// neither.
func (d *Descriptions) Find(query, endpoint string) (body []byte, contentType string, ok bool) {
	const xml = "text/xml; charset=utf-8"
	if strings.EqualFold(query, "wsdl") {
		return d.wsdl(endpoint), xml, true
	}
	name, ok := strings.CutPrefix(query, "xsd=")
	body, known := d.schemas[name]
	return body, xml, ok && known
}

// wsdl keeps the last one: a caller that names ever new ports has it put
// together again, and makes nothing grow.
func (d *Descriptions) wsdl(endpoint string) []byte {
	if w := d.last.Load(); w != nil && w.endpoint == endpoint {
		return w.body
	}
	w := &wsdlAt{endpoint, bytes.Join(d.parts, []byte(escaped(endpoint)))}
	d.last.Store(w)
	return w.body
}

// wsdlService is one service of the WSDL: one operation of the table.
type wsdlService struct {
	Name, Prefix, Space, Request, Answer, Action string
}

type wsdlBinding struct{ Suffix, Prefix string }

// WSDL writes the WSDL of the profile, with that address in every port and the
// schemas inside: one file is all a client needs.
//
// Service and portType are RocIdbV1, RocIdbV2, ..., Annuaire; each has the
// ports RocIdbV1Soap11 and RocIdbV1Soap12. V1 and V2 use the same local names
// in two namespaces, so they are two services.
func WSDL(endpoint string) []byte {
	data := struct {
		Endpoint string
		Services []wsdlService
		Bindings []wsdlBinding
		Schemas  []string
	}{
		Endpoint: escaped(endpoint),
		Bindings: []wsdlBinding{{"Soap11", "soap11"}, {"Soap12", "soap12"}},
	}
	for _, op := range operations {
		data.Services = append(data.Services, wsdlServiceOf(op))
	}
	for _, name := range schemaNames {
		data.Schemas = append(data.Schemas, inlined(schema(name)))
	}
	tmpl := template.Must(template.ParseFS(wsdlFiles, "wsdl/rpn-roc.wsdl.tmpl"))
	var b bytes.Buffer
	if err := tmpl.Execute(&b, data); err != nil {
		panic("message: " + err.Error()) // a mistake in the embedded template
	}
	return b.Bytes()
}

func wsdlServiceOf(op Operation) wsdlService {
	s := wsdlService{
		Name: "Annuaire", Prefix: "ann", Space: op.Request.Space,
		Request: op.Request.Local, Answer: op.Answer.Local, Action: op.Action,
	}
	if op.Service != roc.Annuaire {
		code := op.Service.String()
		s.Name = "Roc" + code[:1] + strings.ToLower(code[1:]) + op.Version.String()
		s.Prefix = strings.ToLower(code + op.Version.String()[1:])
	}
	return s
}

func schema(name string) []byte {
	b, err := wsdlFiles.ReadFile("wsdl/" + name)
	if err != nil {
		panic("message: " + err.Error()) // a name of schemaNames that is not embedded
	}
	return b
}

// inlined prepares a schema for wsdl:types: without its XML declaration, and
// importing by namespace alone, because the imported schema is in the same
// wsdl:types.
func inlined(xsd []byte) string {
	_, s, _ := strings.Cut(string(xsd), "?>\n")
	for _, name := range schemaNames {
		s = strings.ReplaceAll(s, ` schemaLocation="`+name+`"`, "")
	}
	return strings.TrimSuffix(s, "\n")
}

func escaped(s string) string {
	w := &writer{}
	w.text(s)
	return string(w.b)
}
