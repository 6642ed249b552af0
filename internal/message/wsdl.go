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
	wsdls   map[WSDLForm]*wsdlParts
}

// wsdlParts is the text of one WSDL: the address of the service stands between
// the parts.
type wsdlParts struct {
	parts [][]byte
	last  atomic.Pointer[wsdlAt]
}

// wsdlAt is the WSDL with one address in it.
type wsdlAt struct {
	endpoint string
	body     []byte
}

// NewDescriptions makes the documents.
func NewDescriptions() *Descriptions {
	const address = "urn:rpn:address"
	d := &Descriptions{schemas: map[string][]byte{}, wsdls: map[WSDLForm]*wsdlParts{}}
	for _, f := range WSDLForms() {
		d.wsdls[f] = &wsdlParts{parts: bytes.Split(WSDL(f, address), []byte(address))}
	}
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
	if form, ok := wsdlFormOf(query); ok {
		return d.wsdls[form].at(endpoint), xml, true
	}
	name, ok := strings.CutPrefix(query, "xsd=")
	body, known := d.schemas[name]
	return body, xml, ok && known
}

// at keeps the last one: a caller that names ever new ports has it put
// together again, and makes nothing grow.
func (d *wsdlParts) at(endpoint string) []byte {
	if w := d.last.Load(); w != nil && w.endpoint == endpoint {
		return w.body
	}
	w := &wsdlAt{endpoint, bytes.Join(d.parts, []byte(escaped(endpoint)))}
	d.last.Store(w)
	return w.body
}

// A WSDLForm is one of the WSDLs of the profile. The zero form has every service.
type WSDLForm struct {
	Version roc.Version // of its services, beside the annuaire; NoVersion: both
	SOAP11  bool        // without the ports of SOAP 1.2, for what cannot read them
}

// WSDLForms are all of them.
func WSDLForms() []WSDLForm {
	var all []WSDLForm
	for _, v := range []roc.Version{roc.NoVersion, roc.V1, roc.V2} {
		all = append(all, WSDLForm{v, false}, WSDLForm{v, true})
	}
	return all
}

// Query is what is asked to get it: "wsdl", "wsdl=v1", "wsdl=v2&soap=1.1".
func (f WSDLForm) Query() string {
	q := "wsdl"
	if f.Version != roc.NoVersion {
		q += "=" + strings.ToLower(f.Version.String())
	}
	if f.SOAP11 {
		q += "&soap=1.1"
	}
	return q
}

// File is its name as a file: "rpn-roc.wsdl", "rpn-roc-v2-soap11.wsdl".
func (f WSDLForm) File() string {
	name := "rpn-roc"
	if f.Version != roc.NoVersion {
		name += "-" + strings.ToLower(f.Version.String())
	}
	if f.SOAP11 {
		name += "-soap11"
	}
	return name + ".wsdl"
}

func wsdlFormOf(query string) (WSDLForm, bool) {
	for _, f := range WSDLForms() {
		if strings.EqualFold(query, f.Query()) {
			return f, true
		}
	}
	return WSDLForm{}, false
}

// wsdlService is one service of the WSDL: one operation of the table.
type wsdlService struct {
	Name, Operation, Says, Prefix, Space, Request, Answer, Action string
}

type wsdlBinding struct{ Suffix, Prefix string }

// WSDL writes a WSDL of the profile, with that address in every port and the
// schemas inside: one file is all a client needs.
//
// Service and portType are RocIdbV1, RocIdbV2, ..., Annuaire; each has the
// ports RocIdbV1Soap11 and RocIdbV1Soap12. V1 and V2 use the same local names
// in two namespaces, so they are two services; where both are in one file their
// operations are interrogerV1 and interrogerV2, so that a client that looks for
// an operation without its service cannot take one for the other.
func WSDL(form WSDLForm, endpoint string) []byte {
	data := struct {
		WSDLForm
		Endpoint string
		Services []wsdlService
		Bindings []wsdlBinding
		Schemas  []string
	}{
		WSDLForm: form,
		Endpoint: escaped(endpoint),
		Bindings: []wsdlBinding{{"Soap11", "soap11"}},
	}
	if !form.SOAP11 {
		data.Bindings = append(data.Bindings, wsdlBinding{"Soap12", "soap12"})
	}
	for _, op := range operations {
		if op.Service == roc.Annuaire || form.Version == roc.NoVersion || op.Version == form.Version {
			data.Services = append(data.Services, wsdlServiceOf(op, form.Version == roc.NoVersion))
		}
	}
	for _, name := range schemaNames {
		if _, number, versioned := strings.Cut(name, "-"); form.Version == roc.NoVersion || !versioned || strings.HasPrefix(number, form.Version.String()[1:]) {
			data.Schemas = append(data.Schemas, inlined(schema(name)))
		}
	}
	tmpl := template.Must(template.ParseFS(wsdlFiles, "wsdl/rpn-roc.wsdl.tmpl"))
	var b bytes.Buffer
	if err := tmpl.Execute(&b, data); err != nil {
		panic("message: " + err.Error()) // a mistake in the embedded template
	}
	return b.Bytes()
}

func wsdlServiceOf(op Operation, both bool) wsdlService {
	s := wsdlService{
		Name: "Annuaire", Operation: op.Request.Local, Says: says[op.Service], Prefix: "ann", Space: op.Request.Space,
		Request: op.Request.Local, Answer: op.Answer.Local, Action: op.Action,
	}
	if op.Service != roc.Annuaire {
		code := op.Service.String()
		s.Name = "Roc" + code[:1] + strings.ToLower(code[1:]) + op.Version.String()
		s.Says = code + " " + op.Version.String() + ". " + s.Says
		s.Prefix = strings.ToLower(code + op.Version.String()[1:])
		if both {
			s.Operation += op.Version.String()
		}
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
