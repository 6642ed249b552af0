package nation

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// An Etablissement is a character with its certificates and its connection to
// the RPN.
type Etablissement struct {
	Character
	TLS       igc.Pair // what it connects with
	Signature igc.Pair // what it signs with

	n      *Nation
	client *http.Client
	lines  *lines
}

// lines counts connections.
type lines struct {
	opened, ended atomic.Int64
	from          net.IP // nil: the system chooses
}

// dial opens one that is counted.
func (l *lines) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := new(net.Dialer)
	if l.from != nil {
		d.LocalAddr = &net.TCPAddr{IP: l.from}
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.opened.Add(1)
	return &line{c, sync.OnceFunc(func() { l.ended.Add(1) })}, nil
}

type line struct {
	net.Conn
	ended func()
}

// Close is also how net/http takes the end of a connection by its peer.
func (l *line) Close() error {
	l.ended()
	return l.Conn.Close()
}

// ComesFrom has the connections of the establishment leave from an address of
// this machine. It is called before the first.
func (e *Etablissement) ComesFrom(address string) { e.lines.from = net.ParseIP(address) }

// Opened is how many connections the establishment has opened so far.
func (e *Etablissement) Opened() int { return int(e.lines.opened.Load()) }

// Open is how many of them have not ended.
func (e *Etablissement) Open() int { return e.Opened() - int(e.lines.ended.Load()) }

// maxAnswer bounds what an establishment reads, in bytes.
const maxAnswer = 16 << 20

// newClient makes the connection of a caller that shows that certificate. It
// trusts the nation's authorities, and keeps its connection.
func (n *Nation) newClient(p igc.Pair, l *lines) *http.Client {
	certificate := p.TLS()
	config := &tls.Config{
		// It is shown whatever authorities the RPN names, else crypto/tls would
		// hold a stranger's back, and the RPN would see no certificate at all.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil },
		RootCAs:              n.PKI.Pool(igc.EtablissementTLS),
		Time:                 n.now,
	}
	return &http.Client{
		Timeout:       time.Minute,
		Transport:     &http.Transport{DialContext: l.dial, TLSClientConfig: config, MaxIdleConnsPerHost: 64, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send sends one message to an AMC, given by its ID ("bleue") or its number,
// and returns what came of it.
func (e *Etablissement) Send(ctx context.Context, s roc.Service, v roc.Version, sv soap.Version, amc string, mutations ...Mutation) Outcome {
	number := roc.NumeroAMC(amc)
	if i, ok := e.n.insurer(amc); ok {
		number = i.Numero
	}
	d := e.draft(s, v, sv, number)
	for _, m := range mutations {
		m(d)
	}
	m, err := d.envelope()
	if err != nil {
		return Outcome{Err: fmt.Errorf("sign: %w", err)}
	}
	return e.Post(ctx, d, m)
}

// Post sends these bytes as the draft says, and returns what came of it.
func (e *Etablissement) Post(ctx context.Context, d *Draft, m roc.Content) Outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.n.URL()+d.Path, bytes.NewReader(m.Bytes()))
	if err != nil {
		return Outcome{Err: err}
	}
	d.setHeaders(req.Header)
	// A kept connection that the RPN cuts while we write (a reload looks at every
	// peer again) ends without an answer: net/http then asks again on a new one,
	// as a GAP does. A key without a value is not sent.
	if !d.Once {
		req.Header["X-Idempotency-Key"] = nil
	}
	start := time.Now() // what the caller waits; the nation's clock may stand still
	resp, err := e.client.Do(req)
	if !d.Once && (errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE)) {
		// Cut in the middle of the body: net/http takes a write that failed there
		// for a fault of the body (transferWriter.doBodyCopy), and does not ask again.
		req.Body = io.NopCloser(bytes.NewReader(m.Bytes()))
		resp, err = e.client.Do(req)
	}
	if err != nil {
		return Outcome{Err: err, Took: time.Since(start)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	o := Outcome{Err: err, Status: resp.StatusCode, Header: resp.Header, Sent: m, Body: roc.NewContent(body), Took: time.Since(start)}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		o.Server = resp.TLS.PeerCertificates[0]
	}
	o.read()
	return o
}

// setHeaders writes what the binding of SOAP asks for (SOAP 1.1 section 6,
// SOAP 1.2 part 2 section 7), then the draft's own.
func (d *Draft) setHeaders(h http.Header) {
	action := ""
	if op, ok := message.OperationFor(d.Service, d.Version); ok {
		action = op.Action
	}
	if d.SOAPAction != nil {
		action = *d.SOAPAction
	}
	contentType := d.SOAP.ContentType()
	if d.SOAP == soap.SOAP11 {
		h.Set("SOAPAction", `"`+action+`"`)
	} else if action != "" {
		contentType += `; action="` + action + `"`
	}
	if d.ContentType != "" {
		contentType = d.ContentType
	}
	h.Set("Content-Type", contentType)
	for name, value := range d.Header {
		h.Set(name, value)
	}
}

// Hangup closes the idle connections of the establishment.
func (e *Etablissement) Hangup() { e.client.CloseIdleConnections() }

func replace(b []byte, old, new string) []byte {
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}
