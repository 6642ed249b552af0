package mutuelle

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A cut is where the connection is dropped, on purpose.
type cut uint8

const (
	notCut cut = iota
	cutBeforeAnswer
	cutInBody
)

// A reply is one HTTP answer. Its body may be a message: it is never printed.
type reply struct {
	status      int
	contentType string
	body        []byte
	cut         cut
}

func ok(v soap.Version, c roc.Content) reply {
	return reply{status: http.StatusOK, contentType: v.ContentType(), body: c.Bytes()}
}

// write sends the reply. To simulate a cut, it panics with ErrAbortHandler:
// net/http then drops the connection.
func (r reply) write(w http.ResponseWriter) {
	if r.cut == cutBeforeAnswer {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", r.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	w.WriteHeader(r.status)
	if r.cut == cutInBody {
		w.Write(r.body[:len(r.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(r.body)
}

// spoil adds to a signed answer the faults that occur after signing.
func spoil(r reply, p panne, big int) reply {
	switch p {
	case cutShort:
		r.cut = cutInBody
	case alteredAnswer:
		r.body = bytes.Replace(r.body, []byte("<LibelleCR>"), []byte("<LibelleCR>Altéré : "), 1)
	case bigAnswer:
		// White space after the root element: still the same signed message.
		r.body = append(bytes.Clone(r.body), bytes.Repeat([]byte("\n"), big)...)
	}
	return r
}

const htmlPage = `<!DOCTYPE html><html lang="fr"><title>503</title><p>Service indisponible (page d'un équipement, pas du service).</p></html>
`
