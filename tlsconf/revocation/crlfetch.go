package revocation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A source is a place where a list comes from. Guarded by Checker.mu.
type source struct {
	location   string
	configured bool
	age        AgePolicy

	stamp              string        // of a file: size and dates when it was last read
	seen               string        // and when it was last looked at
	etag, lastModified string        // of a URL
	confirmed          time.Time     // when its list was last obtained, or said not to have changed
	problem            error         // of the last attempt
	failures           int           // in a row
	next               time.Time     // when it is asked again
	asking             chan struct{} // closed once it was asked; nil: nobody does, nor waits for a place to
	given              bool          // a list of it was accepted once
	orphan             bool          // its delta was refused for want of the complete list
	again              bool          // it is asked again at once, whatever next says
	ca                 string        // whose
	warned             time.Time
}

// A SourceStatus is how one place does, for metrics and people.
type SourceStatus struct {
	Location   string
	Configured bool      // else a certificate names it
	CA         string    // whose list it gave, or ""
	Confirmed  time.Time // when it was last obtained, or said not to have changed; zero: never
	Problem    string    // of the last attempt, or ""
	Failures   int       // in a row
}

// Sources says how each place does.
func (r *Checker) Sources() []SourceStatus {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []SourceStatus
	for _, s := range r.sources {
		one := SourceStatus{Location: s.location, Configured: s.configured, CA: s.ca, Confirmed: s.confirmed, Failures: s.failures}
		if s.problem != nil {
			one.Problem = s.problem.Error()
		}
		all = append(all, one)
	}
	return all
}

// Problems joins what is wrong with the sources of Lists: each names its file
// or URL. Nil: each gave a list that serves.
func (r *Checker) Problems() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []error
	for _, s := range r.sources {
		if s.configured && s.problem != nil {
			all = append(all, fmt.Errorf("revocation list %s: %w", s.location, s.problem))
		}
	}
	return errors.Join(all...)
}

func (r *Checker) countWaiting() (n int32) {
	for _, s := range r.sources {
		if s.configured && !s.given {
			n++
		}
	}
	return n
}

// errNoClient: without one nothing is asked.
var errNoClient = errors.New("nothing here may ask a server")

// client is what asks for that list.
func (r *Checker) client(s *source) (*http.Client, error) {
	c := r.o.Client
	if s.configured {
		c = r.o.Own
	}
	if c == nil {
		return nil, errNoClient
	}
	return c, nil
}

// fetchers is how many places are asked at once.
const fetchers = 4

// refresh asks every URL that is due, and reads every file that changed; then
// once more those whose delta came before its complete list: the order of
// sources, and of answers, says nothing.
func (r *Checker) refresh(ctx context.Context) {
	r.ask(ctx, r.due(func(s *source, at time.Time) bool { return s.again || !at.Before(s.next) }))
	r.ask(ctx, r.due(func(s *source, _ time.Time) bool { return s.again }))
}

// due returns the sources that are and that nobody asks yet: they are the
// caller's until it is done with them.
func (r *Checker) due(is func(s *source, at time.Time) bool) (due []*source) {
	at := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sources {
		if s.asking == nil && is(s, at) && !r.leftAlone(s) {
			due = append(due, s)
			s.asking, s.again, s.next = make(chan struct{}), false, at.Add(r.o.Timeout+time.Second)
		}
	}
	return due
}

// leftAlone reports whether a place is not asked: it is a URL, and there is no
// client for it.
func (r *Checker) leftAlone(s *source) bool {
	if !r.o.ReadOnly || !isHTTP(s.location) {
		return false
	}
	_, err := r.client(s)
	return err != nil
}

