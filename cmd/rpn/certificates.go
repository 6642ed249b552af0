package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func certificatesCommand() *cobra.Command {
	var where adminFlags
	var o certificatesOptions
	cmd := &cobra.Command{
		Use:   "certificates",
		Short: "Show which certificates end, when, whose they are and what is at stake",
		Long: `Certificates asks the running RPN for every certificate that it knows: its own,
those that establishments, insurers and the annuaire have shown since it
started, the authorities of the trust stores and the revocation lists. The one
that ends first comes first. A certificate that its owner has replaced is left
out, unless --all asks for it.

It exits with 1 when one of them has ended or ends within a day.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return certificates(cmd, where, o) },
	}
	where.add(cmd)
	cmd.Flags().IntVar(&o.within, "within", 60, "days: only those that end sooner; 0 shows all")
	cmd.Flags().StringVar(&o.region, "region", "", "only establishments of this région")
	cmd.Flags().StringVar(&o.departement, "departement", "", "only establishments of this département")
	cmd.Flags().StringVar(&o.kind, "kind", "", "only this kind: rpn-serveur, etablissement-tls, autorite...")
	cmd.Flags().BoolVar(&o.csv, "csv", false, "write CSV, every column")
	cmd.Flags().BoolVar(&o.all, "all", false, "those that have been replaced, too")
	cmd.Flags().BoolVar(&o.territories, "territories", false, "the deployment by région and département instead")
	return cmd
}

type certificatesOptions struct {
	within                    int
	region, departement, kind string
	csv, all, territories     bool
}

func certificates(cmd *cobra.Command, where adminFlags, o certificatesOptions) error {
	query := url.Values{"format": {"json"}, "region": {o.region}, "departement": {o.departement}, "nature": {o.kind}}
	body, _, err := where.ask(cmd.Context(), http.MethodGet, "/certificats?"+query.Encode())
	if err != nil {
		return err
	}
	var c admin.Certificates
	if err := json.Unmarshal(body, &c); err != nil {
		return failed(fmt.Errorf("the answer of the RPN cannot be read: %w", err))
	}
	if o.territories {
		return writeTerritories(cmd.OutOrStdout(), c.Territories)
	}
	kept := o.keep(c.Certificates)
	write := writeCertificates
	if o.csv {
		write = admin.WriteCertificatesCSV
	}
	if err := write(cmd.OutOrStdout(), kept); err != nil {
		return err
	}
	for _, e := range kept {
		if !e.Renewed && (e.Level == expiry.Ended || e.Level == expiry.Within1) {
			return &exitError{code: exitFailed}
		}
	}
	return nil
}

func (o certificatesOptions) keep(all []expiry.Expiry) []expiry.Expiry {
	var kept []expiry.Expiry
	for _, e := range all {
		if (o.within <= 0 || e.Days < o.within) && (o.all || !e.Renewed) {
			kept = append(kept, e)
		}
	}
	return kept
}

func writeCertificates(w io.Writer, all []expiry.Expiry) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no certificate ends in that time")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "END\tLEFT\tKIND\tOWNER\tNAME\tDEPT\tCALLS/DAY\tSERIAL")
	for _, e := range all {
		left := strconv.Itoa(e.Days) + "d"
		if e.Level == expiry.Ended {
			left = "ended"
		}
		if e.Renewed {
			left += " (replaced)"
		}
		name := e.Nom
		if name == "" {
			name = e.Subject
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", e.End.UTC().Format(time.DateOnly), left, e.Kind, e.Owner, short(name, 48), e.Departement, e.Calls, short(e.Serial, 20))
	}
	return t.Flush()
}

func writeTerritories(w io.Writer, all []admin.Territory) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REGION\tDEPT\tESTABLISHMENTS\tTLS\tSIGNATURE\tENDS IN 60D\tENDED\tCALLS/DAY AT STAKE")
	for _, p := range all {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", p.Region, p.Departement, p.Etablissements, p.TLS, p.Signature, p.Soon, p.Ended, p.Calls)
	}
	return t.Flush()
}

func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func reloadCommand() *cobra.Command {
	var where adminFlags
	var force, forceRegister bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running RPN read its lists, certificates and trust stores again",
		Long: `Reload asks the running RPN to read again the lists, its certificates and the
trust stores, waits for the outcome and prints what changed. A set that is
worse is refused: a key of another certificate, a certificate that has ended,
an empty trust store, an authority that goes although it had clients today. The
old one then goes on, and reload exits with 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			if force {
				q.Add("force", "certificates")
			}
			if forceRegister {
				q.Add("force", "register")
			}
			return where.act(cmd, "/-/reload?"+q.Encode())
		},
	}
	where.add(cmd)
	cmd.Flags().BoolVar(&forceRegister, "force-register", false, "take a register that drops more than it may")
	cmd.Flags().BoolVar(&force, "force", false, "let go of an authority that still has clients, or of a name of the server certificate")
	return cmd
}

