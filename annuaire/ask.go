package annuaire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// ClientOptions are what a Client needs. URL, Handshake and Verifier are
// required.
type ClientOptions struct {
	// URL is the annuaire's address: https, without userinfo.
	URL string

	// Handshake makes a connection TLS, presents our certificate and accepts
	// the server or not: tlsconf's Client.Handshake. It is asked for each
	// connection.
	Handshake func(ctx context.Context, conn net.Conn, serverName string) (*tls.Conn, error)

	// OwnFault says why the certificate that we present is not to be accepted now:
	// it has ended, or is revoked. The annuaire is not at fault when it ends a
	// connection then. nil: ours is always sound.
	OwnFault func() error

	// Dial connects, before Handshake. Default: net.Dialer. It is for names
	// whose address is configured rather than asked of DNS.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Verifier checks the signature of the answers, against the AMC signature
	// store.
	Verifier *xmlsig.Verifier

	// Signer, where given, is the structure that must have signed: that store
	// also holds the AMC, and none of them may speak for the annuaire.
	Signer roc.StructureID

	// Timeout bounds one question, connection included. Required.
	Timeout time.Duration

	// MaxBytes is the largest answer read. Default: 256 KiB.
	MaxBytes int

	// Editeur, Logiciel and VersionLogiciel say who asks. Default: RPN ROC.
	Editeur, Logiciel, VersionLogiciel string

	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

// A Client asks the annuaire over the network. It is an Asker: it keeps
// connections open, but no answer.
type Client struct {
	o         ClientOptions
	limits    soap.Limits
	transport *http.Transport
}

// NewClient makes a Client; Close it. The error says which option is wrong.
func NewClient(o ClientOptions) (*Client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, errors.New("the annuaire's URL is not one")
	case u.Scheme != "https" || u.Hostname() == "" || u.User != nil:
		return nil, errors.New("the annuaire's URL must be https://host..., without user or password")
	case o.Handshake == nil || o.Verifier == nil:
		return nil, errors.New("the annuaire's client needs a TLS handshake and a signature verifier")
	case o.Timeout <= 0:
		return nil, errors.New("the annuaire's client needs a Timeout")
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 10
	}
	if o.Editeur == "" {
		o.Editeur, o.Logiciel, o.VersionLogiciel = "ANS", "RPN ROC", "1"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	c := &Client{o: o, limits: soap.DefaultLimits}
	c.limits.Bytes = o.MaxBytes
	c.transport = &http.Transport{
		Proxy:                  nil, // never from the environment: it would see where we connect
		DialTLSContext:         c.dial,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    16,
		MaxConnsPerHost:        64,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
	}
	return c, nil
}

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Ask puts one question. It refuses with AnnuaireSilent when no answer came,
// AnnuaireRefused when what came cannot be believed, and UnknownAMC.
func (c *Client) Ask(ctx context.Context, k roc.Key) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	at := c.o.Now()
	raw, err := c.post(ctx, c.search(k, at))
	if err != nil {
		return Entry{}, err
	}
	return c.verify(raw, k, at, false)
}

// VerifyStored reads an answer to k that was kept since at: on a disk, or by
// another instance. Nothing of it is believed but what the annuaire signed: it
// must be an answer about k's AMC, valid today, whose signature holds by the
// trust store of now. Its age counts from the signed Timestamp, whatever at
// says. The refusals are those of Ask.
func (c *Client) VerifyStored(raw roc.Content, k roc.Key, at time.Time) (Entry, error) {
	if raw.Len() > c.o.MaxBytes {
		return Entry{}, refused("the answer is larger than %d bytes", c.o.MaxBytes)
	}
	if at.After(c.o.Now()) {
		at = c.o.Now()
	}
	return c.verify(raw, k, at, true)
}

// search writes the question. It is not signed, as the public one (profile
// section 3); the mail address is asked too, for the façade.
func (c *Client) search(k roc.Key, at time.Time) roc.Content {
	return message.SearchRequest{
		Requete:   message.Requete{Date: at, Editeur: c.o.Editeur, Logiciel: c.o.Logiciel, VersionLogiciel: c.o.VersionLogiciel},
		Adressage: message.Adressage{AMC: k.AMC, Convention: k.Convention, CSR: k.CSR, Domaine: k.Domaine},
		Service:   k.Service.String(),
		Norme:     message.NormeROC,
		Version:   k.Version.String(),
		Types:     []string{message.TypeURL, message.TypeMEL},
	}.Envelope(soap.SOAP11)
}

// post sends the question and returns the answer's bytes, unbelieved.
func (c *Client) post(ctx context.Context, question roc.Content) (roc.Content, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.URL, bytes.NewReader(question.Bytes()))
	if err != nil {
		return roc.Content{}, fmt.Errorf("annuaire: %w", err)
	}
	r.Header.Set("Content-Type", soap.SOAP11.ContentType())
	r.Header.Set("SOAPAction", `"`+searchAction()+`"`)
	r.Header.Set("User-Agent", "rpn-roc")
	// A search only reads: net/http may send it again on a new connection when
	// the annuaire closed the kept one. Empty, the header is not sent.
	r.Header["Idempotency-Key"] = []string{}
	// The transport alone: no redirect is followed, no cookie kept.
	answer, err := c.transport.RoundTrip(r)
	if err != nil {
		return roc.Content{}, silent("no answer: %w", err).Because(c.whose(err))
	}
	defer answer.Body.Close()
	return c.receive(ctx, answer)
}