// ask reads those that are files, then asks the URLs, a few at once. One that
// ctx cuts short stays due.
func (r *Checker) ask(ctx context.Context, due []*source) {
	var all sync.WaitGroup
	for _, s := range due {
		if !isHTTP(s.location) {
			r.readFile(s)
			r.asked(ctx, s)
			continue
		}
		all.Go(func() {
			defer r.asked(ctx, s)
			select {
			case r.places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			defer func() { <-r.places }()
			r.fetch(ctx, s)
		})
	}
	all.Wait()
}

func (r *Checker) asked(ctx context.Context, s *source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(s.asking)
	s.asking = nil
	if ctx.Err() != nil {
		s.next = time.Time{}
	}
}

// settle waits for what is being asked.
func (r *Checker) settle(ctx context.Context) {
	r.mu.Lock()
	var all []chan struct{}
	for _, s := range r.sources {
		if s.asking != nil {
			all = append(all, s.asking)
		}
	}
	r.mu.Unlock()
	for _, asking := range all {
		select {
		case <-asking:
		case <-ctx.Done():
			return
		}
	}
}

// watchFiles looks at the files each Poll, whatever the URLs do.
func (r *Checker) watchFiles(ctx context.Context) {
	tick := time.NewTicker(r.o.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		var files []*source
		for _, s := range r.sources {
			if !isHTTP(s.location) {
				files = append(files, s)
			}
		}
		r.mu.Unlock()
		for _, s := range files {
			r.readFile(s)
		}
	}
}

// readFile reads a file that changed since. One that is not a good list is
// looked at again until it is, or until it is still: it may have been
// looked at while it was written.
func (r *Checker) readFile(s *source) {
	now, err := fileStamp(s.location)
	r.mu.Lock()
	still := now == s.seen
	s.seen = now
	s.next = r.o.Now().Add(r.o.Every)
	known, bad := now == s.stamp, s.problem != nil
	r.mu.Unlock()
	if known {
		if !bad {
			r.confirm(s, "", "")
		}
		return
	}
	var body []byte
	if err == nil {
		body, err = readBounded(s.location, r.o.MaxBytes)
	}
	if err == nil {
		err = r.accept(s, body, "", "")
	}
	r.mu.Lock()
	if err == nil || still {
		s.stamp = now
	}
	told := err != nil && still
	if err != nil {
		s.problem = err
	}
	r.mu.Unlock()
	if told {
		r.failed(s, err)
	}
}

func fileStamp(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "absent", trust.FileProblem(file, err)
	}
	return fmt.Sprint(info.Size(), " ", info.ModTime().UnixNano()), nil
}

func readBounded(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, trust.FileProblem(file, err)
	}
	defer f.Close()
	return readAtMost(f, most)
}

func readAtMost(from io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, most+1))
	if err == nil && int64(len(body)) > most {
		return nil, fmt.Errorf("is larger than %d bytes, the largest that is read", most)
	}
	return body, err
}

// fetch asks one URL.
func (r *Checker) fetch(ctx context.Context, s *source) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	body, etag, modified, err := r.get(ctx, s)
	switch {
	case err == nil && body == nil:
		r.confirm(s, "", "")
	case err == nil:
		err = r.accept(s, body, etag, modified)
	}
	if err != nil && context.Cause(ctx) != context.Canceled {
		r.failed(s, err)
	}
}

// get returns a nil body when the list has not changed.
func (r *Checker) get(ctx context.Context, s *source) (body []byte, etag, modified string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location, nil)
	if err != nil {
		return nil, "", "", err
	}
	r.mu.Lock()
	if s.etag != "" {
		req.Header.Set("If-None-Match", s.etag)
	}
	if s.lastModified != "" {
		req.Header.Set("If-Modified-Since", s.lastModified)
	}
	r.mu.Unlock()
	req.Header.Set("User-Agent", "rpn")
	client, err := r.client(s)
	if err != nil {
		return nil, "", "", err
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, "", "", err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusNotModified:
		return nil, "", "", nil
	case http.StatusOK:
	default:
		return nil, "", "", fmt.Errorf("the server answers %s", trust.Safe(answer.Status))
	}
	body, err = readAtMost(answer.Body, r.o.MaxBytes)
	if err == nil && len(body) == 0 {
		err = errors.New("the server answers nothing")
	}
	return body, answer.Header.Get("ETag"), answer.Header.Get("Last-Modified"), err
}

