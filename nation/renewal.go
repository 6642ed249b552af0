package nation

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// serverPair is the certificate of the RPN for establishments.
func (n *Nation) serverPair(options ...igc.Option) igc.Pair {
	return n.PKI.Server(igc.EtablissementTLS, "localhost", append([]igc.Option{igc.Names("127.0.0.1", "::1"), igc.ECDSA()}, options...)...)
}

// renew gives the RPN another key and certificate while establishments
// exchange with it, and fails when one exchange does, or when a connection is
// cut or opened.
func renew(ctx context.Context, n *Nation) error {
	if n.App == nil {
		return errors.New("the RPN does not run here")
	}
	var senders []*sender
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, of := range []struct{ who, amc string }{{"phare", "bleue"}, {"hopital", "validation"}} {
		e, ok := n.Etablissement(of.who)
		if !ok {
			return fmt.Errorf("the nation has no establishment %q", of.who)
		}
		s := &sender{e: e, amc: of.amc, began: make(chan struct{})}
		senders = append(senders, s)
		running.Go(func() { s.send(ctx, stop) })
	}
	for _, s := range senders {
		<-s.began
	}
	opened, open := n.connections()
	pair := n.serverPair(igc.Key(fmt.Sprintf("rpn %d", time.Now().UnixNano())))
	_, _, err := pair.Write(filepath.Join(n.Dir, "rpn"), "serveur")
	if err == nil {
		err = n.App.Reload()
	}
	close(stop)
	running.Wait()
	for _, s := range senders {
		err = errors.Join(err, s.failed)
	}
	if err != nil {
		return err
	}
	if opened2, open2 := n.connections(); opened2 != opened || open2 != open {
		return fmt.Errorf("%d connections open of %d, then %d of %d: somebody was disturbed", open, opened, open2, opened2)
	}
	n.keys.server = pair
	return nil
}

// A sender sends one message after the other, at least one before and one
// after it is told to stop.
type sender struct {
	e      *Etablissement
	amc    string
	began  chan struct{} // closed after the first
	failed error
}

// between keeps a sender below the 20 messages a second that it may send.
const between = 60 * time.Millisecond

func (s *sender) send(ctx context.Context, stop <-chan struct{}) {
	first := sync.OnceFunc(func() { close(s.began) })
	defer first()
	for last := false; ; {
		if o := s.e.Send(ctx, roc.IDB, roc.V1, soap.SOAP12, s.amc); !o.Answered("00") {
			s.failed = fmt.Errorf("%s: %s", s.e.Nom, o)
			return
		}
		first()
		if last {
			return
		}
		select {
		case <-stop:
			last = true
		case <-time.After(between):
		}
	}
}

// connections counts those that establishments have opened, and those that are
// open.
func (n *Nation) connections() (opened, open int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.people {
		opened += e.Opened()
		open += e.Open()
	}
	return opened, open
}

// showsRenewed fails unless the connection of the exchange was begun with the
// renewed certificate (on a new connection), or was not (on one from before).
func showsRenewed(want bool) func(*Nation, Outcome) (string, error) {
	return func(n *Nation, o Outcome) (string, error) {
		switch {
		case o.Err != nil || o.Server == nil:
			return "", nil // told by itself
		case o.Server.Equal(n.keys.server.Cert) != want:
			return "", fmt.Errorf("the RPN showed %x, and the renewed certificate is %x", o.Server.SerialNumber, n.keys.server.Cert.SerialNumber)
		}
		return "", nil
	}
}

// hangup has an establishment begin its next exchange with a handshake.
func hangup(id string) func(context.Context, *Nation) error {
	return func(_ context.Context, n *Nation) error {
		e, ok := n.Etablissement(id)
		if !ok {
			return fmt.Errorf("the nation has no establishment %q", id)
		}
		e.Hangup()
		return nil
	}
}
