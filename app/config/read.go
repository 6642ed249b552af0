package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// defaults is what a file that leaves everything out means: the one place of
// every default.
func defaults() Config {
	losses := register.Bound{Share: 0.2, Least: 5}
	rules := StoreRules{RSABits: trust.MinRSABits, Depth: trust.DefaultDepth}
	return Config{
		Admin: "127.0.0.1:9464",
		Annuaire: Annuaire{
			Timeout:     5 * time.Second,
			TTL:         45 * time.Minute,
			Stale:       15 * time.Minute,
			PerSecond:   200,
			NewKeys:     200,
			MaxAge:      72 * time.Hour,
			HeldShare:   0.2,
			HeldLeast:   10,
			NegativeTTL: time.Minute,
			Probe:       30 * time.Second,
		},
		Trust:          Trust{Rules: TrustRules{EtablissementsTLS: rules, EtablissementsSignature: rules, AMCTLS: rules, AMCSignature: rules}},
		RegisterLosses: register.Bounds{Etablissements: losses, Sites: losses, AMCs: losses, Domaines: losses, Limites: losses},
		Network:        Network{StaleAddresses: 24 * time.Hour},
		Facade:         Facade{Life: 30 * 24 * time.Hour},
		Limits: Limits{
			PerSecond: 20, Burst: 40, BytesPerSecond: 8 << 20, BytesBurst: 64 << 20, Mode: register.Reject, ShapeWait: 2 * time.Second, ShapeQueue: 32, Exchanges: 1024, PerAMC: 128, RestAfter: 5, ShedAfter: 20 * time.Millisecond, Memory: 512 << 20, Connections: 16 << 10, MinRate: 4 << 10, Handshakes: 1024,
			Bytes: strict.Size(soap.DefaultLimits.Bytes), AnswerBytes: 8 << 20,
			Depth: soap.DefaultLimits.Depth, Elements: soap.DefaultLimits.Elements, Attributes: soap.DefaultLimits.Attributes,
			Declarations: soap.DefaultLimits.Declarations, NameBytes: soap.DefaultLimits.NameBytes,
		},
		Timeouts: Timeouts{
			Handshake: 10 * time.Second, ProxyHeader: 5 * time.Second, Head: 10 * time.Second, Body: 30 * time.Second, Write: 30 * time.Second,
			Idle: 3 * time.Minute, Connect: 2 * time.Second, Exchange: 20 * time.Second, Stop: 25 * time.Second,
		},
		Policies: Policies{AnswerSignatures: AnswersObserve, Replay: ReplayObserve, VIHF: VIHFObserve, SecondOpinions: 1000, NewDomain: Quarantine, UnknownAMC: Quarantine},
		Revocation: Revocation{
			Follow: true, Every: time.Hour, Timeout: 10 * time.Second, Largest: 64 << 20,
			Warn: 4 * time.Hour, Grace: 72 * time.Hour, Then: FailClosed, Unannounced: FailOpen,
		},
		Journal: Journal{
			Durability: Relaxed, WhenFull: RefuseWhenFull, SegmentBytes: 64 << 20, SegmentAge: 24 * time.Hour,
			Seal: 10 * time.Second, Keep: 366 * 24 * time.Hour,
		},
		Indicators: Indicators{Every: 5 * time.Second, Keep: 397 * 24 * time.Hour, MinFree: 512 << 20, Dossiers: 7},
		Alerts:     Alerts{Every: 15 * time.Second, Down: 2 * time.Minute, Up: 10 * time.Minute},
		Portal:     Portal{SecondOperator: true, Proposal: 72 * time.Hour, OIDC: OIDC{Idle: 15 * time.Minute, Longest: 4 * time.Hour, Invitation: 7 * 24 * time.Hour, Access: 365 * 24 * time.Hour}},
		Log:        Log{Level: LogInfo, Exchanges: true},
	}
}

// Standard is a configuration that leaves everything out, for commands that
// have none.
func Standard() *Config {
	c := defaults()
	return &c
}

// Read reads and checks a configuration file. The error is a
// strict.Errors with everything that is wrong in it, or a SetupError when
// there is no such file. The files that it names are only looked for; New
// reads them.
func Read(file string) (*Config, error) {
	c, err := Examine(file)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Examine is Read that returns what could be read of a faulty file too, so that
// what it names can be looked at: nil when it is no file, or no YAML. Nothing
// must be served by it.
func Examine(file string) (*Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &SetupError{What: Missing("the configuration "+file, err), Remedy: "give the right file with --config", Cause: err}
	}
	return parse(file, data)
}

func parse(file string, data []byte) (*Config, error) {
	c := defaults()
	c.file, c.dir = file, filepath.Dir(file)
	doc := strict.Read(file, data, &c, words()...)
	if !doc.Readable() {
		return nil, doc.Err()
	}
	c.check(doc)
	c.warn(doc)
	c.warnings = doc.Warnings()
	return &c, doc.Err()
}

