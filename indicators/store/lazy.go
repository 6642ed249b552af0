package store

import (
	"context"
	"sync"
	"sync/atomic"
)

// Lazy is a store that several goroutines share, opened by the first that needs
// it. One that cannot be opened is opened by the next. Safe for concurrent use.
type Lazy struct {
	Open func(context.Context) (*Store, error)

	mu    sync.Mutex // held while it is opened or closed
	store atomic.Pointer[Store]
}

// Get opens the store where it is not open.
func (l *Lazy) Get(ctx context.Context) (*Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.Opened(); s != nil {
		return s, nil
	}
	s, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	l.store.Store(s)
	return s, nil
}

// Opened is the store where it is open, else nil: it waits for nothing.
func (l *Lazy) Opened() *Store { return l.store.Load() }

// Close closes the store where it is open: nobody uses it any more.
func (l *Lazy) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.store.Swap(nil); s != nil {
		s.Close()
	}
}
