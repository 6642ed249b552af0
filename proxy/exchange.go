package proxy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
)

// An exchange is one request on its way: what carry's steps share. It lives as
// long as its answer is being written.
type exchange struct {
	proxy *Proxy
	q     *http1.Request
	rec   *roc.Record

	begun   time.Time // by the clock of the machine
	ctx     context.Context
	cancel  context.CancelFunc
	allowed time.Duration // by the RPN, its service and its AMC
	stated  bool          // its deadline is the one that the caller stated: less than allowed

	contentType string
	media       message.ContentType // of the request: what was parsed leaves, and nothing else
	action      message.SOAPAction
	body        roc.Content // once read: the one buffer, never copied
	env         *soap.Envelope
	observed    roc.Content             // an answer to look at once it is written
	token       *facade.Token           // of the address, when it is one of the façade
	held        *register.Etablissement // whose shares it holds; nil: none yet
	bytes       int                     // of them, held
	entered     bool                    // it is one of the exchanges in flight
	reserved    *roc.Signed             // in the replay window, by this exchange
	status      int                     // of our fault; 0: 500
	trace       trace                   // what the journal has of it
	admitted    bool                    // it passed the one entrance, and spent its credit
	weighed     bool                    // the shedder was asked, and admitted it
	processing  bool                    // and is not told yet that it is processed
	described   bool                    // the description was asked for, and is the answer
}

// The exchange is abandoned: nobody reads the answer, or the message never came
// whole.
var (
	errAbandoned   = errors.New("the caller left before the answer")
	errBodyStopped = errors.New("the body stopped coming")
)

// within ends the exchange at most d after it began; 0 changes nothing.
func (x *exchange) within(d time.Duration) {
	if d <= 0 || d >= x.allowed {
		return
	}
	x.allowed = d
	end := x.begun.Add(d)
	if until, _ := x.ctx.Deadline(); end.Before(until) {
		x.stated = false
	}
	ctx, cancel := context.WithDeadline(x.ctx, end)
	before := x.cancel
	x.ctx, x.cancel = ctx, func() { cancel(); before() }
}

// identify says whose connection this is, and by which structure its
// certificate names it: the EJ, or one of its EG.
func (x *exchange) identify(list *register.List) (roc.StructureID, *register.Etablissement, error) {
	caller, err := roc.StructureOfCertificate(x.q.Leaf())
	if err == nil {
		x.rec.From = caller
	}
	if err := x.q.Refused(); err != nil {
		return "", nil, err
	}
	es, err := list.Caller(x.q.Leaf())
	if err != nil {
		return "", nil, err
	}
	return caller, es, nil
}

// admit is the one entrance: who calls, whether there is a connection for it,
// and its rate, whatever is asked: a message, the description, a wrong address,
// HTTP that is malformed.
func (x *exchange) admit(list *register.List) (roc.StructureID, *register.Etablissement, error) {
	caller, es, err := x.identify(list)
	if err != nil {
		return "", nil, err
	}
	if err := x.q.NoPlace(); err != nil {
		return "", nil, err
	}
	begun := x.proxy.o.Now()
	err = x.proxy.o.Limiter.Allow(x.ctx, es.Structure, es.Limite, begun)
	x.rec.Read += x.shaped(es, begun)
	if err != nil {
		return "", nil, err
	}
	x.admitted = true
	if m := x.q.Malformed(); m != nil {
		return "", nil, m
	}
	return caller, es, nil
}

// receive looks at the headers, then reads the body whole. What is announced is
// taken of the establishment's share before it is read: slow bodies fill their
// sender's share, and nobody's slot.
func (x *exchange) receive(es *register.Etablissement) error {
	start := x.proxy.o.Now()
	defer func() { x.rec.Read += x.proxy.o.Now().Sub(start) }()
	if err := x.acceptable(); err != nil {
		return err
	}
	if s := message.StatedService(x.media, x.action); s != roc.NoService { // CheckActions refuses a Body of another
		if err := x.shed(s); err != nil {
			return err
		}
	}
	limit := x.proxy.o.Limits.Bytes
	announced, stated := x.q.Announced()
	if stated && announced <= limit {
		if err := x.allowBytes(es, announced); err != nil {
			return err
		}
	}
	if !stated {
		announced = limit
	}
	if announced <= limit {
		if err := x.proxy.o.Shares.TakeBytes(es, announced); err != nil {
			return err
		}
		x.held, x.bytes = es, announced
	}
	waits := x.proxy.o.Now()
	b, err := x.q.ReadBody(limit)
	x.rec.Waited += x.proxy.o.Now().Sub(waits)
	switch {
	case errors.Is(err, http1.ErrTooLarge):
		return roc.Refuse(roc.TooLarge, "the body is larger than %d bytes", limit).Because(roc.MessageTooLarge).
			Saying("Le message dépasse %d octets.", limit)
	case http1.IsTimeout(err):
		return errBodyStopped
	case err != nil:
		if m, ok := http1.AsMalformed(err); ok {
			return m
		}
		return errAbandoned
	}
	if !stated {
		if err := x.allowBytes(es, len(b)); err != nil {
			return err
		}
	}
	x.proxy.o.Shares.FreeBytes(es, x.bytes-len(b))
	x.bytes = len(b)
	x.body = roc.NewContent(b)
	x.rec.RequestBytes, x.rec.RequestSHA256 = len(b), sha256.Sum256(b)
	return nil
}

