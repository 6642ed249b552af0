package app

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/journal/timestamp"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// openTimestamp prepares what has the checkpoint of each day time-stamped. A file
// that names no authority is refused; an authority that does not answer keeps
// nobody from anything.
func (a *App) openTimestamp() error {
	c := &a.config.Journal
	authority, err := a.timestampAuthority()
	if a.journal == nil || authority == nil || err != nil {
		return err
	}
	a.stamps = timestamp.NewKeeper(timestamp.Options{
		Dir: c.Folder, URL: c.Timestamp.URL, Authority: authority, Client: a.written().Client(&tls.Config{MinVersion: tls.VersionTLS12}, 30*time.Second),
		Retry: 10 * time.Minute, Look: time.Minute, Log: a.log, Now: a.now,
	})
	return nil
}

// timestampAuthority reads who time-stamps the journal; nil: nobody does.
func (a *App) timestampAuthority() (*timestamp.Authority, error) {
	c := &a.config.Journal
	if c.Timestamp.URL == "" {
		return nil, nil
	}
	certs, _, err := trust.ReadCertificates(c.Timestamp.Authority)
	var authority *timestamp.Authority
	if err == nil {
		authority, err = timestamp.NewAuthority(certs)
	}
	if err != nil {
		return nil, setup(fmt.Errorf("%s: journal.timestamp.authority: %s: %w", a.config.File(), c.Timestamp.Authority, err), "give the certificates with which the authority signs, and their CAs up to the root")
	}
	return authority, nil
}

// evidence is how those do who confirm the checkpoints of the journal, for the
// metrics.
func (a *App) evidence() (list []live.EvidenceStats) {
	if a.stamps != nil {
		s := a.stamps.State()
		list = append(list, live.EvidenceStats{By: "timestamp", At: s.At, Failures: s.Failures})
	}
	if a.witnesses != nil {
		s := a.witnesses.State()
		list = append(list, live.EvidenceStats{By: "witnesses", At: s.At, Failures: s.Failures})
	}
	return list
}

// lateStamp is for how long a checkpoint may wait for its time-stamp, or for its
// witnesses.
const lateStamp = time.Hour

// checkTimestamp says whether the checkpoint of the day is time-stamped. It never
// takes the RPN out of service.
func (a *App) checkTimestamp(now time.Time) admin.Health {
	h := admin.Health{Name: "timestamp", OK: true}
	if a.stamps == nil {
		h.Detail = "none: journal.timestamp names no authority"
		return h
	}
	s := a.stamps.State()
	if h.Detail = "no checkpoint is time-stamped yet"; !s.At.IsZero() {
		h.LastSuccess = s.At.Format(time.RFC3339)
		h.Detail = "the last token is of " + h.LastSuccess
	}
	if s.Err != nil {
		h.Degraded = now.Sub(s.Since) > lateStamp
		h.Detail += "; the checkpoint of the day waits for its own, which is asked for again: " + s.Err.Error()
	}
	return h
}
