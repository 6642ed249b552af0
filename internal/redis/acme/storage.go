// Package acme keeps in Redis what ACME needs (accounts, keys,
// certificates, locks), so that the instances of one RPN obtain one
// certificate and not one each.
//
// Redis is not trusted: every value is sealed for its own key (package secret),
// so who can read or write there learns no private key and cannot replace one
// value by another. An attacker can still remove a value or bring back an older
// one, which costs a new certificate.
package acme

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/secret"
)

// Options are what a Storage needs.
type Options struct {
	Client *redis.Client // Required.
	Keys   *secret.Ring  // Required: the same on every instance.
	// Name is one set of certificates: different names share nothing.
	Name string
	// Lease is how long a lock outlives its holder. 0: 30 s.
	Lease time.Duration
}

// A Storage is a certmagic.Storage. Everything is one Redis hash, a field for
// each key, so it works in a Cluster and never needs a scan; a lock has a key
// of its own. Safe for concurrent use.
type Storage struct {
	o Options

	resealed atomic.Bool

	mu   sync.Mutex // guards held
	held map[string]*lock
}

type lock struct {
	token string
	stop  context.CancelFunc
	done  chan struct{}
}

var _ certmagic.Storage = (*Storage)(nil)

// New returns a Storage; it does not contact Redis yet.
func New(o Options) *Storage {
	if o.Lease <= 0 {
		o.Lease = 30 * time.Second
	}
	return &Storage{o: o, held: map[string]*lock{}}
}

func (s *Storage) hash() string            { return "acme:{" + s.o.Name + "}" }
func (s *Storage) lockKey(n string) string { return s.hash() + ":lock:" + n }

// purpose binds a value to its key.
func (s *Storage) purpose(key string) string { return "acme " + s.o.Name + " " + key }

func clean(key string) string { return strings.Trim(path.Clean("/"+key), "/") }

// stampSize is the time of a value, before it: Unix nanoseconds.
const stampSize = 8

// Store keeps a value.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	key = clean(key)
	plain := append(binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano())), value...)
	return s.o.Client.HSet(ctx, s.hash(), key, s.o.Keys.Seal(s.purpose(key), plain))
}

// Load returns a value; fs.ErrNotExist when there is none. A value that was not
// sealed by this RPN is another error, never a value.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.load(ctx, clean(key))
	return value, err
}

func (s *Storage) load(ctx context.Context, key string) ([]byte, time.Time, error) {
	s.reseal(ctx)
	sealed, err := s.o.Client.HGet(ctx, s.hash(), key)
	if errors.Is(err, redis.ErrNone) {
		return nil, time.Time{}, fmt.Errorf("acme storage: %s: %w", key, fs.ErrNotExist)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("acme storage: %w", err)
	}
	plain, err := s.open(key, sealed)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("acme storage: %s: %w (another secrets file, or somebody wrote in Redis; remove it with HDEL %s)", key, err, redis.Prefix+s.hash())
	}
	return plain[stampSize:], time.Unix(0, int64(binary.BigEndian.Uint64(plain))), nil
}

func (s *Storage) open(key string, sealed []byte) ([]byte, error) {
	plain, err := s.o.Keys.Open(s.purpose(key), sealed)
	if err == nil && len(plain) < stampSize {
		err = errors.New("it is cut")
	}
	return plain, err
}

// swap replaces a value that is still what was read.
var swap = redis.NewScript(`if redis.call("hget",KEYS[1],ARGV[1])==ARGV[2] then return redis.call("hset",KEYS[1],ARGV[1],ARGV[3]) end return 0`)

// reseal seals again, once a process, what an older key of the ring sealed, so
// that the older key can be removed: otherwise an account would never be
// rewritten. A failure is left for the next start.
func (s *Storage) reseal(ctx context.Context) {
	if s.resealed.Swap(true) {
		return
	}
	all, err := s.o.Client.HGetAll(ctx, s.hash())
	if err != nil {
		s.resealed.Store(false)
		return
	}
	for key, sealed := range all {
		if s.o.Keys.Current([]byte(sealed)) {
			continue
		}
		if plain, err := s.open(key, []byte(sealed)); err == nil {
			s.o.Client.Run(ctx, swap, s.hash(), key, sealed, s.o.Keys.Seal(s.purpose(key), plain))
		}
	}
}

// keys lists every key at or under that one.
func (s *Storage) keys(ctx context.Context, at string) ([]string, error) {
	all, err := s.o.Client.HKeys(ctx, s.hash())
	if err != nil {
		return nil, fmt.Errorf("acme storage: %w", err)
	}
	return slices.DeleteFunc(all, func(k string) bool { return at != "" && k != at && !strings.HasPrefix(k, at+"/") }), nil
}

// Delete removes a value, and what is under it. None is not an error.
func (s *Storage) Delete(ctx context.Context, key string) error {
	keys, err := s.keys(ctx, clean(key))
	if err != nil || len(keys) == 0 {
		return err
	}
	return s.o.Client.HDel(ctx, s.hash(), keys...)
}

// Exists reports whether there is a value there or under it.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	keys, err := s.keys(ctx, clean(key))
	return err == nil && len(keys) > 0
}

// List returns what is under a path, folders too, as certmagic's own storage
// does; fs.ErrNotExist when there is no such path.
func (s *Storage) List(ctx context.Context, under string, recursive bool) ([]string, error) {
	under = clean(under)
	keys, err := s.keys(ctx, under)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("acme storage: %s: %w", under, fs.ErrNotExist)
	}
	found := map[string]bool{}
	for _, k := range keys {
		parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(k, under), "/"), "/")
		for i := range parts {
			if p := path.Join(under, path.Join(parts[:i+1]...)); p != under && (i == 0 || recursive) {
				found[p] = true
			}
		}
	}
	var list []string
	for p := range found {
		list = append(list, p)
	}
	slices.Sort(list)
	return list, nil
}

// Stat says what is there; fs.ErrNotExist when nothing is.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	key = clean(key)
	value, at, err := s.load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: at, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if errors.Is(err, fs.ErrNotExist) && s.Exists(ctx, key) {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return certmagic.KeyInfo{}, err
}