// accept takes a list that came from s, and keeps it on disk.
func (r *Checker) accept(s *source, body []byte, etag, modified string) error {
	if err := r.take(s, body); err != nil {
		return err
	}
	r.confirm(s, etag, modified)
	if r.o.Folder == "" || r.o.ReadOnly {
		return nil
	}
	if err := keep(r.o.Folder, kept{Location: s.location, Fetched: r.o.Now(), ETag: etag, LastModified: modified, body: body}); err != nil {
		r.o.Log.Error("a revocation list cannot be kept on disk: a restart will have to obtain it again", "event", "crl_unwritten", "from", s.location, "error", err.Error())
	}
	return nil
}

// take puts a list among those known. When it says something else than before,
// the generation changes.
func (r *Checker) take(s *source, body []byte) error {
	all, err := readCRLs(body, r.o.Authorities())
	problems := []error{err}
	slices.SortStableFunc(all, func(a, b *crl) int { return a.kind() - b.kind() })
	for _, l := range all {
		problems = append(problems, r.takeOne(s, l))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.given {
		s.given = true
		r.waiting.Store(r.countWaiting())
		r.generation.Add(1) // from unknown to known
	}
	return nil
}

// takeOne is take for one list of several.
func (r *Checker) takeOne(s *source, l *crl) error {
	if l.from.After(r.o.Now().Add(clockSkew)) {
		return fmt.Errorf("begins on %s, in the future: are both clocks right?", trust.Day(l.from))
	}
	age := r.o.Age
	if p, ok := r.o.Ages[l.ca.Subject.CommonName]; ok {
		age = p.complete(r.o.Age)
	}
	r.mu.Lock()
	next, changed, err := r.lists.Load().with(l, age)
	if err != nil {
		s.orphan = s.orphan || errors.Is(err, errNoBase)
		r.mu.Unlock()
		return err
	}
	if l.base == nil && !r.lists.Load().holds(l) {
		for _, waiting := range r.sources {
			if waiting.orphan {
				waiting.orphan, waiting.again, waiting.stamp, waiting.etag, waiting.lastModified = false, true, "", "", ""
			}
		}
	}
	r.lists.Store(next)
	changed = changed || !s.given
	s.age, s.ca = age, trust.Cut(l.ca.Subject.CommonName, trust.MaxValue)
	if changed {
		r.generation.Add(1)
	}
	r.mu.Unlock()
	if !r.o.NoFollow {
		r.follow(l.freshest)
	}
	if changed {
		r.o.Log.Info("revocation list in use", "event", "crl_in_use", "ca", trust.NameOf(l.ca.Subject), "from", s.location, "entries", l.revoked.count, "of", l.from.UTC(), "until", l.to.UTC())
	}
	if changed && l.odd > 0 {
		r.o.Log.Warn("a revocation list holds odd entries: a number that no certificate has is left out, anything else odd counts as revoked", "event", "crl_odd_entries",
			"ca", trust.NameOf(l.ca.Subject), "from", s.location, "odd", l.odd, "remedy", "tell the CA")
	}
	return nil
}

// confirm notes that the list of s is the last one.
func (r *Checker) confirm(s *source, etag, modified string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.o.Now()
	if s.problem != nil {
		r.o.Log.Info("a revocation list is obtained again", "event", "crl_obtained_again", "from", s.location, "after_failures", s.failures)
	}
	s.confirmed, s.problem, s.failures = at, nil, 0
	if etag != "" || modified != "" {
		s.etag, s.lastModified = etag, modified
	}
	s.next = at.Add(jitter(r.o.Every))
}

// failed notes that nothing good came from s. The list it gave before stays.
func (r *Checker) failed(s *source, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.o.Now()
	s.failures++
	s.problem = err
	wait := min(time.Minute<<min(s.failures-1, 10), r.o.Every)
	s.next = at.Add(jitter(wait))
	if at.Sub(s.warned) < time.Minute {
		return
	}
	s.warned = at
	level := slog.LevelWarn
	if !s.given || at.Sub(s.confirmed) > s.age.Warn {
		level = slog.LevelError
	}
	var last any = "never"
	if !s.confirmed.IsZero() {
		last = s.confirmed.UTC()
	}
	r.o.Log.Log(context.Background(), level, "a revocation list cannot be obtained: the last good one stays in use", "event", "crl_unobtained", "from", s.location,
		"error", strings.ReplaceAll(trust.Safe(err.Error()), "\n", " "), "last_obtained", last, "failures", s.failures)
}
