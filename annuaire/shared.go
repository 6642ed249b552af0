package annuaire

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Sealer is a Tagger that also hides data from everybody else:
// internal/secret's Ring.
type Sealer interface {
	Tagger
	Seal(purpose string, plain []byte) []byte
	Open(purpose string, sealed []byte) ([]byte, error)
}

// SharedOptions are what a Shared needs. Client, Tags and MaxAge are required.
type SharedOptions struct {
	Client redis.UniversalClient // the caller closes it, after the Directory

	// Tags binds each answer to the key it answers, by a secret that only the
	// instances have, and seals what they tell one another.
	Tags Sealer

	// MaxAge is how long Redis keeps an answer.
	MaxAge time.Duration

	// Timeout bounds each question to Redis. Default: 250 ms.
	Timeout time.Duration

	// Probe is how often Redis is asked whether it is there. Default: 1 s.
	Probe time.Duration

	Log *slog.Logger     // default: nothing is said
	Now func() time.Time // default: time.Now
}

// A Shared is where the instances of one RPN leave the annuaire's answers to
// one another, in Redis, and tell one another at once what is new.
//
// Redis is not trusted. An answer is believed by the annuaire's signature, and
// its place by the tag of the instances: who can write in Redis can make the
// instances ask the annuaire again, and no more. Redis is not needed either:
// while it is lost each instance goes on alone, without waiting for it.
type Shared struct {
	o SharedOptions

	mu     sync.Mutex // guards all below
	state  SharedHealth
	probed bool
}

// SharedHealth is how Redis does, for /readyz and the metrics.
type SharedHealth struct {
	OK          bool
	LastSuccess time.Time // zero: never
	LastError   error     // the last one, also once it is over; nil: none
	FailedAt    time.Time
	Losses      uint64 // how many times it was lost
}

