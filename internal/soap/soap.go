package soap

import "github.com/piano-roc/rpn/internal/roc"

type Version uint8

const (
	SOAP11 Version = iota + 1
	SOAP12
)

type Name struct{ Space, Local string }
type Limits struct{ Bytes, Depth, Attributes, Declarations, NameBytes, Elements int }

var DefaultLimits = Limits{Bytes: 2 << 20, Depth: 64, Attributes: 64, Declarations: 32, NameBytes: 256, Elements: 50_000}

type Envelope struct{ c roc.Content }
type Node struct{ e *Envelope }

const (
	NS11   = "http://schemas.xmlsoap.org/soap/envelope/"
	NS12   = "http://www.w3.org/2003/05/soap-envelope"
	NSWSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	NSWSU  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	NSDS   = "http://www.w3.org/2000/09/xmldsig#"
	NSWSA  = "http://www.w3.org/2005/08/addressing"
	NSEC   = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

func (v Version) Namespace() string                                  { panic("stub") }
func (v Version) ContentType() string                                { panic("stub") }
func Read(c roc.Content, lim Limits) (*Envelope, error)              { panic("stub") }
func (e *Envelope) Content() roc.Content                             { panic("stub") }
func (e *Envelope) Version() Version                                 { panic("stub") }
func (e *Envelope) Operation() Name                                  { panic("stub") }
func (e *Envelope) Header() Node                                     { panic("stub") }
func (e *Envelope) Body() Node                                       { panic("stub") }
func (n Node) IsZero() bool                                          { panic("stub") }
func (n Node) Name() Name                                            { panic("stub") }
func (n Node) Is(space, local string) bool                           { panic("stub") }
func (n Node) First() Node                                           { panic("stub") }
func (n Node) Next() Node                                            { panic("stub") }
func (n Node) Child(space, local string) Node                        { panic("stub") }
func (n Node) Path(locals ...string) Node                            { panic("stub") }
func (n Node) Text() (string, bool)                                  { panic("stub") }
func (n Node) Attr(space, local string) (string, bool)               { panic("stub") }
func Fault(v Version, id roc.ExchangeID, r *roc.Refusal) roc.Content { panic("stub") }
func VersionFor(contentType string, b []byte) Version                { panic("stub") }
