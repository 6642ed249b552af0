package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/routing/explain"
)

// Explain says what would become of a message, at an instant (zero: now),
// without sending it: `rpn explain`. It opens no port. fromCache leaves the
// annuaire alone: only what is remembered on disk counts.
func Explain(ctx context.Context, o Options, q explain.Question, at time.Time, fromCache bool) (x *explain.Explanation, err error) {
	if fromCache {
		o.Asker = notAsked{}
	}
	o, done, err := onACopy(o)
	if err != nil {
		return nil, err
	}
	defer done()
	a, err := New(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.unwind(context.WithoutCancel(ctx))) }()
	return a.explain(ctx, q, at), nil
}

// onACopy gives options whose folders are copies of what is remembered of the
// annuaire and of the revocation lists, and whose journal is another one: a
// command that only looks does not wait for the RPN that runs, nor keeps it from
// its files, nor leaves there any of another user.
func onACopy(o Options) (_ Options, done func(), err error) {
	c := *o.Config
	if c.State == "" && !c.Journal.Kept() && c.Revocation.Folder == "" {
		return o, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "rpn-look-")
	if err != nil {
		return o, nil, err
	}
	done = func() { os.RemoveAll(dir) }
	if c.State != "" {
		c.State = dir
		if err := copyFile(o.Config.AnswersFile(), c.AnswersFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			done()
			return o, nil, setup(fmt.Errorf("what is remembered of the annuaire: %w", err), "run this as the user of the RPN")
		}
	}
	if c.Journal.Kept() {
		c.Journal.Folder = filepath.Join(dir, "journal")
		c.Journal.SegmentBytes = min(c.Journal.SegmentBytes, 64<<10) // no exchange comes; one that is too small is still refused
	}
	if c.Revocation.Folder != "" {
		c.Revocation.Folder = filepath.Join(dir, "revocation")
		// What it fetches, and the leftovers that it removes, are its own.
		if err := copyFolder(o.Config.Revocation.Folder, c.Revocation.Folder); err != nil {
			done()
			return o, nil, setup(fmt.Errorf("the revocation lists that are kept: %w", err), "run this as the user of the RPN")
		}
	}
	o.Config = &c
	return o, done, nil
}

// copyFolder copies the files of a folder, if it is there.
func copyFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			err = errors.Join(err, copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
		}
	}
	return err
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	t, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return errors.Join(err, t.Close())
}

// explain answers with the parts of the path of an exchange.
func (a *App) explain(ctx context.Context, q explain.Question, at time.Time) *explain.Explanation {
	now := a.now()
	if at.IsZero() {
		at = now
	}
	return explain.Explain(ctx, explain.Parts{
		List: a.register.Current().At(at), Policy: a.routingPolicy(), Now: now,
		Find: func(ctx context.Context, k roc.Key) (annuaire.Entry, error) { return a.directory.Find(ctx, "", k) },
	}, q)
}

// notAsked is an annuaire that is left alone.
type notAsked struct{}

func (notAsked) Ask(context.Context, roc.Key) (annuaire.Entry, error) {
	return annuaire.Entry{}, roc.Refuse(roc.AnnuaireSilent, "nothing is remembered, and the annuaire was not asked (--from-cache)").Because(roc.AnnuaireUnreachable)
}

// ExplainRunning asks the RPN that runs on this machine, over its admin
// listener, with all that it remembers.
func ExplainRunning(ctx context.Context, c *config.Config, q explain.Question, at time.Time) (*explain.Explanation, error) {
	u := url.URL{Scheme: "http", Host: c.Admin, Path: "/-/explain", RawQuery: writeQuestion(q, at).Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	here := egress.Filter{Allow: egress.Everywhere()} // the operator wrote its address
	client := here.Client(nil, 0)
	if c.AdminSocket != "" {
		client = admin.Client(c.AdminSocket)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, &config.SetupError{What: "the RPN does not answer on " + c.Admin, Remedy: "start it, or leave --running out", Cause: err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the RPN at %s answers %s", c.Admin, answer.Status)
	}
	x := new(explain.Explanation)
	return x, json.NewDecoder(http.MaxBytesReader(nil, answer.Body, 1<<20)).Decode(x)
}

func writeQuestion(q explain.Question, at time.Time) url.Values {
	v := url.Values{
		"structure": {string(q.Structure)}, "eg": {string(q.EG)}, "amc": {string(q.Key.AMC)}, "convention": {string(q.Key.Convention)}, "csr": {string(q.Key.CSR)},
		"domaine": {string(q.Key.Domaine)}, "service": {q.Key.Service.String()}, "version": {q.Key.Version.String()},
	}
	if !at.IsZero() {
		v.Set("at", at.Format(time.RFC3339))
	}
	return v
}

// readQuestion reads what writeQuestion writes.
func readQuestion(v url.Values) (q explain.Question, at time.Time, err error) {
	q, err = explain.ParseQuestion(v.Get)
	if s := v.Get("at"); s != "" && err == nil {
		at, err = time.Parse(time.RFC3339, s)
	}
	return q, at, err
}
