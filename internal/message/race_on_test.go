//go:build race

package message_test

// Under the race detector a sync.Pool forgets now and then, by design.
const mostAllocations = 8
