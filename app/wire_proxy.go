package app

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func (a *App) sender(client *tlsconf.Client, filter *egress.Filter, b http1.Breaker, late func(http1.Late)) *http1.Upstream {
	return http1.NewUpstream(http1.UpstreamOptions{
		ClassicHandshake: client.ClassicHandshake,
		WrongTime: func(err error) bool {
			f := trust.AsFailure(err)
			return f != nil && (f.Reason == trust.NotYetValid || f.Reason == trust.Expired)
		},
		OwnFault:      a.clientFault,
		OnUnsolicited: func(string) { a.live.UnsolicitedAnswer() },
		OnLate:        late,
		Log:           a.log,
		Handshake:     client.Handshake,
		Egress:        filter,
		DialTimeout:   a.config.Timeouts.Connect,
		AnswerBytes:   int(a.config.Limits.AnswerBytes),
		MaxConns:      2 * a.config.Limits.PerAMC, // the seats of an AMC bound it: several AMCs may share a host
		Breaker:       b,
		Now:           a.now,
	})
}

// lateAnswer logs an answer that nobody waited for any more.
func (a *App) lateAnswer(l http1.Late) {
	a.live.LateAnswer()
	a.log.Warn("an AMC answered after the deadline of the exchange: it may have done what it was asked", slog.String("event", "late_answer"),
		slog.String("echange", string(l.Exchange)), slog.String("service", l.Service.String()), slog.String("amc", string(l.AMC)), slog.String("host", l.Host), slog.Int64("after_ms", l.After.Milliseconds()))
}

// serverName is a DNS name of our server certificate, for the description.
func (a *App) serverName() string {
	for _, c := range a.own.Of("server").Certificates() {
		if c.Leaf != nil && len(c.Leaf.DNSNames) > 0 {
			return c.Leaf.DNSNames[0]
		}
	}
	return ""
}

// handshakesEnd is how long a handshake that was under way when the listener
// closed may still last.
const handshakesEnd = 3 * time.Second

// startProxy opens the listener of the establishments.
func (a *App) startProxy() error {
	ln := a.opts.Listener
	if ln == nil {
		var err error
		if ln, err = a.listen("listen", a.config.Listen); err != nil {
			return err
		}
	}
	a.addr, a.listener = ln.Addr(), ln
	secure, err := tlsconf.NewListener(ln, tlsconf.ListenerOptions{
		Server: a.server, Log: a.log, Deadline: a.config.Timeouts.Handshake,
		Handshakes: a.config.Limits.Handshakes, PerAddress: a.config.Limits.PerAddress,
		Drain:     handshakesEnd,
		Balancers: a.config.ProxyProtocol.From, HeaderDeadline: a.config.Timeouts.ProxyHeader,
		OnHandshake: a.live.Handshake,
		OnPeer:      a.sawCaller,
		OnFailure:   func(f *trust.Failure) { a.live.HandshakeFailed(string(f.Reason)) },
	})
	if err != nil {
		ln.Close()
		return err
	}
	a.secure = secure
	a.serve(func() error { return a.proxy.Serve(secure) }, net.ErrClosed)
	a.onStop("exchanges in flight", func(ctx context.Context) error {
		defer secure.Close()
		return a.proxy.Shutdown(ctx)
	})
	a.serving.Store(true)
	a.log.Info("listening", slog.String("event", "listening"), slog.String("address", a.addr.String()), slog.String("admin", a.adminAddr.String()),
		slog.String("environment", string(a.config.Environment)), slog.String("version", a.opts.Version))
	return nil
}

func soapLimits(c *config.Config) soap.Limits {
	l := c.Limits
	return soap.Limits{Bytes: int(l.Bytes), Depth: l.Depth, Attributes: l.Attributes, Declarations: l.Declarations, NameBytes: l.NameBytes, Elements: l.Elements}
}

func (a *App) routingPolicy() routing.Policy {
	c := a.config
	newcomer := func(s config.NewcomerPolicy) routing.NewcomerPolicy {
		if s == config.Accept {
			return routing.Accept
		}
		return routing.Quarantine
	}
	return routing.Policy{
		NewAMC: newcomer(c.Policies.UnknownAMC), NewDomain: newcomer(c.Policies.NewDomain),
		Approved: func(n roc.NumeroAMC, h register.DNSName) bool { return a.acts.Approved(n, string(h)) },
	}
}
