//go:build !purego

package rsaverify

import "golang.org/x/sys/cpu"

// supported: the processor has the instructions and the system saves their
// registers. GODEBUG=cpu.avx512ifma=off makes it false.
var supported = cpu.X86.HasAVX512F && cpu.X86.HasAVX512IFMA

// amm puts into out a number congruent to a*b/2^2080 mod n ("almost Montgomery
// multiplication") and below n + a*b/2^2080: below 2n when a*b is below
// 2^2080 n, which holds for a and b below 2^2063. k0 is -1/n mod 2^52, n is
// odd. Any of the pointers may be equal.
//
//go:noescape
func amm(out, a, b, n *number, k0 uint64)