// words are how the values of the file are written.
func words() []strict.Option {
	return []strict.Option{
		strict.OneOf("an environment", Production, Test),
		strict.OneOf("a policy", AnswersOff, AnswersObserve, AnswersEnforce),
		strict.OneOf("a policy", Quarantine, Accept),
		strict.OneOf("a mode", register.LimitModes...),
		strict.OneOf("a policy", VIHFObserve, VIHFEnforce),
		strict.OneOf("a policy", ReplayOff, ReplayObserve, ReplayEnforce),
		strict.OneOf("a failure mode", FailClosed, FailOpen),
		strict.OneOf("an identifier", HoldsFINESS, HoldsSIRET, HoldsSIREN, HoldsStructure),
		strict.OneOf("a prompt", PromptLogin, PromptAccount, PromptConsent),
		strict.OneOf("a role", RoleLecture, RoleExploitation, RoleAdministration),
		strict.OneOf("a durability", Relaxed, Strict),
		strict.OneOf("a policy", RefuseWhenFull, ContinueCounting),
		strict.OneOf("a level", LogDebug, LogInfo, LogWarn, LogError),
		strict.Text(roc.ParseStructureID, `"300000000000018"`),
		strict.Text(parsePolicy, "1.2.250.1.213.1.7.2.1.1.1.1"),
		strict.Text(parsePrefix, "10.20.0.0/16"),
		strict.Text(parseAddr, "10.20.0.7"),
		strict.Text(parseAddrPort, `"10.20.0.53:53"`),
	}
}

// File is where the configuration was read.
func (c *Config) File() string { return c.file }

// check applies the rules that are about the meaning of values.
func (c *Config) check(doc *strict.Document) {
	c.checkAddresses(doc)
	c.checkAdmin(doc)
	c.checkOwn(doc)
	c.checkFiles(doc)
	c.checkRevocation(doc)
	c.checkRules(doc)
	c.checkAnnuaire(doc)
	c.checkRedis(doc)
	c.checkFacade(doc)
	c.checkJournal(doc)
	c.checkIndicators(doc)
	c.checkMail(doc)
	c.checkAlerts(doc)
	c.checkPortal(doc)
	if c.Environment == Production && c.Policies.AllowSHA1 {
		doc.Refuse(doc.At("policies", "allow_sha1"), "remove the line: SHA-1 can be accepted in a test environment only", "SHA-1 is never accepted in production")
	}
	for _, l := range []struct {
		name string
		register.Bound
	}{
		{"etablissements", c.RegisterLosses.Etablissements}, {"sites", c.RegisterLosses.Sites}, {"amcs", c.RegisterLosses.AMCs},
		{"domaines", c.RegisterLosses.Domaines}, {"limites", c.RegisterLosses.Limites},
	} {
		if !(l.Share >= 0 && l.Share <= 1) {
			doc.Refuse(doc.At("register_losses", l.name, "share"), "write a share from 0 to 1: 0.2", "%g is not a share", l.Share)
		}
		if l.Least < 0 {
			doc.Refuse(doc.At("register_losses", l.name, "least"), "write how many may always go: 5, or 0", "%d is no number of rows", l.Least)
		}
	}
	for _, s := range roc.Services {
		if d := c.Timeouts.Services.Of(s); d > c.Timeouts.Exchange {
			doc.Refuse(doc.At("timeouts", "services", s.String()), "write at most timeouts.exchange", "%s is more than the %s that an exchange may take", d, c.Timeouts.Exchange)
		}
	}
	if c.Policies.SecondOpinions < 0 {
		doc.Refuse(doc.At("policies", "second_opinions"), "write 0 for none, or one message in how many: 1000", "%d is no share", c.Policies.SecondOpinions)
	}
	if c.Limits.Burst < 1 || float64(c.Limits.Burst) < c.Limits.PerSecond {
		doc.Refuse(doc.At("limits", "burst"), "allow at least one second's worth at once", "%d at once is less than %g in a second", c.Limits.Burst, c.Limits.PerSecond)
	}
	if e := c.Endpoint; e != "" && !isHTTPS(e) {
		doc.Refuse(doc.At("endpoint"), "write it like https://rpn.example/roc", "%q is not an https URL", e)
	}
	for name := range c.Network.Hosts {
		if !isHostName(name) {
			doc.Refuse(doc.At("network", "hosts", name), "write a DNS name: roc.amc.example", "%q is not a DNS name", name)
		}
	}
}

