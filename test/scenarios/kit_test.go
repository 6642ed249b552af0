package scenarios

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// A caller is a raw connection of an establishment.
type caller struct {
	*tls.Conn
	t *testing.T
	r *bufio.Reader
}

// connect opens a TLS connection that shows that certificate; it returns what
// the first read after the handshake says, for a server that refuses in TLS
// 1.3 says so after it.
func connect(t *testing.T, n *nation.Nation, change func(*tls.Config), show ...igc.Pair) (*tls.Conn, error) {
	t.Helper()
	u, err := url.Parse(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{
		RootCAs: n.PKI.Pool(igc.EtablissementTLS), ServerName: "localhost",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c := &tls.Certificate{}
			if len(show) > 0 {
				*c = show[0].TLS()
			}
			return c, nil
		},
	}
	if change != nil {
		change(config)
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: await.Patience}, "tcp", "127.0.0.1:"+u.Port(), config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(await.Patience))
	return conn, nil
}

func dial(t *testing.T, n *nation.Nation, show igc.Pair) *caller {
	t.Helper()
	conn, err := connect(t, n, nil, show)
	if err != nil {
		t.Fatal(err)
	}
	return &caller{conn, t, bufio.NewReader(conn)}
}

// say writes; a peer that refuses early may close before the end.
func (c *caller) say(raw string) { io.WriteString(c, raw) }

// hear reads one answer.
func (c *caller) hear() (status int, header http.Header, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// wantClosed checks that nothing more comes.
func (c *caller) wantClosed() {
	c.t.Helper()
	var timeout net.Error
	if b, err := io.ReadAll(c.r); len(b) > 0 || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("the connection stays open: %d bytes more, %v", len(b), err)
	}
}

// wantNoHandshake checks that a connection is refused before any HTTP, counted
// by reason, and told in one line of the log with what was presented.
func wantNoHandshake(t *testing.T, n *nation.Nation, reason, subject string, change func(*tls.Config), show ...igc.Pair) {
	t.Helper()
	counter := `rpn_tls_handshake_failures_total{reason="` + reason + `"}`
	before, _ := strconv.Atoi(n.Metric(counter))
	conn, err := connect(t, n, change, show...)
	if err == nil {
		c := &caller{conn, t, bufio.NewReader(conn)}
		c.say("POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
		c.wantClosed()
	}
	await.Until(t, counter+" counts it", func() bool {
		after, _ := strconv.Atoi(n.Metric(counter))
		return after == before+1
	})
	var told []nation.Line
	for line := range strings.Lines(n.Log()) {
		var l nation.Line
		if json.Unmarshal([]byte(line), &l) == nil && l.Text("reason") == reason {
			told = append(told, l)
		}
	}
	if len(told) != before+1 {
		t.Fatalf("%d lines of the log for %d failures", len(told), before+1)
	}
	if got := told[before].Text("subject"); !strings.Contains(got, subject) || (subject == "") != (got == "") {
		t.Errorf("the log names the subject %q, want %q in it", got, subject)
	}
	if lines := n.Lines("exchange"); len(lines) > 0 {
		t.Errorf("an exchange was opened: %v", lines)
	}
}

// with changes a draft.
func with(change func(d *inner.Draft)) nation.Mutation { return change }

// replacing replaces a text of the message after it was signed. It must be
// there.
func replacing(t *testing.T, old, new string) nation.Mutation {
	return with(func(d *inner.Draft) {
		d.Alter = func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Errorf("the message does not hold %q", old)
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	})
}

// raw sends these bytes in the place of the message.
func raw(text string) nation.Mutation {
	return with(func(d *inner.Draft) { d.Alter = func([]byte) []byte { return []byte(text) } })
}
