package annuaire

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// inMemory is a Redis in this process, whose messages a test loses, doubles and
// reorders.
type inMemory struct {
	mu     sync.Mutex
	values map[string][]byte
	ears   map[int]*ear
	next   int
	lose   func() bool // a message, for one instance
	double func() bool
	lost   bool // Redis itself
}

type ear struct {
	subscribed func()
	message    func(string)
}

var errLost = errors.New("lost")

func newInMemory() *inMemory {
	never := func() bool { return false }
	return &inMemory{values: map[string][]byte{}, ears: map[int]*ear{}, lose: never, double: never}
}

func (r *inMemory) err() error {
	if r.lost {
		return errLost
	}
	return nil
}

func (r *inMemory) Get(_ context.Context, key string, max int) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.values[key]
	return v[:min(len(v), max)], r.err()
}

func (r *inMemory) Set(_ context.Context, key string, value []byte, _ time.Duration, _ string, _ time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return errLost
	}
	r.values[key] = value
	return nil
}

func (r *inMemory) Del(_ context.Context, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.values, key)
	return r.err()
}

func (r *inMemory) Trim(context.Context, string, int) error { return nil }

func (r *inMemory) Publish(_ context.Context, text string) error {
	r.mu.Lock()
	if r.lost {
		r.mu.Unlock()
		return errLost
	}
	var told []*ear
	for _, e := range r.ears {
		if !r.lose() {
			told = append(told, e)
		}
		if r.double() {
			told = append(told, e)
		}
	}
	r.mu.Unlock()
	for _, e := range told {
		e.message(text)
	}
	return nil
}

func (r *inMemory) Hear(ctx context.Context, subscribed func(), message func(string)) {
	r.mu.Lock()
	n := r.next
	r.next++
	if r.ears == nil {
		r.ears = map[int]*ear{}
	}
	r.ears[n] = &ear{subscribed, message}
	r.mu.Unlock()
	subscribed()
	<-ctx.Done()
	r.mu.Lock()
	delete(r.ears, n)
	r.mu.Unlock()
}

func (r *inMemory) Memory(context.Context) (int64, string, error) {
	return 1 << 30, "noeviction", nil
}

// loses says whether messages are lost from now on.
func (r *inMemory) loses(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose = func() bool { return yes }
}

// snapshot and restore: somebody keeps what Redis holds, and puts it back.
func (r *inMemory) snapshot() map[string][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.values)
}

func (r *inMemory) restore(values map[string][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values = maps.Clone(values)
}
