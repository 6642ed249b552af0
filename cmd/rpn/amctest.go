package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// amcTestOptions are the flags of `rpn amc test`.
type amcTestOptions struct {
	send        sendOptions
	amc, caller string
	connect     string
	out         string
	json        bool
	pause       time.Duration
}

func amcTestCommand() *cobra.Command {
	var o amcTestOptions
	cmd := &cobra.Command{
		Use:   "test --url URL --amc NUMÉRO --caller STRUCTURE --cert ... --key ... --sign-cert ... --sign-key ...",
		Short: "Joue une douzaine d'échanges chez un organisme et écrit le rapport à remettre",
		Long: `Joue chez un organisme, comme le RPN le ferait, une douzaine d'échanges sur un
bénéficiaire fictif : connexions, demandes bonnes, non signée, mal signée, d'un
mégaoctet, lente, connexion gardée, fermeture. Le rapport est rangé selon les
phases de la certification, et dit de chaque essai ce qui était attendu et obtenu.

--out écrit le rapport : .html, .json ou texte, selon le nom. Rien d'une demande ni
d'une réponse n'y figure. À jouer contre une plateforme d'essais, jamais en
production.

Code de sortie : 0 quand tous les essais sont réussis, 1 sinon, 2 quand la ligne de
commande ou un fichier est faux.`,
		Example: `  rpn amc test --url https://roc.organisme.example/roc --amc 0099000003 --caller 1010003812 \
    --ca ca.pem --cert client.pem --key client.key --sign-cert sign.pem --sign-key sign.key --out rapport.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := o.play(cmd.Context())
			if err != nil {
				return refused(err)
			}
			return o.report(cmd.OutOrStdout(), r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.send.url, "url", "", "l'adresse de l'organisme, en https://")
	f.StringVar(&o.amc, "amc", "", "le numéro de l'organisme")
	f.StringVar(&o.caller, "caller", "", "la structure de l'établissement qui signe (OU), comme 1010003812")
	f.StringVar(&o.send.ca, "ca", "", "fichier PEM des autorités du serveur de l'organisme (par défaut : celles de cette machine)")
	f.StringVar(&o.send.cert, "cert", "", "fichier PEM du certificat client, celui que le RPN présente")
	f.StringVar(&o.send.key, "key", "", "fichier PEM de sa clé")
	f.StringVar(&o.send.signCert, "sign-cert", "", "fichier PEM du certificat de signature d'un établissement")
	f.StringVar(&o.send.signKey, "sign-key", "", "fichier PEM de sa clé")
	f.StringVar(&o.connect, "connect", "", "adresse (HÔTE:PORT) à joindre au lieu de celle du nom, tant que le DNS ne le donne pas")
	f.StringVar(&o.out, "out", "", "fichier du rapport : .html, .json, ou texte")
	f.BoolVar(&o.json, "json", false, "écrit le rapport en JSON sur la sortie standard")
	f.DurationVar(&o.send.timeout, "timeout", 30*time.Second, "durée d'un essai au plus")
	f.DurationVar(&o.pause, "pause", time.Second, "attente entre deux morceaux de l'envoi lent")
	for _, name := range []string{"url", "amc", "caller", "cert", "key", "sign-cert", "sign-key"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

// An amcReport is what was found of an insurer. It holds nothing of a message.
type amcReport struct {
	URL       string     `json:"url"`
	Organisme string     `json:"organisme"`
	Date      time.Time  `json:"date"`
	Outil     string     `json:"outil"`
	Phases    []amcPhase `json:"phases"`
	Reussis   int        `json:"reussis"`
	Total     int        `json:"total"`
}

type amcPhase struct {
	Nom    string    `json:"nom"`
	Essais []amcCase `json:"essais"`
}

type amcCase struct {
	Nom     string        `json:"nom"`
	Attendu string        `json:"attendu"`
	Obtenu  string        `json:"obtenu"`
	Reussi  bool          `json:"reussi"`
	Duree   time.Duration `json:"duree_ns"`
}

// An insurer is who is tried.
type insurer struct {
	o      amcTestOptions
	pair   tls.Certificate
	config *tls.Config
	demand message.Demande
}

// The phases, as the certification of insurers names them.
const (
	phaseConnexion = "Accrochage"
	phaseTests     = "Tests internes"
	phasePassage   = "Passage préparatoire"
)

// trials are the exchanges: each says what it expects, and returns what it got.
func (a *insurer) trials() []struct {
	phase, name, expects string
	play                 func(context.Context) (string, bool)
} {
	good := func(s roc.Service, v roc.Version, version soap.Version) func(context.Context) (string, bool) {
		return func(ctx context.Context) (string, bool) {
			return a.asked(ctx, a.client(0, true), request{service: s, version: v, soap: version})
		}
	}
	return []struct {
		phase, name, expects string
		play                 func(context.Context) (string, bool)
	}{
		{phaseConnexion, "TLS 1.3", "une connexion, avec le certificat client", a.handshake(tls.VersionTLS13, true)},
		{phaseConnexion, "TLS 1.2", "une connexion, avec le certificat client", a.handshake(tls.VersionTLS12, true)},
		{phaseConnexion, "sans certificat client", "aucune réponse à une demande", a.handshake(0, false)},
		{phaseTests, "droits, V1, SOAP 1.1", "HTTP 200 et une réponse de cette opération", good(roc.IDB, roc.V1, soap.SOAP11)},
		{phaseTests, "droits, V1, SOAP 1.2", "HTTP 200 et une réponse de cette opération", good(roc.IDB, roc.V1, soap.SOAP12)},
		{phaseTests, "droits, V2, SOAP 1.2", "HTTP 200 et une réponse de cette opération", good(roc.IDB, roc.V2, soap.SOAP12)},
		{phaseTests, "calcul, V1", "HTTP 200 et une réponse de cette opération", good(roc.CLC, roc.V1, soap.SOAP12)},
		{phaseTests, "sans signature", "une faute SOAP", a.refuses(request{unsigned: true})},
		{phaseTests, "changée après la signature", "une faute SOAP", a.refuses(request{altered: true})},
		{phasePassage, "un mégaoctet", "HTTP 200 et une réponse de cette opération", func(ctx context.Context) (string, bool) {
			return a.asked(ctx, a.client(0, true), request{service: roc.CLC, large: true})
		}},
		{phasePassage, "envoi lent", "HTTP 200 et une réponse de cette opération", func(ctx context.Context) (string, bool) {
			return a.asked(ctx, a.client(0, true), request{slow: a.o.pause})
		}},
		{phasePassage, "connexion gardée", "deux réponses sur une même connexion", a.keptOpen},
		{phasePassage, "fermeture demandée", "une réponse, puis la fin de la connexion", a.closes},
	}
}

func (o *amcTestOptions) play(ctx context.Context) (*amcReport, error) {
	n, err := roc.ParseNumeroAMC(o.amc)
	if err != nil {
		return nil, fmt.Errorf("--amc %q n'est pas un numéro d'organisme : 8 à 10 chiffres", o.amc)
	}
	id, err := roc.ParseStructureID(o.caller)
	ej, ok := id.FINESS()
	if err != nil || !ok {
		return nil, fmt.Errorf("--caller %q n'est pas une structure : 1 et un FINESS, comme 1010003812", o.caller)
	}
	if !strings.HasPrefix(o.send.url, "https://") {
		return nil, fmt.Errorf("--url %s : écrivez une adresse en https://", o.send.url)
	}
	a := &insurer{o: *o, demand: message.SampleDemande(time.Now().UTC(), ej, n)}
	if a.pair, err = loadPair("--cert", o.send.cert, "--key", o.send.key); err != nil {
		return nil, err
	}
	if _, err := loadPair("--sign-cert", o.send.signCert, "--sign-key", o.send.signKey); err != nil {
		return nil, err
	}
	if a.config, err = clientTLS(a.pair, o.send.ca); err != nil {
		return nil, err
	}
	r := &amcReport{URL: o.send.url, Organisme: string(n), Date: time.Now().UTC().Truncate(time.Second), Outil: "rpn " + version()}
	for _, t := range a.trials() {
		begun := time.Now()
		within, cancel := context.WithTimeout(ctx, o.send.timeout)
		got, passed := t.play(within)
		cancel()
		if ctx.Err() != nil {
			return nil, errors.New("interrompu")
		}
		if len(r.Phases) == 0 || r.Phases[len(r.Phases)-1].Nom != t.phase {
			r.Phases = append(r.Phases, amcPhase{Nom: t.phase})
		}
		p := &r.Phases[len(r.Phases)-1]
		p.Essais = append(p.Essais, amcCase{t.name, t.expects, got, passed, time.Since(begun)})
		if r.Total++; passed {
			r.Reussis++
		}
	}
	return r, nil
}

// client makes a client of its own connection, in one version of TLS where that
// is not 0.
func (a *insurer) client(tlsVersion uint16, withCertificate bool) *http.Client {
	c := a.config.Clone()
	if tlsVersion != 0 {
		c.MinVersion, c.MaxVersion = tlsVersion, tlsVersion
	}
	if !withCertificate {
		c.GetClientCertificate = nil
	}
	t := &http.Transport{TLSClientConfig: c, DisableCompression: true}
	if a.o.connect != "" {
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, a.o.connect)
		}
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A request is what is different from an IDB V1 in SOAP 1.2.
type request struct {
	service                  roc.Service
	version                  roc.Version
	soap                     soap.Version
	unsigned, altered, large bool
	slow                     time.Duration
	close                    bool
	connected                func(reused bool)
}

// An outcome is what came back, without what it says.
type outcome struct {
	status  int
	media   string
	fault   bool
	answers bool // the answer of that operation
	cr      string
	closed  bool // the server ends the connection
}

func (o outcome) String() string {
	s := fmt.Sprintf("HTTP %d", o.status)
	switch {
	case o.fault:
		s += ", une faute SOAP"
	case o.answers:
		s += ", la réponse de l'opération"
		if o.cr != "" {
			s += ", CR " + o.cr
		}
	default:
		s += ", ni réponse de l'opération ni faute SOAP (" + cmp.Or(o.media, "sans Content-Type") + ")"
	}
	return s
}

var codeCR = regexp.MustCompile(`<CodeCR>\s*([0-9]{2})\s*</CodeCR>`)

// maxTestAnswer bounds what is read of an answer.
const maxTestAnswer = 8 << 20

func testLimits() soap.Limits {
	l := soap.DefaultLimits
	l.Bytes = maxTestAnswer
	return l
}

func (a *insurer) exchange(ctx context.Context, client *http.Client, q request) (outcome, error) {
	defer client.CloseIdleConnections()
	return a.exchangeKept(ctx, client, q)
}

func (a *insurer) exchangeKept(ctx context.Context, client *http.Client, q request) (outcome, error) {
	q.service, q.version = cmp.Or(q.service, roc.IDB), cmp.Or(q.version, roc.V1)
	if q.soap == 0 {
		q.soap = soap.SOAP12
	}
	op, _ := message.OperationFor(q.service, q.version)
	m, err := a.write(op, q)
	if err != nil {
		return outcome{}, err
	}
	if q.connected != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { q.connected(i.Reused) }})
	}
	var body io.Reader = bytes.NewReader(m.Bytes())
	if q.slow > 0 {
		body = &slowly{m.Bytes(), q.slow, ctx}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.o.send.url, body)
	if err != nil {
		return outcome{}, err
	}
	req.ContentLength, req.Close = int64(m.Len()), q.close
	setHeaders(req, q.soap, op.Action)
	req.Header.Set("RPN-Echange", string(roc.NewExchangeID(time.Now())))
	req.Header.Set("RPN-Structure", a.o.caller)
	req.Header.Set("Via", "1.1 rpn")
	resp, err := client.Do(req)
	if err != nil {
		return outcome{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxTestAnswer))
	if err != nil {
		return outcome{}, err
	}
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	o := outcome{status: resp.StatusCode, media: media, closed: resp.Close}
	if env, err := soap.Read(roc.NewContent(answer), testLimits()); err == nil {
		o.fault = env.Operation().Local == "Fault"
		o.answers = env.Operation() == op.Answer
		if found := codeCR.FindSubmatch(answer); found != nil && o.answers {
			o.cr = string(found[1])
		}
	}
	return o, nil
}

// write writes the request, and signs it.
func (a *insurer) write(op message.Operation, q request) (roc.Content, error) {
	m := message.SampleRequest(op, a.demand, q.soap)
	if q.large {
		m = enlarged(m)
	}
	if !q.unsigned {
		var err error
		if m, err = signMessage(m, a.o.send); err != nil {
			return m, err
		}
	}
	if q.altered {
		m = roc.NewContent(bytes.Replace(m.Bytes(), []byte("FICTIF"), []byte("FICTIV"), 1))
	}
	return m, nil
}

// enlarged repeats the lines of a calculation until there is a megabyte of them.
func enlarged(m roc.Content) roc.Content {
	text := string(m.Bytes())
	from, to := strings.Index(text, "<prestation>"), strings.LastIndex(text, "</prestations>")
	if from < 0 || to < 0 {
		return m
	}
	lines := text[from:to]
	return roc.NewContent([]byte(text[:from] + strings.Repeat(lines, 1<<20/len(lines)) + text[to:]))
}

// slowly reads a message a piece at a time.
type slowly struct {
	rest  []byte
	pause time.Duration
	ctx   context.Context
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.pause):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	n := copy(p[:min(len(p), 2048)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (a *insurer) handshake(v uint16, withCertificate bool) func(context.Context) (string, bool) {
	return func(ctx context.Context) (string, bool) {
		o, err := a.exchange(ctx, a.client(v, withCertificate), request{})
		switch {
		case withCertificate && err != nil:
			return explainTLS(err), false
		case withCertificate:
			return "connexion établie", true
		case err != nil:
			return "connexion refusée", true
		}
		return "connexion établie, " + o.String(), o.status == http.StatusForbidden || o.status == http.StatusUnauthorized
	}
}

// asked expects an answer.
func (a *insurer) asked(ctx context.Context, client *http.Client, q request) (string, bool) {
	o, err := a.exchange(ctx, client, q)
	if err != nil {
		return explainTLS(err), false
	}
	return o.String(), o.status == http.StatusOK && o.answers
}

func (a *insurer) refuses(q request) func(context.Context) (string, bool) {
	return func(ctx context.Context) (string, bool) {
		o, err := a.exchange(ctx, a.client(0, true), q)
		if err != nil {
			return explainTLS(err), false
		}
		return o.String(), o.fault
	}
}

func (a *insurer) keptOpen(ctx context.Context) (string, bool) {
	client, again := a.client(0, true), false
	defer client.CloseIdleConnections()
	for range 2 {
		o, err := a.exchangeKept(ctx, client, request{connected: func(reused bool) { again = reused }})
		if err != nil {
			return explainTLS(err), false
		}
		if !o.answers {
			return o.String(), false
		}
	}
	if !again {
		return "deux réponses, sur deux connexions", false
	}
	return "deux réponses sur une même connexion", true
}

func (a *insurer) closes(ctx context.Context) (string, bool) {
	o, err := a.exchange(ctx, a.client(0, true), request{close: true})
	switch {
	case err != nil:
		return explainTLS(err), false
	case !o.answers:
		return o.String(), false
	case !o.closed:
		return "une réponse, sans « Connection: close »", false
	}
	return "une réponse, et la fin de la connexion", true
}

// report writes the report where it is wanted.
func (o *amcTestOptions) report(out io.Writer, r *amcReport) error {
	if o.out != "" {
		var b bytes.Buffer
		if err := r.write(&b, strings.ToLower(filepath.Ext(o.out))); err != nil {
			return failed(err)
		}
		if err := durable.WriteFile(o.out, b.Bytes(), 0o644); err != nil {
			return failed(err)
		}
	}
	format := ""
	if o.json {
		format = ".json"
	}
	if err := r.write(out, format); err != nil {
		return failed(err)
	}
	if r.Reussis < r.Total {
		return failed(nil)
	}
	return nil
}

func (r *amcReport) write(out io.Writer, format string) error {
	switch format {
	case ".json":
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case ".html", ".htm":
		return amcReportPage.Execute(out, r)
	}
	fmt.Fprintf(out, "Essais de l'organisme %s\n%s, le %s, par %s\n", r.Organisme, r.URL, r.Date.Format("02/01/2006 15:04 MST"), r.Outil)
	for _, p := range r.Phases {
		fmt.Fprintf(out, "\n%s\n", p.Nom)
		for _, e := range p.Essais {
			fmt.Fprintf(out, "  %s  %s (%d ms)\n          attendu : %s\n          obtenu  : %s\n", e.Verdict(), e.Nom, e.Duree.Milliseconds(), e.Attendu, e.Obtenu)
		}
	}
	_, err := fmt.Fprintf(out, "\n%d essais réussis sur %d\n", r.Reussis, r.Total)
	return err
}

// Verdict is one word, of one width.
func (e amcCase) Verdict() string {
	if e.Reussi {
		return "réussi"
	}
	return "ÉCHEC "
}

var amcReportPage = template.Must(template.New("report").Parse(`<!DOCTYPE html>
<html lang="fr"><head><meta charset="utf-8"><title>Essais de l'organisme {{.Organisme}}</title>
<style>body{font-family:sans-serif;max-width:60rem;margin:2rem auto}table{border-collapse:collapse;width:100%}th,td{border:1px solid #888;padding:.4rem;text-align:left}</style></head>
<body><h1>Essais de l'organisme {{.Organisme}}</h1>
<p>{{.URL}}, le {{.Date.Format "02/01/2006 15:04 MST"}}, par {{.Outil}}. <strong>{{.Reussis}} essais réussis sur {{.Total}}.</strong></p>
{{range .Phases}}<h2>{{.Nom}}</h2>
<table><thead><tr><th scope="col">Essai</th><th scope="col">Attendu</th><th scope="col">Obtenu</th><th scope="col">Verdict</th><th scope="col">Durée</th></tr></thead><tbody>
{{range .Essais}}<tr><th scope="row">{{.Nom}}</th><td>{{.Attendu}}</td><td>{{.Obtenu}}</td><td>{{.Verdict}}</td><td>{{.Duree.Milliseconds}} ms</td></tr>
{{end}}</tbody></table>
{{end}}</body></html>
`))
