//go:build !race

package message_test

const mostAllocations = 0