// allowBytes spends the bytes of the body: once, before they are read where that
// is known.
func (x *exchange) allowBytes(es *register.Etablissement, n int) error {
	begun := x.proxy.o.Now()
	err := x.proxy.o.Limiter.AllowBytes(x.ctx, es.Structure, es.Limite, n, begun)
	x.shaped(es, begun)
	return err
}

// shaped writes down that the exchange waited since then for the credit of its
// establishment, and how long, where what is beyond the limit waits.
func (x *exchange) shaped(es *register.Etablissement, since time.Time) time.Duration {
	if !x.proxy.o.Limiter.Shapes(es.Limite) {
		return 0
	}
	waited := x.proxy.o.Now().Sub(since)
	x.rec.Waited += waited
	return waited
}

// shed asks the shedder, once: the service is known by the headers, or by
// the Body.
func (x *exchange) shed(s roc.Service) error {
	if x.weighed {
		return nil
	}
	err := x.proxy.o.Shedder.Admit(s, x.proxy.o.Now())
	x.weighed, x.processing = err == nil, err == nil
	return err
}

// processed tells the shedder, once, of what it admitted.
func (x *exchange) processed() {
	if x.processing {
		x.processing = false
		x.proxy.o.Shedder.Processed(x.proxy.o.Now())
	}
}

// parse reads the envelope in the body.
func (x *exchange) parse() (*soap.Envelope, error) {
	start := x.proxy.o.Now()
	defer func() { x.rec.Read += x.proxy.o.Now().Sub(start) }()
	env, err := soap.Read(x.body, x.proxy.o.Limits)
	if err != nil {
		return nil, err
	}
	x.env, x.rec.MessageID = env, message.MessageID(env)
	return env, nil
}

// acceptable refuses, by the headers alone, what could not be carried
// (profile sections 2 and 8).
func (x *exchange) acceptable() (err error) {
	fields := x.q.Fields()
	var bad error
	x.media, bad = message.ParseContentType(x.contentType) // first: the fault is written in that version
	p, _, _ := strings.Cut(x.q.Target(), "?")
	switch known := p == Path || x.token != nil; {
	case x.q.Method() == "POST" && !known, (x.q.Method() == "GET" || x.q.Method() == "HEAD") && !strings.HasPrefix(p, Path+"/"):
		x.status = 404
		return roc.Refuse(roc.UnknownOperation, "no such address").Because(roc.UnknownPath)
	case x.q.Method() != "POST":
		x.status = 405
		return roc.Refuse(roc.UnknownOperation, "no such method").Because(roc.UnknownMethod)
	}
	if e := fields.Joined("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return roc.Refuse(roc.NotSOAP, "Content-Encoding").Because(roc.Compressed).Saying("Content-Encoding n'est pas admis : envoyez le message sans compression.")
	}
	if fields.Loops() {
		return roc.Refuse(roc.NotSOAP, "loop: Via names this proxy").Because(roc.Loop).Saying("L'en-tête Via nomme déjà le RPN : le message tourne en boucle.")
	}
	if fields.Count("RPN-Delai-Ms") > 0 {
		if _, ok := statedPatience(x.q.Header("RPN-Delai-Ms")); !ok {
			return roc.Refuse(roc.NotSOAP, "RPN-Delai-Ms is no number of milliseconds").Because(roc.BadHeader).
				Saying("RPN-Delai-Ms doit être un nombre entier de millisecondes, au moins 1.")
		}
	}
	if bad != nil {
		return bad
	}
	x.action, err = message.ParseSOAPAction(x.q.Header("SOAPAction"), fields.Count("SOAPAction") > 0)
	return err
}