func (c *Config) checkAddresses(doc *strict.Document) {
	for _, f := range []struct{ name, address string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if f.address == "" {
			continue // said already: it is required
		}
		if _, _, err := splitAddress(f.address); err != nil {
			doc.Refuse(doc.At(f.name), "write an address and a port: 0.0.0.0:8443", "%q is not an address to listen on: %v", f.address, err)
		}
	}
	for i, n := range c.ProxyProtocol.From {
		if n.Bits() < widest(n.Addr()) {
			doc.Refuse(doc.At("proxy_protocol", "from", i), "name the load balancers alone: 10.20.0.5/32", "%s holds far more than load balancers: whoever connects from there chooses its own address", n)
		}
	}
	if c.Listen == c.Admin && !strings.HasSuffix(c.Listen, ":0") {
		doc.Refuse(doc.At("admin"), "give each listener its own port", "%s is already the address of listen", c.Admin)
	}
}

// checkAdmin checks and completes by whom the operator's listener is asked.
func (c *Config) checkAdmin(doc *strict.Document) {
	if c.AdminSocket = c.path(c.AdminSocket); c.AdminSocket == "" && c.State != "" {
		c.AdminSocket = filepath.Join(c.path(c.State), "admin.sock")
	}
	for i, h := range c.AdminHosts {
		if !isHostName(h) {
			doc.Refuse(doc.At("admin_hosts", i), "write a DNS name, without a port: rpn-1.admin.example", "%q is not a DNS name", h)
		}
	}
}

// A namedFile is a file that the configuration names, and where.
type namedFile struct {
	path   []any
	file   *string
	folder bool
}

// namedFiles are those that must be there.
func (c *Config) namedFiles() []namedFile {
	return append(append(c.ownFiles(), c.portalFiles()...), []namedFile{
		{[]any{"trust", "etablissements_tls"}, &c.Trust.EtablissementsTLS, true},
		{[]any{"trust", "etablissements_signature"}, &c.Trust.EtablissementsSignature, true},
		{[]any{"trust", "amc_tls"}, &c.Trust.AMCTLS, true},
		{[]any{"trust", "amc_signature"}, &c.Trust.AMCSignature, true},
		{[]any{"admin_tls", "certificate"}, &c.adminTLS().Certificate, false},
		{[]any{"admin_tls", "key"}, &c.adminTLS().Key, false},
		{[]any{"admin_tls", "clients"}, &c.adminTLS().Clients, false},
		{[]any{"etablissements"}, &c.Etablissements, false},
		{[]any{"amc"}, &c.AMC, false},
		{[]any{"state"}, &c.State, true},
		{[]any{"secrets"}, &c.Secrets, false},
		{[]any{"redis", "password_file"}, &c.Redis.PasswordFile, false},
		{[]any{"redis", "sentinel_password_file"}, &c.Redis.SentinelPasswordFile, false},
		{[]any{"redis", "ca"}, &c.Redis.CA, false},
		{[]any{"indicators", "password_file"}, &c.Indicators.PasswordFile, false},
		{[]any{"mail", "password_file"}, &c.Mail.PasswordFile, false},
		{[]any{"mail", "ca"}, &c.Mail.CA, false},
		{[]any{"alerts", "ca"}, &c.Alerts.CA, false},
	}...)
}

func (c *Config) checkFiles(doc *strict.Document) {
	for _, f := range c.namedFiles() {
		if *f.file == "" {
			continue // said already: it is required
		}
		*f.file = c.path(*f.file)
		info, err := os.Stat(*f.file)
		switch {
		case err != nil:
			doc.Refuse(doc.At(f.path...), "create it, or correct the name (it is relative to "+c.dir+")", "%s", Missing(*f.file, err))
		case f.file == &c.State && !info.IsDir():
			doc.Refuse(doc.At(f.path...), "give a folder that the RPN may write in", "%s is a file", *f.file)
		case f.folder:
		case info.IsDir():
			doc.Refuse(doc.At(f.path...), "give the file itself", "%s is a folder", *f.file)
		}
	}
}

// A File is a file or a folder that the configuration names, and where.
type File struct{ Key, File string }

// Files are those that the RPN reads.
func (c *Config) Files() (list []File) {
	add := func(file string, path ...any) {
		if file != "" {
			var names []string
			for _, step := range path {
				names = append(names, fmt.Sprint(step))
			}
			list = append(list, File{strings.Join(names, "."), file})
		}
	}
	for _, f := range c.namedFiles() {
		add(*f.file, f.path...)
	}
	add(c.Tickets, "tickets")
	add(c.Journal.Key, "journal", "key")
	for i, f := range c.Revocation.DenySigners {
		add(f, "revocation", "deny_signers", i)
	}
	return list
}

// adminTLS is where the names of its files are; a place of no use when there
// are none.
func (c *Config) adminTLS() *AdminTLS {
	if c.AdminTLS == nil {
		return &AdminTLS{}
	}
	return c.AdminTLS
}

// path is a file name of the configuration, made absolute.
func (c *Config) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// Missing says why a file cannot be read, without the name twice.
func Missing(file string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file + " does not exist"
	case errors.Is(err, fs.ErrPermission):
		return trust.FileProblem(file, err).Error()
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return file + ": " + err.Error()
}