// adminFlags say where the running RPN's admin listener is.
type adminFlags struct{ address, config, cert, key, ca string }

func (f *adminFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.address, "admin", "", "address and port of the admin listener, or its unix socket (default: those of the configuration, else 127.0.0.1:9464)")
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "take address and socket from this configuration (default: "+defaultConfig+", where it can be read)")
	cmd.Flags().StringVar(&f.cert, "cert", "", "by TLS (admin_tls): client certificate of the operator, PEM, who may then act")
	cmd.Flags().StringVar(&f.key, "key", "", "its private key, PEM")
	cmd.Flags().StringVar(&f.ca, "ca", "", "by TLS: authorities of the admin listener, PEM; without it, the system's")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.MarkFlagsMutuallyExclusive("admin", "config")
	cmd.MarkFlagsRequiredTogether("cert", "key")
}

// readyz answers 503 too, with the same document.
const readyz = "/readyz"

// maxAdminAnswer is far above the certificates of the country.
const maxAdminAnswer = 64 << 20

// ask sends one request, and returns the body and whether it was answered with
// a 2xx. The error is of an RPN that does not answer. What acts goes by the
// unix socket of that RPN, and so does the rest when a configuration names it.
func (f adminFlags) ask(ctx context.Context, method, path string) (body []byte, good bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if f.address == "" && f.config == "" && !f.tls() {
		f.config = orDefault("")
	}
	address, socket := cmp.Or(f.address, "127.0.0.1:9464"), ""
	switch {
	case f.tls() && f.config == "":
	case f.config != "":
		c, err := config.Read(f.config)
		if err != nil {
			return nil, false, refused(err)
		}
		if address = c.Admin; !f.tls() {
			socket = c.AdminSocket
		}
	case strings.Contains(address, "/"):
		address, socket = "localhost", address
	case method != http.MethodGet:
		name, _, err := f.send(ctx, "", http.MethodGet, address, "/-/socket")
		if err != nil {
			return nil, false, err
		}
		socket = string(name)
	}
	return f.send(ctx, socket, method, address, path)
}

// tls reports whether the listener is asked by TLS.
func (f adminFlags) tls() bool { return f.cert != "" || f.ca != "" }

func (f adminFlags) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if f.ca != "" {
		pool, err := trust.ReadPool(f.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		c.RootCAs = pool
	}
	if f.cert != "" {
		pair, err := trust.ReadPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("--cert, --key: %w", err)
		}
		// Shown whatever authorities the listener names: its refusal says more.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c, nil
}

func (f adminFlags) send(ctx context.Context, socket, method, address, path string) (body []byte, good bool, err error) {
	scheme, transport := "http://", &http.Transport{Proxy: nil, DisableKeepAlives: true}
	if f.tls() {
		scheme = "https://"
		if transport.TLSClientConfig, err = f.tlsConfig(); err != nil {
			return nil, false, refused(err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, scheme+address+path, nil)
	if err != nil {
		return nil, false, refused(fmt.Errorf("%q is not an address and a port: 127.0.0.1:9464", address))
	}
	client, where := &http.Client{Transport: transport}, address
	if socket != "" {
		client, where = admin.Client(socket), socket
	}
	answer, err := client.Do(request)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, false, refused(fmt.Errorf("%s may not be opened by this user: run this as the user of the RPN, or in its group", socket))
	case err != nil:
		return nil, false, failed(fmt.Errorf("no RPN answers at %s: is it running, and is that its admin address? (%w)", where, err))
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAdminAnswer))
	if err != nil {
		return nil, false, failed(fmt.Errorf("the RPN at %s stopped in the middle of its answer: %w", where, err))
	}
	if method == http.MethodGet && answer.StatusCode != http.StatusOK && !(path == readyz && answer.StatusCode == http.StatusServiceUnavailable) {
		return nil, false, failed(fmt.Errorf("the RPN at %s answers %s: %s", where, answer.Status, short(strings.TrimSpace(string(body)), 200)))
	}
	return body, answer.StatusCode/100 == 2, nil
}
