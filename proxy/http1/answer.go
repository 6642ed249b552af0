package http1

import (
	"github.com/valyala/fasthttp"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Answer is what goes back to the caller. Its length and the end of its
// connection are written by the Server.
type Answer struct {
	Status      int
	ContentType string // "": none
	Fields      Fields // the others, in order; those without a value are left out
	Body        roc.Content
}

// write gives the answer to fasthttp. The body is not copied: it belongs to
// the answer until it is written.
func (a *Answer) write(r *fasthttp.Response) {
	r.SetStatusCode(a.Status)
	if a.ContentType != "" {
		r.Header.SetContentType(a.ContentType)
	}
	for i := range a.Fields {
		if f := &a.Fields[i]; f.Value != "" {
			r.Header.SetCanonical([]byte(f.Name), []byte(f.Value))
		}
	}
	r.SetBodyRaw(a.Body.Bytes())
}
