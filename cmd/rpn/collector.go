package main

import (
	"os"
	"runtime/debug"
)

// gcPercent: what an exchange allocates is garbage once its answer is written, and
// what lives is small. The heap may grow to five times that before it is
// collected.
const gcPercent = 400

// tuneCollector sets how often memory is collected, where the environment (GOGC,
// GOMEMLIMIT) does not. Beyond twice what messages and answers may hold
// (limits.memory, in bytes), which is what the machine is to have, it is
// collected as often as it takes.
func tuneCollector(memory int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(2 * memory)
	}
}
