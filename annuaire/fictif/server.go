package fictif

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// Options are what a Server needs. Rows and Key are required.
type Options struct {
	Rows *Rows
	Key  xmlsig.Key       // signs the answers
	Now  func() time.Time // default: time.Now
}

// A Server is the fictitious annuaire: an http.Handler for any path. It
// answers in the version of SOAP of the question. It is safe for concurrent
// use, and its rows and faults may be changed while it serves.
type Server struct {
	key   xmlsig.Key
	now   func() time.Time
	rows  atomic.Pointer[Rows]
	fault atomic.Int64
	delay atomic.Int64

	questions atomic.Uint64
}

// NewServer makes a Server.
func NewServer(o Options) (*Server, error) {
	if o.Rows == nil || o.Key.Certificate == nil || o.Key.Signer == nil {
		return nil, errors.New("the fictitious annuaire needs its rows and its signing key")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{key: o.Key, now: o.Now}
	s.rows.Store(o.Rows)
	return s, nil
}

// Use replaces the rows, all at once.
func (s *Server) Use(r *Rows) { s.rows.Store(r) }

// Questions returns how many searches were read since the start, those that a
// fault left without an answer included.
func (s *Server) Questions() uint64 { return s.questions.Load() }

// ServeHTTP answers one search.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST a SOAP search", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(soap.DefaultLimits.Bytes)))
	if err != nil {
		http.Error(w, "the question is too large or was cut short", http.StatusBadRequest)
		return
	}
	env, err := soap.Read(roc.NewContent(body), soap.DefaultLimits)
	if err != nil {
		s.refuse(w, soap.VersionFor(r.Header.Get("Content-Type"), body), err)
		return
	}
	defer env.Release()
	search, err := s.read(env, r)
	if err != nil {
		s.refuse(w, env.Version(), err)
		return
	}
	s.questions.Add(1)
	s.answer(w, r, env, search)
}

func (s *Server) read(env *soap.Envelope, r *http.Request) (message.SearchRequest, error) {
	if _, err := message.CheckHeaders(env, r.Header); err != nil {
		return message.SearchRequest{}, err
	}
	search, err := message.ReadSearch(env)
	var field *message.FieldError
	if errors.As(err, &field) {
		return search, roc.Refuse(roc.BadKey, "field %s", field.Field).Because(roc.FieldMalformed).Saying("Champ %s : %s.", field.Field, field.Problem)
	}
	return search, err
}

// answer answers a search, with the fault of the moment.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, env *soap.Envelope, search message.SearchRequest) {
	f := Fault(s.fault.Load())
	if !s.wait(r) || f.instead(w, r) {
		return
	}
	if f == SOAPFault {
		s.refuse(w, env.Version(), roc.Refuse(roc.Internal, "told to").Because(roc.ProgramFault))
		return
	}
	now := s.now()
	a := s.rows.Load().Answer(search, now)
	a.Addressing = relatesTo(env)
	f.spoil(&a, now)
	m, err := s.sign(a.Envelope(env.Version()), f, now)
	if err != nil {
		s.refuse(w, env.Version(), err)
		return
	}
	w.Header().Set("Content-Type", env.Version().ContentType())
	if f != Huge {
		w.Header().Set("Content-Length", strconv.Itoa(len(m)))
	}
	f.write(w, m)
}

// relatesTo answers the WS-Addressing headers of a question that has some.
func relatesTo(env *soap.Envelope) *message.Addressing {
	asked, ok := message.AddressingOf(env)
	if !ok {
		return nil
	}
	return &message.Addressing{RelatesTo: asked.MessageID}
}

func (s *Server) sign(m roc.Content, f Fault, now time.Time) ([]byte, error) {
	switch f {
	case Unsigned:
		return m.Bytes(), nil
	case Stale:
		now = now.Add(-time.Hour)
	}
	signed, err := xmlsig.Sign(m, s.key, xmlsig.SignOptions{At: now})
	if err != nil {
		return nil, err
	}
	if f == BadSignature {
		return tamper(signed.Bytes()), nil
	}
	return signed.Bytes(), nil
}

// wait is the slowness; false when the caller left meanwhile.
func (s *Server) wait(r *http.Request) bool {
	d := time.Duration(s.delay.Load())
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// refuse answers a question that cannot be read, with a fault.
func (s *Server) refuse(w http.ResponseWriter, v soap.Version, err error) {
	m := soap.Fault(v, roc.NewExchangeID(s.now()), roc.RefusalOf(err))
	w.Header().Set("Content-Type", v.ContentType())
	w.WriteHeader(http.StatusInternalServerError)
	w.Write(m.Bytes())
}
