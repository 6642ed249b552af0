// Package app is the composition root: it wires the parts of one RPN (New) and owns their life (Start, Stop, Reload, Run), so
// that tests and the demonstration run the real RPN in process.
package app

import (
	"context"
	"crypto/x509"
	"errors"
	"log"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/app/handover"
	"github.com/piano-roc/rpn/app/logsink"
	"github.com/piano-roc/rpn/app/systemd"
	"github.com/piano-roc/rpn/indicators/alert"
	"github.com/piano-roc/rpn/indicators/dossiers"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/indicators/top"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/journal/timestamp"
	"github.com/piano-roc/rpn/journal/witness"
	"github.com/piano-roc/rpn/limits"
	"github.com/piano-roc/rpn/limits/breaker"
	"github.com/piano-roc/rpn/limits/crossbar"
	"github.com/piano-roc/rpn/limits/quota"
	"github.com/piano-roc/rpn/limits/replay"
	"github.com/piano-roc/rpn/limits/shares"
	"github.com/piano-roc/rpn/limits/shed"
	"github.com/piano-roc/rpn/portal"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/incident"
	"github.com/piano-roc/rpn/portal/invitation"
	"github.com/piano-roc/rpn/portal/login"
	"github.com/piano-roc/rpn/portal/proposal"
	"github.com/piano-roc/rpn/proxy"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/attempts"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Options are what an App needs.
type Options struct {
	Config *config.Config // from config.Read. Required.
	Log    *slog.Logger   // Required.

	// LogSink is what Log writes to, when it is one: its state is then a line of
	// /readyz. May be nil.
	LogSink *logsink.Sink

	Version, Revision string           // of the build, for /metrics
	Now               func() time.Time // default: time.Now

	// Listener, Admin and Portal are listeners already open, used in place of
	// listen, admin and portal.listen: by tests, or when a service manager opened
	// them.
	Listener, Admin, Portal net.Listener

	// Predecessor is the process that gives its place to this one. May be nil.
	Predecessor *handover.Predecessor
	// Manager is the service manager. May be nil.
	Manager *systemd.Manager

	// Observers are told of each exchange, after the log and the indicators.
	Observers []func(*roc.Record)

	// Asker takes the place of the annuaire. May be nil.
	Asker annuaire.Asker

	// ReloadEvery is how often the files are looked at. Default: 1 s.
	ReloadEvery time.Duration
}

// An App is one RPN.
type App struct {
	opts   Options
	config *config.Config
	looks  *looks // nil but in Check, which opens, asks and writes nothing
	log    *slog.Logger
	now    func() time.Time

	// What a reload replaces, each in its own place.
	own      identity.List             // "server", "client"
	acme     map[string]*identity.ACME // those of own that have one
	stores   *trust.Stores
	register *register.Source
	reloader *reloader

	following     sync.Mutex            // guards followed
	followed      *register.List        // whose dates have been written down
	historyFailed atomic.Pointer[error] // of the last entry of the audit trail; nil: it is written

	// What lasts as long as the process.
	directory  *annuaire.Directory
	shared     *annuaire.Shared // nil: no Redis
	disk       *annuaire.Disk   // nil: no state folder
	redis      *redis.Client    // nil: none
	secrets    *secret.Ring     // nil: none
	asker      annuaire.Asker
	hosts      *annuaire.Hosts // that the annuaire has named
	acts       *annuaire.Acts  // what operators decided about it
	attempts   *attempts.Store // nil: not kept
	replay     *replay.Local   // nil: the policy does not look
	annuaire   admin.Contact
	server     *tlsconf.Server
	client     *tlsconf.Client
	tickets    *tlsconf.TicketSecret // nil: none
	revocation *revocation.Checker
	proxy      *proxy.Proxy
	live       *live.Metrics
	eachES     *live.Etablissements

	journal     *journal.Journal  // nil: none
	journalStop func()            // ends its work in the background; nil: it was not begun
	stamps      *timestamp.Keeper // nil: nobody time-stamps the journal
	witnesses   *witness.Keeper   // nil: nobody cosigns it
	figures     *store.Follower   // nil: none
	dossiers    *dossiers.Keys    // nil: exchanges are not linked
	watcher     *alert.Watcher    // of outages; nil: without figures
	mailer      *mail.Mailer      // nil: no mail is sent

	pages         *access.Data // what the pages of the portal are made of
	theme         *portal.Theme
	operatorStore *trust.Store // nil: no portal
	operators     atomic.Pointer[operators]
	providerRoots *x509.CertPool              // nil: those of the system
	provider      atomic.Pointer[login.Login] // nil: nobody comes in by OpenID Connect
	incidents     *incident.Book              // nil: no portal
	proposals     *proposal.Book              // nil: one operator decides alone
	invitations   *invitation.Book            // nil: persons come in by certificates alone

	inventory *expiry.Inventory
	clocks    *live.Clocks
	top       *top.Board
	checks    []func(time.Time) admin.Health

	seats   *crossbar.Crossbar
	access  *limits.Access
	ledger  *shares.Ledger
	shedder *shed.Shedder
	resting *breaker.Set
	names   *egress.Names
	repeats *refusalLog
	meter   *quota.Meter // nil: no Redis

	// What another process may take over.
	custody        *custody
	listener       net.Listener      // of the establishments, under TLS
	adminListener  net.Listener      // of the operators, by TCP
	secure         *tlsconf.Listener // of the establishments
	closeAdmin     func()
	upgrades       chan upgrade
	succeeds       atomic.Bool // the process before this one still has exchanges
	released       atomic.Bool // another process holds the folder
	listsFollowed  bool        // revocation lists are followed already
	loops, running sync.WaitGroup

	addr, adminAddr   net.Addr
	portalAddr        net.Addr // nil: no portal
	serving, draining atomic.Bool
	failed            chan error
	stops             []namedStop
}

// New wires an RPN and opens no port. Its errors are a SetupError, or a
// strict.Errors about one of the lists.
//
// It is one straight line on purpose: each step needs what the earlier ones
// made, so the scoping of Go proves the order.
func New(o Options) (_ *App, err error) {
	if o.Config == nil || o.Log == nil {
		return nil, errors.New("app: Config and Log are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ReloadEvery <= 0 {
		o.ReloadEvery = time.Second
	}
	c := o.Config
	o.Log = slog.New(logsink.WithoutRepeats(o.Log.Handler()))
	a := &App{opts: o, config: c, log: o.Log, now: o.Now, failed: make(chan error, 1), upgrades: make(chan upgrade)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.unwind(context.Background()))
		}
	}()

	a.inventory = expiry.New(a.now)
	a.openNames()
	if err := a.openShared(); err != nil {
		return nil, err
	}
	if err := a.openTrust(); err != nil {
		return nil, err
	}
	if err := a.openOperators(); err != nil {
		return nil, err
	}
	if err := a.openRevocation(); err != nil {
		return nil, err
	}
	if err := a.succeed(); err != nil {
		return nil, err
	}
	if err := a.lockState(); err != nil {
		return nil, err
	}
	if err := a.openRegister(); err != nil {
		return nil, err
	}
	a.openState()
	if err := a.openJournal(); err != nil {
		return nil, err
	}
	a.openDossiers()
	if err := a.openTimestamp(); err != nil {
		return nil, err
	}
	if err := a.openWitnesses(); err != nil {
		return nil, err
	}
	if err := a.openFigures(); err != nil {
		return nil, err
	}
	if err := a.openAlerts(); err != nil {
		return nil, err
	}
	if err := a.openMail(); err != nil {
		return nil, err
	}
	if err := a.openPages(); err != nil {
		return nil, err
	}

	client, err := tlsconf.NewClient(tlsconf.ClientOptions{Certificate: a.own.Of("client"), Servers: a.stores.AMCTLS, Revocation: a.revocation, OnPeer: a.sawServer, Now: a.now})
	if err != nil {
		return nil, err
	}
	a.client = client
	signatures := xmlsig.NewVerifier(xmlsig.Options{Trust: a.signatureTrust(a.stores.EtablissementSignature, expiry.CallerSignature), AllowSHA1: c.Policies.AllowSHA1, OnDisagreement: a.rsaDisagreed})
	answers := xmlsig.NewVerifier(xmlsig.Options{Trust: a.signatureTrust(a.stores.AMCSignature, expiry.PeerSignature), AllowSHA1: c.Policies.AllowSHA1, OnDisagreement: a.rsaDisagreed})

	a.logRSA()
	a.live, a.clocks, a.top, a.eachES = live.New(a.indicatorOptions()), live.NewClocks(), a.board(), live.NewEtablissements(a.labelOfES, a.labelsOfES)

	a.openLimits()
	a.openLog()
	toAnnuaire := a.sender(client, a.written(), nil, nil) // a search that nobody waits for does nothing
	toAMC := a.sender(client, a.anybody(), breakers{a.resting}, a.lateAnswer)
	asker, err := annuaire.NewClient(annuaire.ClientOptions{
		URL: c.Annuaire.URL, Handshake: client.Handshake, Verifier: answers, Signer: c.Annuaire.Signer, Timeout: c.Annuaire.Timeout,
		Dial: a.written().DialContext, OwnFault: a.clientFault, Now: a.now,
	})
	if err != nil {
		return nil, setup(err, "correct annuaire.url in "+c.File())
	}
	a.onStop("connections to the annuaire", func(context.Context) error { asker.Close(); return nil })
	a.asker = &watchedAsker{asker, &a.annuaire, a.hosts, a.now}
	if o.Asker != nil {
		a.asker = o.Asker
	}
	if err := a.openDirectory(asker); err != nil {
		return nil, err
	}
	a.onStop("connections to the AMCs", func(context.Context) error { toAMC.Close(); toAnnuaire.Close(); return nil })

	keepsReplays := a.openCustody(c.Policies.Replay)
	a.proxy, err = proxy.New(proxy.Options{
		List:    a.register.Current,
		Limiter: a.limiter(), AMCAccess: a.access, Shares: limits.NewShares(a.ledger), Shedder: limits.NewShedding(a.shedder),

		Signatures: signatures, AnswerSignatures: answers, AnswerPolicy: proxy.AnswerPolicy(c.Policies.AnswerSignatures),
		Replay: keepsReplays, EnforceReplay: c.Policies.Replay == config.ReplayEnforce, Facade: a.facade(answers),
		EnforceVIHF: c.Policies.VIHF == config.VIHFEnforce, OnAccepted: a.secondOpinions(c.Policies.SecondOpinions),
		Directory: a.directory, AMC: toAMC, AnnuaireURL: c.Annuaire.URL, Annuaire: toAnnuaire,
		Routing: a.routingPolicy(),
		Log:     a.log, Limits: soapLimits(c), Endpoint: c.Endpoint, ServerName: a.serverName,
		OnMalformed: a.live.Malformed, OnDescribed: a.live.Described, OnTurnedAway: a.turnedAway, Journal: a.traces(), Dossier: a.dossierOf(),
		Observers: append([]func(*roc.Record){a.repeats.Observe, a.live.Observe, a.eachES.Observe, a.clocks.Observe, a.top.Observe, a.keepAttempt, a.countCertificates}, slices.Concat(a.pageObservers(), o.Observers)...),
		Deadline:  c.Timeouts.Exchange, Deadlines: c.Timeouts.Services, MinRate: int(c.Limits.MinRate),
		IdleTimeout: c.Timeouts.Idle, HeadTimeout: c.Timeouts.Head, BodyTimeout: c.Timeouts.Body, WriteTimeout: c.Timeouts.Write,
		Now: a.now,
	})
	if err != nil {
		return nil, err
	}
	a.server, err = tlsconf.NewServer(tlsconf.ServerOptions{Certificate: a.own.Of("server"), Clients: a.stores.EtablissementTLS, Revocation: a.revocation, Tickets: a.tickets, Now: a.now})
	if err != nil {
		return nil, err
	}
	a.reloader = a.newReloader()
	for _, p := range a.reloader.parts { // read just now, all of them
		a.live.Reloaded(p.name, nil, a.now())
	}
	a.checks = a.allChecks()
	return a, nil
}

// Addr is where establishments connect, once started.
func (a *App) Addr() net.Addr { return a.addr }

// AdminAddr is where operators look, once started.
func (a *App) AdminAddr() net.Addr { return a.adminAddr }

// httpLog gives net/http's own lines to our log.
func (a *App) httpLog() *log.Logger { return slog.NewLogLogger(a.log.Handler(), slog.LevelDebug) }

// setup makes a SetupError of an error of the configuration; one that holds
// places in a file, or says already what to do, stays what it is.
func setup(err error, remedy string) error {
	var list strict.Errors
	var said *config.SetupError
	if errors.As(err, &list) || errors.As(err, &said) {
		return err
	}
	return &config.SetupError{What: err.Error(), Remedy: remedy, Cause: err}
}