// check verifies the signature by the policy of the service and of the
// establishment (profile section 3).
func (x *exchange) check(env *soap.Envelope, es *register.Etablissement, caller roc.StructureID, op message.Operation) (*xmlsig.Checked, error) {
	start := x.proxy.o.Now()
	defer func() { x.rec.Check = x.proxy.o.Now().Sub(start) }()
	expect := xmlsig.Expect{Structure: caller}
	if len(es.Mandats) > 0 {
		expect.Mandate = es.Mandates
	}
	policy := xmlsig.Policy{Optional: op.Service == roc.Annuaire, TimestampOptional: es.SansTimestamp, EnforceVIHF: x.proxy.o.EnforceVIHF}
	c, err := x.proxy.o.Signatures.Check(env, policy, expect, start)
	if err != nil {
		x.rec.ClockOffset = roc.RefusalOf(err).ClockOffset
		return nil, err
	}
	if !c.Created().IsZero() {
		offset := c.Offset(start)
		x.rec.ClockOffset = &offset
	}
	if c.Signed() {
		x.rec.SignatureSHA256, x.rec.SignerSerial, x.rec.VIHF = c.SignatureHash(), c.SignerSerial(), c.VIHF()
		if x.proxy.o.OnAccepted != nil {
			x.proxy.o.OnAccepted(x.rec.ID, c)
		}
	}
	return c, nil
}

// link writes into the record which dossier this exchange is of, whatever becomes
// of it.
func (x *exchange) link(es *register.Etablissement, key roc.Key, c *xmlsig.Checked) {
	if x.proxy.o.Dossier != nil {
		x.rec.Dossier = x.proxy.o.Dossier(es.Structure, key, c, x.proxy.o.Now())
	}
}

// once reserves the message in the replay window: it looks whether the same
// signed message came before (profile section 3) and, by policy, refuses it. A window that cannot be asked fails open: a
// message carried twice is answered twice by its insurer, while refusing all
// would stop the country for the sake of a cache.
func (x *exchange) once(c *xmlsig.Checked) error {
	if x.proxy.o.Replay == nil {
		return nil
	}
	at := x.proxy.o.Now()
	until := c.Until()
	if until.IsZero() { // exempt from a Timestamp: no life of its own
		until = at.Add(replayLife)
	}
	// An error says that the window shared by the instances was not asked: this
	// one goes on alone. Whoever keeps that window says it, once.
	m := roc.Signed{Signer: c.SignerStructure(), Signature: c.SignatureHash(), Until: until}
	seen, _ := x.proxy.o.Replay.Reserve(x.ctx, m, at)
	x.rec.Replayed = seen
	if !seen {
		x.reserved = &m
	}
	if seen && x.proxy.o.EnforceReplay {
		return roc.Refuse(roc.Replayed, "the signature was seen before, within its life").Because(roc.SeenBefore)
	}
	return nil
}

// forgetUnsent takes the message out of the replay window when no byte of it
// left, before the caller hears so: the retry that a refusal asks for (RPN110,
// 111, 304, 305, 306, 401) is no replay.
func (x *exchange) forgetUnsent() {
	if x.reserved != nil && x.rec.RequestOut.IsZero() {
		x.proxy.o.Replay.Forget(x.ctx, *x.reserved)
	}
}

const retrySoon = 10 * time.Second

// replayLife is how long a message without Timestamp is remembered.
const replayLife = 10 * time.Minute

// find asks the directory.
func (x *exchange) find(es *register.Etablissement, permit routing.Permit) (annuaire.Entry, error) {
	start := x.proxy.o.Now()
	defer func() { x.rec.Annuaire = x.proxy.o.Now().Sub(start) }()
	entry, err := x.proxy.o.Directory.Find(x.ctx, es.Structure, permit.Key())
	if r := (*roc.Refusal)(nil); x.stated && errors.As(err, &r) && r.Reason == roc.AnnuaireSilent && errors.Is(x.ctx.Err(), context.DeadlineExceeded) {
		err = roc.Refuse(roc.AnnuaireSilent, "within what the caller stated: %w", r).Because(roc.AnnuaireStatedDelay).After(retrySoon)
	}
	x.rec.FromMemory = err == nil && entry.Remembered
	x.rec.Stale = err == nil && entry.Stale
	return entry, err
}

