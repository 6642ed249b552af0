package annuaire

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
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

	// MaxKeys and MaxAnswers bound what is kept in Redis in all, whoever asked:
	// keys of about 200 bytes, and answers of 64 KiB at most. The oldest go.
	// Defaults: 100 000 and 10 000.
	MaxKeys, MaxAnswers int

	// Beat is how often an instance says that it is there and how much it has
	// said, so that the others know when they missed something. Default: 20 s.
	Beat time.Duration

	Log *slog.Logger // default: nothing is logged

	// remote takes the place of Client, in tests.
	remote remote
}

// A Shared is where the instances of one RPN leave the annuaire's answers to
// one another, in Redis, and tell one another at once what is new.
//
// Redis is not trusted. An answer is believed by the annuaire's signature, its
// place by the tag of the instances, and that it is not an old one by the
// sequence of its route, which the instances hold and tell one another sealed:
// who can write in Redis can make the instances ask the annuaire again, and no
// more. Redis is not needed either: while it is lost each instance goes on
// alone, without waiting for it.
type Shared struct {
	o    SharedOptions
	talk talk
}

// NewShared makes a Shared; a Directory uses it.
func NewShared(o SharedOptions) *Shared {
	if o.Beat <= 0 {
		o.Beat = 20 * time.Second
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = 100_000
	}
	if o.MaxAnswers <= 0 {
		o.MaxAnswers = 10_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.remote == nil {
		o.remote = inRedis{o.Client}
	}
	s := &Shared{o: o}
	s.talk.init()
	return s
}

// A remote is what a Shared asks of Redis: internal/redis, which bounds each
// command and refuses it at once while Redis is lost.
type remote interface {
	// Get returns a value, and nil when there is none. It reads at most max
	// bytes, however large the value is.
	Get(ctx context.Context, key string, max int) ([]byte, error)
	// Set keeps a value, and enters it into an index by its time.
	Set(ctx context.Context, key string, value []byte, life time.Duration, index string, at time.Time) error
	Del(ctx context.Context, key string) error
	// Trim drops the oldest values of an index, until at most most are left.
	Trim(ctx context.Context, index string, most int) error
	Publish(ctx context.Context, text string) error
	// Hear gives what is published to message until ctx ends; subscribed is
	// called each time the channel is open, at first and again after a loss.
	Hear(ctx context.Context, subscribed func(), message func(text string))
	// Memory returns how much Redis may take, 0 for no bound, and what it does
	// when that is reached.
	Memory(ctx context.Context) (max int64, policy string, err error)
}

const (
	sharedPrefix   = "annuaire:3:" // behind redis.Prefix
	sharedChannel  = "annuaire:3"
	keyIndex       = sharedPrefix + "keys"
	answerIndex    = sharedPrefix + "answers"
	maxSharedValue = 64 << 10
)

func sharedKey(name *packed) string {
	return sharedPrefix + "k:" + hex.EncodeToString(name[:])
}

func sharedAnswer(says digest) string { return sharedPrefix + "a:" + hex.EncodeToString(says[:]) }

// get returns what is left about a key: its tags hold, its signature is not
// looked at. errNotReached: Redis is lost, now or since a while.
func (s *Shared) get(ctx context.Context, k roc.Key) (stored, error) {
	var p packed
	if !p.pack(&k) {
		return stored{}, errNotReached
	}
	return s.getNamed(ctx, p.hidden())
}

// getNamed is get of what lies under that name: the hidden key, or the digest of
// a search.
func (s *Shared) getNamed(ctx context.Context, name packed) (stored, error) {
	b, err := s.read(ctx, sharedKey(&name))
	if err != nil {
		return stored{}, err
	}
	at, seq, says, err := s.openKey(&name, b)
	if err != nil {
		return stored{}, err
	}
	if b, err = s.read(ctx, sharedAnswer(says)); err != nil {
		return stored{}, err
	}
	raw, err := s.openAnswer(says, b)
	return stored{raw, at, seq}, err
}

func (s *Shared) read(ctx context.Context, key string) ([]byte, error) {
	b, err := s.o.remote.Get(ctx, key, maxSharedValue+1024)
	if err != nil {
		return nil, errNotReached
	}
	if b == nil {
		return nil, errNotThere
	}
	return b, nil
}

// The value of a key: time (8), sequence (8), digest (16), tag. The value of an
// answer: time (8), tag behind its length (1), answer.
const keyValue = 8 + 8 + digestSize

func (s *Shared) openKey(name *packed, b []byte) (at time.Time, seq uint64, says digest, err error) {
	if len(b) < keyValue {
		return at, 0, says, errNoRecord
	}
	if !s.o.Tags.Holds(b[keyValue:], keyPurpose, name[:], b[:keyValue]) {
		return at, 0, says, errors.New("its tag is not of our secrets, or of another key")
	}
	return timeOf(b), binary.BigEndian.Uint64(b[8:]), digest(b[16:]), nil
}

func (s *Shared) openAnswer(says digest, b []byte) (roc.Content, error) {
	if len(b) < 9 || len(b) < 9+int(b[8]) || len(b) > maxSharedValue+1023 {
		return roc.Content{}, errNoRecord
	}
	tag, raw := b[9:9+int(b[8])], b[9+int(b[8]):]
	if !s.o.Tags.Holds(tag, answerPurpose, says[:], b[:8], raw) {
		return roc.Content{}, errors.New("its tag is not of our secrets, or of another answer")
	}
	return roc.NewContent(raw), nil
}

// put leaves an answer. What fails is in the health of Redis: the others ask the
// annuaire themselves.
func (s *Shared) put(ctx context.Context, k roc.Key, at time.Time, seq uint64, says digest, raw roc.Content) {
	var p packed
	if p.pack(&k) {
		s.putNamed(ctx, p.hidden(), at, seq, says, raw)
	}
}

// putNamed is put under that name.
func (s *Shared) putNamed(ctx context.Context, name packed, at time.Time, seq uint64, says digest, raw roc.Content) {
	if raw.Len() > maxSharedValue {
		return
	}
	b := appendTime(make([]byte, 0, 64+raw.Len()), at)
	tag := s.o.Tags.Tag(answerPurpose, says[:], b, raw.Bytes())
	b = append(append(append(b, byte(len(tag))), tag...), raw.Bytes()...)
	err := s.o.remote.Set(ctx, sharedAnswer(says), b, s.o.MaxAge, answerIndex, time.Now())
	if err != nil {
		return
	}
	v := binary.BigEndian.AppendUint64(appendTime(make([]byte, 0, keyValue+64), at), seq)
	v = append(v, says[:]...)
	v = append(v, s.o.Tags.Tag(keyPurpose, name[:], v)...)
	s.o.remote.Set(ctx, sharedKey(&name), v, s.o.MaxAge, keyIndex, time.Now())
}

// drop takes an answer away.
func (s *Shared) drop(ctx context.Context, k roc.Key) {
	var p packed
	if p.pack(&k) {
		name := p.hidden()
		s.o.remote.Del(ctx, sharedKey(&name))
	}
}

// listen hears what the other instances say, and bounds what is kept in Redis,
// until the directory is closed.
func (s *Shared) listen(d *Directory) {
	d.asks.Go(func() { s.tidy(d) })
	d.asks.Go(func() { s.beat(d) })
	d.asks.Go(func() {
		s.o.remote.Hear(d.ctx, func() { s.greet(d) }, func(text string) { s.hear(d, text) })
	})
}

// tidy bounds what is kept in Redis, once a minute.
func (s *Shared) tidy(d *Directory) {
	advised := s.advise(d.ctx)
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
		advised = advised || s.advise(d.ctx)
		s.o.remote.Trim(d.ctx, keyIndex, s.o.MaxKeys)
		s.o.remote.Trim(d.ctx, answerIndex, s.o.MaxAnswers)
	}
}

// advise says once when Redis itself has no bound, or would make room by what
// others than the annuaire keep there: an evicted limit is a full one.
func (s *Shared) advise(ctx context.Context) bool {
	most, policy, err := s.o.remote.Memory(ctx)
	switch {
	case err != nil:
		return false
	case most == 0:
		s.o.Log.Warn("Redis has no maxmemory: set one, with maxmemory-policy noeviction", "event", "redis_maxmemory")
	case policy != "noeviction":
		s.o.Log.Warn("Redis evicts what is needed once maxmemory is reached: set maxmemory-policy noeviction", "event", "redis_maxmemory", "maxmemory", most, "policy", policy)
	}
	return true
}