// NewShared makes a Shared; a Directory uses it.
func NewShared(o SharedOptions) *Shared {
	if o.Timeout <= 0 {
		o.Timeout = 250 * time.Millisecond
	}
	if o.Probe <= 0 {
		o.Probe = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Shared{o: o, state: SharedHealth{OK: true}}
}

const (
	sharedPrefix  = "rpn:annuaire:1:"
	sharedChannel = "rpn:annuaire:1"
	newsPurpose   = "annuaire news"
)

func sharedKey(p *packed) string {
	name := p.hidden()
	return sharedPrefix + hex.EncodeToString(name[:])
}

// get returns what is left about a key: its tag holds, its signature is not
// looked at. errNotReached: Redis is lost, now or since a while.
func (s *Shared) get(ctx context.Context, k roc.Key) (roc.Content, time.Time, error) {
	var p packed
	if !p.pack(&k) || !s.Health().OK {
		return roc.Content{}, time.Time{}, errNotReached
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	b, err := s.o.Client.Get(ctx, sharedKey(&p)).Bytes()
	if err == redis.Nil {
		return roc.Content{}, time.Time{}, errNotThere
	}
	if err != nil {
		s.note(ctx, err)
		return roc.Content{}, time.Time{}, errNotReached
	}
	return s.opened(&p, b)
}

// opened reads a value of Redis: time, tag behind its length, answer.
func (s *Shared) opened(p *packed, b []byte) (roc.Content, time.Time, error) {
	if len(b) < 9 || len(b) < 9+int(b[8]) || len(b) > maxRecord {
		return roc.Content{}, time.Time{}, errors.New("it is no record")
	}
	tag, raw := b[9:9+int(b[8])], b[9+int(b[8]):]
	if !s.o.Tags.Holds(tag, tagPurpose, p[:], b[:8], raw) {
		return roc.Content{}, time.Time{}, errors.New("its tag is not of our secrets, or of another key")
	}
	return roc.NewContent(raw), time.Unix(0, int64(binary.BigEndian.Uint64(b))), nil
}

// put leaves an answer, and tells the others.
func (s *Shared) put(ctx context.Context, k roc.Key, e *Entry) {
	var p packed
	if !p.pack(&k) || !s.Health().OK {
		return
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64+e.Raw.Len()), uint64(e.At.UnixNano()))
	tag := s.o.Tags.Tag(tagPurpose, p[:], b, e.Raw.Bytes())
	b = append(append(append(b, byte(len(tag))), tag...), e.Raw.Bytes()...)
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	err := s.o.Client.Set(ctx, sharedKey(&p), b, s.o.MaxAge).Err()
	if err == nil {
		err = s.tell(ctx, &p, factsOf(e).digest())
	}
	s.note(ctx, err)
}

// drop takes an answer away, and tells the others.
func (s *Shared) drop(ctx context.Context, k roc.Key) {
	var p packed
	if !p.pack(&k) || !s.Health().OK {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	err := s.o.Client.Del(ctx, sharedKey(&p)).Err()
	if err == nil {
		err = s.tell(ctx, &p, [digestSize]byte{})
	}
	s.note(ctx, err)
}

// tell publishes that something is new about a key, sealed: the others need the
// key itself, and none stands in Redis (packed.hidden).
func (s *Shared) tell(ctx context.Context, p *packed, digest [digestSize]byte) error {
	news := s.o.Tags.Seal(newsPurpose, append(p[:len(p):len(p)], digest[:]...))
	return s.o.Client.Publish(ctx, sharedChannel, base64.RawStdEncoding.EncodeToString(news)).Err()
}

// listen hears what the other instances say, and watches Redis, until the
// directory is closed.
func (s *Shared) listen(d *Directory) {
	d.asks.Go(func() { s.watch(d) })
	d.asks.Go(func() { s.hear(d) })
}

// hear gives the directory what is published. After each loss of the
// connection something may have been missed: all is asked again within a
// minute.
func (s *Shared) hear(d *Directory) {
	sub := s.o.Client.Subscribe(d.ctx, sharedChannel)
	defer sub.Close()
	heard := sub.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(s.o.Probe))
	again := false
	for {
		select {
		case <-d.ctx.Done():
			return
		case m, open := <-heard:
			if !open {
				return
			}
			switch m := m.(type) {
			case *redis.Subscription:
				if again {
					d.Doubt(time.Minute)
				}
				again = true
			case *redis.Message:
				if k, digest, ok := s.readNews(m.Payload); ok {
					d.told(k, digest)
				}
			}
		}
	}
}

func (s *Shared) readNews(text string) (k roc.Key, digest [digestSize]byte, ok bool) {
	sealed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return k, digest, false
	}
	b, err := s.o.Tags.Open(newsPurpose, sealed)
	if err != nil || len(b) != len(packed{})+digestSize {
		return k, digest, false
	}
	p := packed(b)
	k, ok = p.unpack()
	return k, [digestSize]byte(b[len(p):]), ok
}

// watch asks Redis whether it is there, so that its loss is known before an
// exchange meets it and its return without one.
func (s *Shared) watch(d *Directory) {
	tick := time.NewTicker(s.o.Probe)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(d.ctx, 4*s.o.Timeout)
		err := s.ping(ctx)
		s.note(d.ctx, err)
		cancel()
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ping writes, because a Redis that only answers reads (a replica, a Cluster
// that lost its majority) is of no use.
func (s *Shared) ping(ctx context.Context) error {
	return s.o.Client.Set(ctx, sharedPrefix+"ping", 1, time.Minute).Err()
}

// note keeps how Redis did, and says when that changes.
func (s *Shared) note(ctx context.Context, err error) {
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // our own end says nothing of Redis
	}
	s.mu.Lock()
	was := s.state.OK
	now := s.o.Now()
	if s.state.OK = err == nil; err == nil {
		s.state.LastSuccess = now
	} else {
		s.state.LastError, s.state.FailedAt = err, now
		if was {
			s.state.Losses++
		}
	}
	first := !s.probed
	s.probed = true
	s.mu.Unlock()
	switch {
	case err != nil && was:
		s.o.Log.Error("Redis is lost: this instance goes on alone", "error", err)
	case err == nil && (!was || first):
		s.o.Log.Info("Redis is there: answers of the annuaire are shared")
	}
}

// Health returns how Redis does.
func (s *Shared) Health() SharedHealth {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}