// seat waits for a free seat at the insurer.
func (x *exchange) seat(route routing.Route, amc *register.AMC, es *register.Etablissement) (leave func(time.Time), err error) {
	start := x.proxy.o.Now()
	leave, err = x.proxy.o.AMCAccess.Enter(x.ctx, amc, route.Host(), es, start)
	x.rec.Waited += x.proxy.o.Now().Sub(start)
	return leave, err
}

// send carries the message to its insurer, unless the caller has left: a
// calculation that nobody waits for may commit somebody.
func (x *exchange) send(route routing.Route, amc *register.AMC, caller roc.StructureID, c *xmlsig.Checked) (http1.Response, error) {
	x.rec.AMCName = route.AMCName()
	x.logNew(route)
	if err := x.q.Refused(); err != nil {
		return http1.Response{}, err
	}
	if x.q.Gone() {
		return http1.Response{}, errAbandoned
	}
	urls := append([]string{route.URL()}, route.Alternatives()...)
	m := x.outgoing(caller, c)
	m.Classic = !amc.PostQuantum()
	if err := x.prepareAnswer(&m); err != nil {
		return http1.Response{}, err
	}
	a, err := x.proxy.o.AMC.Send(x.ctx, x.rec, urls, m)
	if err != nil {
		return http1.Response{}, err
	}
	x.keepAnswer(a)
	if err := x.checkResponse(a); err != nil {
		return http1.Response{}, err
	}
	if err := x.checkSignature(a); err != nil {
		return http1.Response{}, err
	}
	x.rec.Origin = roc.FromAMC
	return a, nil
}

// choose takes the route, and tells the directory what the register does not
// know.
func (x *exchange) choose(permit routing.Permit, entry annuaire.Entry) (routing.Route, error) {
	route, err := permit.Choose(entry)
	if err != nil {
		x.quarantined(err)
	}
	return route, err
}

// quarantined tells the directory what was refused because the register does
// not know it, and reports whether that is why.
func (x *exchange) quarantined(err error) bool {
	var q *routing.Quarantined
	if !errors.As(err, &q) {
		return false
	}
	x.proxy.o.Directory.Quarantined(q.AMC, string(q.Host), q.NewAMC)
	return true
}

// logNew tells the operator what a policy accepted without being vouched for,
// and the addresses that were not used beside the one that is.
func (x *exchange) logNew(route routing.Route) {
	if !route.NewAMC() && !route.NewDomain() && len(route.SetAside()) == 0 {
		return
	}
	log := x.proxy.o.Log.With("echange", string(x.rec.ID), "amc", string(x.rec.To.AMC))
	if route.NewAMC() || route.NewDomain() {
		log.Warn("the annuaire's address is new, and accepted by policy: write it down in the list of AMCs", "event", "annuaire_newcomer_accepted", "host", route.Host())
	}
	for _, r := range route.SetAside() {
		if x.quarantined(r) {
			continue // told once, by the directory
		}
		log.Warn("an address of the annuaire was not used", "event", "annuaire_address_set_aside", "reason", string(r.Reason), "error", r.Error())
	}
}

// ofAnnuaire gives a refusal of the far leg its name when that is the annuaire.
func ofAnnuaire(err error) error {
	r := roc.RefusalOf(err)
	switch r.Reason {
	case roc.AMCUnreachable, roc.AMCSilent:
		cause := map[roc.Responsable]roc.CauseCode{roc.ByRPN: roc.AnnuaireOurs, roc.ByReseau: roc.AnnuaireNetwork, roc.ByEtablissement: roc.AnnuaireStatedDelay}[r.Meaning().Responsable]
		return &roc.Refusal{Reason: roc.AnnuaireSilent, RetryAfter: retrySoon, Cause: r.Cause, CauseCode: cmp.Or(cause, roc.AnnuaireUnreachable)}
	case roc.AMCBadAnswer:
		return &roc.Refusal{Reason: roc.AnnuaireRefused, Cause: r.Cause, CauseCode: roc.AnnuaireBadAnswer}
	}
	return err
}

// outgoing is the checked message with the headers that go with it.
func (x *exchange) outgoing(caller roc.StructureID, c *xmlsig.Checked) http1.Message {
	m := http1.Message{
		Content:     c.Content(),
		ContentType: x.media.String(),
		Accept:      x.q.Fields().Joined("Accept"),
		Exchange:    x.rec.ID,
		Structure:   caller,
		Left:        x.q.Gone,
		Allowed:     x.allowed,
		Stated:      x.stated,
	}
	if action, there := x.action.Header(); there {
		m.SOAPAction = &action
	}
	return m
}
