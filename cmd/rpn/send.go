package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// sendOptions are the flags of `rpn send`.
type sendOptions struct {
	url               string
	cert, key         string
	signCert, signKey string
	ca                string
	signOnly, asIs    bool
	bodyOnly          bool
	timeout           time.Duration
}

func sendCommand() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send [flags] FILE",
		Short: "Sign a SOAP message and send it with a client certificate",
		Long: `Send signs the SOAP message in FILE ("-": standard input), sends it to an RPN
with a client certificate, and prints what came back: the HTTP status, the RPN's
headers, an empty line and the body of the answer.

It exits with 0 on an answer (HTTP 2xx), 1 on a fault or when nothing came back,
2 when the command line or a file is wrong.`,
		Example: `  rpn send --url https://localhost:8443/roc --ca ca.pem \
    --cert auth.pem --key auth.key --sign-cert sign.pem --sign-key sign.key idb.xml
  rpn send --sign-only --sign-cert sign.pem --sign-key sign.key idb.xml > signed.xml
  rpn send --as-is --url https://localhost:8443/roc --ca ca.pem --cert auth.pem --key auth.key signed.xml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return refused(err)
			}
			return send(cmd.Context(), o, args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "where to send it: https://rpn.example/roc")
	f.StringVar(&o.cert, "cert", "", "PEM file of the TLS client certificate, with its intermediates")
	f.StringVar(&o.key, "key", "", "PEM file of its key")
	f.StringVar(&o.signCert, "sign-cert", "", "PEM file of the signature certificate, with its intermediates")
	f.StringVar(&o.signKey, "sign-key", "", "PEM file of its key")
	f.StringVar(&o.ca, "ca", "", "PEM file of the authorities of the RPN's certificate (default: those of this machine)")
	f.BoolVar(&o.signOnly, "sign-only", false, "write the signed message to standard output, and send nothing")
	f.BoolVar(&o.asIs, "as-is", false, "send the file byte for byte, without signing it")
	f.BoolVar(&o.bodyOnly, "body-only", false, "print the body of the answer alone")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "how long the whole call may take")
	return cmd
}

// check says which flags are missing, or do not go together.
func (o *sendOptions) check() error {
	var missing []string
	need := func(name, value string) {
		if value == "" {
			missing = append(missing, "--"+name)
		}
	}
	if o.signOnly && o.asIs {
		return errors.New("--sign-only and --as-is exclude each other")
	}
	if !o.asIs {
		need("sign-cert", o.signCert)
		need("sign-key", o.signKey)
	}
	if !o.signOnly {
		need("url", o.url)
		need("cert", o.cert)
		need("key", o.key)
	}
	if len(missing) > 0 {
		return fmt.Errorf("send: %s is missing (rpn send --help)", strings.Join(missing, ", "))
	}
	if !o.signOnly && !strings.HasPrefix(o.url, "https://") {
		return fmt.Errorf("send: --url %s: write it with https://", o.url)
	}
	return nil
}

func send(ctx context.Context, o sendOptions, file string, in io.Reader, out io.Writer) error {
	m, err := readMessage(file, in)
	if err != nil {
		return refused(err)
	}
	v := soap.VersionFor("", m.Bytes())
	action := ""
	if env, err := soap.Read(m, soap.DefaultLimits); err == nil {
		v = env.Version()
		if op, ok := message.OperationOf(env.Operation()); ok {
			action = op.Action
		}
	} else if !o.asIs {
		return refused(fmt.Errorf("send: %s is not a message that can be signed: %w", file, err))
	}
	if !o.asIs {
		if m, err = signMessage(m, o); err != nil {
			return refused(err)
		}
	}
	if o.signOnly {
		_, err := out.Write(m.Bytes())
		return err
	}
	client, err := sendClient(o)
	if err != nil {
		return refused(err)
	}
	defer client.CloseIdleConnections()
	return post(ctx, client, o, v, action, m, out)
}

func readMessage(file string, in io.Reader) (roc.Content, error) {
	if file != "-" {
		b, err := os.ReadFile(file)
		return roc.NewContent(b), err
	}
	b, err := io.ReadAll(in)
	return roc.NewContent(b), err
}

func signMessage(m roc.Content, o sendOptions) (roc.Content, error) {
	pair, err := loadPair("--sign-cert", o.signCert, "--sign-key", o.signKey)
	if err != nil {
		return m, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return m, fmt.Errorf("--sign-key %s: this key cannot sign", o.signKey)
	}
	key := xmlsig.Key{Certificate: pair.Leaf, Signer: signer}
	for _, der := range pair.Certificate[1:] {
		c, err := roc.ParseCertificate(der)
		if err != nil {
			return m, fmt.Errorf("--sign-cert %s: %w", o.signCert, err)
		}
		key.Chain = append(key.Chain, c)
	}
	return xmlsig.Sign(m, key, xmlsig.SignOptions{At: time.Now()})
}

func loadPair(certFlag, cert, keyFlag, key string) (tls.Certificate, error) {
	for _, f := range []struct{ flag, file string }{{certFlag, cert}, {keyFlag, key}} {
		if _, err := os.Stat(f.file); err != nil {
			return tls.Certificate{}, fmt.Errorf("%s: %w", f.flag, err)
		}
	}
	pair, err := trust.ReadPair(cert, key)
	if err != nil {
		return pair, fmt.Errorf("%s %s with %s %s: %w", certFlag, cert, keyFlag, key, err)
	}
	return pair, nil
}

func sendClient(o sendOptions) (*http.Client, error) {
	pair, err := loadPair("--cert", o.cert, "--key", o.key)
	if err != nil {
		return nil, err
	}
	config, err := clientTLS(pair, o.ca)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:       o.timeout,
		Transport:     &http.Transport{TLSClientConfig: config},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// clientTLS is a client with that certificate; ca is a file of the authorities of
// servers, "" those of this machine.
func clientTLS(pair tls.Certificate, ca string) (*tls.Config, error) {
	config := &tls.Config{
		// Shown whatever authorities the server names: its refusal says more
		// than a certificate held back.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
		MinVersion:           tls.VersionTLS12,
	}
	if ca == "" {
		return config, nil
	}
	var err error
	if config.RootCAs, err = trust.ReadPool(ca); err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	return config, nil
}

func post(ctx context.Context, client *http.Client, o sendOptions, v soap.Version, action string, m roc.Content, out io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(m.Bytes()))
	if err != nil {
		return refused(err)
	}
	setHeaders(req, v, action)
	resp, err := client.Do(req)
	if err != nil {
		return failed(fmt.Errorf("nothing came back: %w", err))
	}
	defer resp.Body.Close()
	if !o.bodyOnly {
		writeHead(out, resp)
	}
	if _, err := io.Copy(out, resp.Body); err != nil {
		return failed(fmt.Errorf("the answer was cut short: %w", err))
	}
	fmt.Fprintln(out)
	if resp.StatusCode/100 != 2 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// setHeaders sets those of a SOAP request.
func setHeaders(req *http.Request, v soap.Version, action string) {
	contentType := v.ContentType()
	if v == soap.SOAP11 {
		req.Header.Set("SOAPAction", `"`+action+`"`)
	} else if action != "" {
		contentType += `; action="` + action + `"`
	}
	req.Header.Set("Content-Type", contentType)
}

// writeHead prints the status and the headers that mean something: ours, and
// those that say what the body is.
func writeHead(out io.Writer, resp *http.Response) {
	fmt.Fprintf(out, "HTTP %s\n", resp.Status)
	var names []string
	for n := range resp.Header {
		if strings.HasPrefix(strings.ToUpper(n), "RPN-") || slices.Contains([]string{"Content-Type", "Retry-After", "Server-Timing"}, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(out, "%s: %s\n", strings.Replace(n, "Rpn-", "RPN-", 1), resp.Header.Get(n))
	}
	fmt.Fprintln(out)
}
