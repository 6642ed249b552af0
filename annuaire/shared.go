package annuaire

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
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
	Client *redis.Client // the caller closes it, after the Directory

	// Tags binds each answer to the key it answers, by a secret that only the
	// instances have, and seals what they tell one another.
	Tags Sealer

	// MaxAge is how long Redis keeps an answer.
	MaxAge time.Duration
}

// A Shared is where the instances of one RPN leave the annuaire's answers to
// one another, in Redis, and tell one another at once what is new.
//
// Redis is not trusted. An answer is believed by the annuaire's signature, and
// its place by the tag of the instances: who can write in Redis can make the
// instances ask the annuaire again, and no more. Redis is not needed either:
// while it is lost each instance goes on alone, without waiting for it.
type Shared struct{ o SharedOptions }

// NewShared makes a Shared; a Directory uses it.
func NewShared(o SharedOptions) *Shared { return &Shared{o} }

const (
	sharedPrefix  = "annuaire:1:" // behind redis.Prefix
	sharedChannel = "annuaire:1"
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
	if !p.pack(&k) {
		return roc.Content{}, time.Time{}, errNotReached
	}
	b, err := s.o.Client.Get(ctx, sharedKey(&p))
	if err == redis.ErrNone {
		return roc.Content{}, time.Time{}, errNotThere
	}
	if err != nil {
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

// put leaves an answer, and tells the others. What fails is in the health of
// Redis: the others ask the annuaire themselves.
func (s *Shared) put(ctx context.Context, k roc.Key, e *Entry) {
	var p packed
	if !p.pack(&k) {
		return
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64+e.Raw.Len()), uint64(e.At.UnixNano()))
	tag := s.o.Tags.Tag(tagPurpose, p[:], b, e.Raw.Bytes())
	b = append(append(append(b, byte(len(tag))), tag...), e.Raw.Bytes()...)
	if s.o.Client.Set(ctx, sharedKey(&p), b, s.o.MaxAge) == nil {
		s.publish(ctx, &p, factsOf(e).digest())
	}
}

// drop takes an answer away, and tells the others.
func (s *Shared) drop(ctx context.Context, k roc.Key) {
	var p packed
	if !p.pack(&k) {
		return
	}
	if s.o.Client.Del(ctx, sharedKey(&p)) == nil {
		s.publish(ctx, &p, [digestSize]byte{})
	}
}

// publish says that something is new about a key, sealed: the others need the
// key itself, and none stands in Redis (packed.hidden).
func (s *Shared) publish(ctx context.Context, p *packed, digest [digestSize]byte) {
	news := s.o.Tags.Seal(newsPurpose, append(p[:len(p):len(p)], digest[:]...))
	s.o.Client.Publish(ctx, sharedChannel, base64.RawStdEncoding.EncodeToString(news))
}

// listen hears what the other instances say until the directory is closed.
func (s *Shared) listen(d *Directory) { d.asks.Go(func() { s.hear(d) }) }

// hear gives the directory what is published. After each loss of the
// connection something may have been missed: all is asked again within a
// minute.
func (s *Shared) hear(d *Directory) {
	again := false
	s.o.Client.Hear(d.ctx, sharedChannel, func() {
		if again {
			d.Doubt(time.Minute)
		}
		again = true
	}, func(text string) {
		if k, digest, ok := s.readNews(text); ok {
			d.told(k, digest)
		}
	})
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