func searchAction() string {
	op, _ := message.OperationFor(roc.Annuaire, roc.NoVersion)
	return op.Action
}

// receive reads the body of an HTTP answer within the bound, and checks its
// status: 200 only; a 5xx without an envelope is silence.
func (c *Client) receive(ctx context.Context, answer *http.Response) (roc.Content, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(c.o.MaxBytes)+1))
	raw := roc.NewContent(body)
	switch {
	case err != nil && ctx.Err() != nil:
		return raw, silent("the answer did not end in time: %w", ctx.Err())
	case err != nil:
		return raw, refused("the answer was cut short: %w", err)
	case len(body) > c.o.MaxBytes:
		return raw, refused("the answer is larger than %d bytes", c.o.MaxBytes)
	case answer.Header.Get("Content-Encoding") != "":
		return raw, refused("the answer is compressed, which nobody asked for")
	case answer.StatusCode >= 500 && !c.readable(raw):
		return raw, silent("HTTP status %d without an envelope", answer.StatusCode)
	case answer.StatusCode >= 500:
		return raw, refused("HTTP status %d with an envelope: a fault", answer.StatusCode)
	case answer.StatusCode != http.StatusOK:
		return raw, refused("HTTP status %d instead of 200", answer.StatusCode)
	}
	return raw, nil
}

func (c *Client) readable(raw roc.Content) bool {
	env, err := soap.Read(raw, c.limits)
	if err != nil {
		return false
	}
	env.Release()
	return true
}

// verify reads an answer about k that was given at that time: signed then by
// whom it must, about the AMC that was asked, and valid now.
func (c *Client) verify(raw roc.Content, k roc.Key, at time.Time, kept bool) (Entry, error) {
	env, err := soap.Read(raw, c.limits)
	if err != nil {
		return Entry{}, refused("%w", err)
	}
	defer env.Release()
	if op := env.Operation(); op.Local == "Fault" && op.Space == env.Version().Namespace() {
		return Entry{}, refused("the answer is a SOAP fault")
	}
	checked, err := c.o.Verifier.Check(env, xmlsig.Policy{Answer: true}, xmlsig.Expect{Structure: c.o.Signer}, at)
	if err != nil {
		return Entry{}, refused("%w", err)
	}
	a, err := message.ReadSearchAnswer(checked)
	if err != nil {
		return Entry{}, refused("%w", err)
	}
	switch a.Code {
	case message.RetourTrouve:
	case message.RetourInconnu:
		return Entry{}, roc.Refuse(roc.UnknownAMC, "the annuaire knows no such AMC").Because(roc.UnknownNumber)
	default:
		return Entry{}, refused("the annuaire did not accept the search")
	}
	if created := checked.Created(); kept && created.Before(at) {
		at = created
	}
	e := entryOf(a, k.Service, at)
	e.Raw = raw
	switch {
	case e.AMC != k.AMC:
		return Entry{}, refused("the answer is about another AMC than the one asked")
	case !e.validAt(c.o.Now()):
		return Entry{}, refused("the answer's validity does not cover today")
	}
	return e, nil
}

// entryOf keeps what a route is chosen from: the URLs of the service asked.
// Texts are copied, so that an entry does not hold the whole message.
func entryOf(a message.SearchAnswer, s roc.Service, at time.Time) Entry {
	e := Entry{AMC: roc.NumeroAMC(strings.Clone(string(a.AMC))), Nom: strings.Clone(a.Nom), ROC: a.ROC, Debut: a.Debut, Fin: a.Fin, At: at}
	for _, d := range a.Adresses {
		v, err := roc.ParseVersion(d.Version)
		if err != nil || d.Service != s.String() || d.Norme != message.NormeROC || d.Type != message.TypeURL {
			continue
		}
		e.Adresses = append(e.Adresses, Adresse{Service: s, Version: v, URL: strings.Clone(d.Valeur)})
	}
	return e
}

// dial connects to the annuaire and makes the connection TLS.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	conn, err := c.o.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	t, err := c.o.Handshake(ctx, conn, host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

func silent(format string, args ...any) *roc.Refusal {
	return roc.Refuse(roc.AnnuaireSilent, format, args...).Because(roc.AnnuaireUnreachable).After(retryAfter)
}

// whose says which cause of AnnuaireSilent a failed connection is: what this
// machine or its resolver lacks, and a certificate of ours that is not to be
// accepted, is not the annuaire's fault.
func (c *Client) whose(err error) roc.CauseCode {
	switch egress.FaultOf(err) {
	case egress.OfThisMachine, egress.OfTheResolver:
		return roc.AnnuaireOurs
	case egress.OfTheNetwork:
		return roc.AnnuaireNetwork
	}
	if egress.EndedByPeer(err) && c.o.OwnFault != nil && c.o.OwnFault() != nil {
		return roc.AnnuaireOurs
	}
	return roc.AnnuaireUnreachable
}

func refused(format string, args ...any) *roc.Refusal {
	return roc.Refuse(roc.AnnuaireRefused, format, args...).Because(roc.AnnuaireBadAnswer).After(retryAfter)
}
