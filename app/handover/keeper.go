package handover

import (
	"context"
	"errors"
	"net"
	"net/rpc"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register/attempts"
)

// A Keeper writes what only the process that holds the state folder may write:
// proxy.Journal, proxy.Replays, and the attempts in accrochage.
type Keeper interface {
	Reserve() (bool, error)
	Append(*roc.Record) (roc.Receipt, error)
	Amend(rec *roc.Record, of roc.Receipt, abandoned, badAnswer bool)
	Release()

	Seen(ctx context.Context, m roc.Signed, at time.Time) (bool, error)
	Forget(ctx context.Context, m roc.Signed)

	Keep(attempts.Attempt)
}

// Serve does for the old process what it asks, until it has ended or closed.
func Serve(conn net.Conn, k Keeper) {
	s := rpc.NewServer()
	s.RegisterName("Keeper", &service{k})
	s.ServeConn(conn)
}

// None is the argument and the answer of what has none.
type None struct{}

// An Amendment is what Amend is given.
type Amendment struct {
	Record               roc.Record
	Of                   roc.Receipt
	Abandoned, BadAnswer bool
}

// A Sighting is what Seen is given.
type Sighting struct {
	Signed roc.Signed
	At     time.Time
}

// A service is a Keeper as net/rpc wants one.
type service struct{ k Keeper }

// Reserve is Keeper.Reserve.
func (s *service) Reserve(_ None, kept *bool) (err error) {
	*kept, err = s.k.Reserve()
	return err
}

// Append is Keeper.Append.
func (s *service) Append(rec *roc.Record, receipt *roc.Receipt) (err error) {
	*receipt, err = s.k.Append(rec)
	return err
}

// Amend is Keeper.Amend.
func (s *service) Amend(a *Amendment, _ *None) error {
	s.k.Amend(&a.Record, a.Of, a.Abandoned, a.BadAnswer)
	return nil
}

// Release is Keeper.Release.
func (s *service) Release(None, *None) error {
	s.k.Release()
	return nil
}

// Seen is Keeper.Seen.
func (s *service) Seen(q *Sighting, seen *bool) (err error) {
	*seen, err = s.k.Seen(context.Background(), q.Signed, q.At)
	return err
}

// Forget is Keeper.Forget.
func (s *service) Forget(m *roc.Signed, _ *None) error {
	s.k.Forget(context.Background(), *m)
	return nil
}

// Keep is Keeper.Keep.
func (s *service) Keep(a *attempts.Attempt, _ *None) error {
	s.k.Keep(*a)
	return nil
}

// patience is how long the new process may take to write one thing.
const patience = 10 * time.Second

// ErrGone: the new process did not write it.
var ErrGone = errors.New("the process that succeeds this one does not write down what it is given")

// Remote is the Keeper of the new process, as the old one asks it. Its errors
// are ErrGone, or what the new process says.
func Remote(conn net.Conn) Keeper { return remote{rpc.NewClient(conn)} }

type remote struct{ c *rpc.Client }

func (r remote) call(method string, args, reply any) error {
	call := r.c.Go("Keeper."+method, args, reply, make(chan *rpc.Call, 1))
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-call.Done:
		var said rpc.ServerError
		if call.Error == nil || errors.As(call.Error, &said) {
			return call.Error
		}
		return errors.Join(ErrGone, call.Error)
	case <-t.C:
		return ErrGone
	}
}

func (r remote) Reserve() (bool, error) {
	kept := new(bool)
	if err := r.call("Reserve", None{}, kept); err != nil {
		return false, err
	}
	return *kept, nil
}

func (r remote) Append(rec *roc.Record) (roc.Receipt, error) {
	receipt := new(roc.Receipt)
	if err := r.call("Append", rec, receipt); err != nil {
		return roc.Receipt{}, err
	}
	return *receipt, nil
}

func (r remote) Amend(rec *roc.Record, of roc.Receipt, abandoned, badAnswer bool) {
	r.call("Amend", &Amendment{*rec, of, abandoned, badAnswer}, new(None))
}

func (r remote) Release() { r.call("Release", None{}, new(None)) }

// Seen fails open, as every memory of replays: the error is counted.
func (r remote) Seen(_ context.Context, m roc.Signed, at time.Time) (bool, error) {
	seen := new(bool)
	if err := r.call("Seen", &Sighting{m, at}, seen); err != nil {
		return false, err
	}
	return *seen, nil
}

func (r remote) Forget(_ context.Context, m roc.Signed) { r.call("Forget", &m, new(None)) }

func (r remote) Keep(a attempts.Attempt) { r.call("Keep", &a, new(None)) }
