// Package register is the register: which establishments may call, in
// which state, and which AMCs they may reach (profile sections 4 and 6).
//
// A [List] is one immutable snapshot of two files, read strictly and checked as
// a whole. A [Source] holds the current one and swaps it whole: a bad file, or
// an implausibly large change, changes nothing.
//
// The register is trusted: who can write its files decides who gets in.
package register
