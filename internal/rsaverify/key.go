// Package rsaverify computes s^65537 mod n for a 2048-bit modulus with the
// AVX-512 IFMA instructions of amd64 processors, to verify RSA signatures.
//
// It is for public values only: its time depends on them. It holds no
// signature scheme: the caller encodes the message and this package compares
// numbers (docs/decisions/0008).
package rsaverify

import (
	"encoding/binary"
	"math/big"
	"sync"
)

const (
	size  = 256 // bytes of a modulus
	limbs = 40  // of 52 bits: 2080 bits in five vectors of eight
	low52 = 1<<52 - 1
)

// A number is held in limbs of 52 bits, the least significant first, because
// the instructions multiply 52 bits by 52. Each limb is below 2^52.
type number [limbs]uint64

// A Key is the modulus of an RSA public key of 2048 bits and exponent 65537,
// with what Montgomery's multiplication needs. It never changes once made.
type Key struct {
	n  number
	rr number // R^2 mod n, R = 2^2080
	k0 uint64 // -1/n mod 2^52
}

// NewKey prepares a public key. It returns nil for a key that this package does
// not handle (another size or exponent, an even modulus) and on a processor
// without the instructions: the caller then uses another implementation.
func NewKey(n *big.Int, e int) *Key {
	if !supported || n.Sign() <= 0 || n.BitLen() != 8*size || n.Bit(0) == 0 || e != 65537 || !selfTest() {
		return nil
	}
	return newKey(n)
}

// A State says how RSA signatures are verified in this process, and why.
type State struct {
	Vectors  bool   // by this package; otherwise by math in portable code
	SelfTest string // "passed", "failed", or "not-run" if the processor does not have the instructions
}

// Current runs the self-test, once a process, and returns its result.
func Current() State {
	switch {
	case !supported:
		return State{SelfTest: "not-run"}
	case !selfTest():
		return State{SelfTest: "failed"}
	}
	return State{Vectors: true, SelfTest: "passed"}
}

// selfTest compares one power with math/big's, once per process: a processor or
// a virtual machine that computes wrongly must cost speed, not correctness. Its
// factors include limbs full of ones.
var selfTest = sync.OnceValue(func() bool {
	one := big.NewInt(1)
	n := new(big.Int).Sub(new(big.Int).Lsh(one, 8*size), big.NewInt(1942289)) // odd, top limbs all ones
	s := new(big.Int).Sub(n, new(big.Int).Lsh(one, 1000))
	want := new(big.Int).Exp(s, big.NewInt(65537), n)
	k := newKey(n)
	var b, em [size]byte
	s.FillBytes(b[:])
	if want.FillBytes(em[:]); !k.Matches(b[:], em[:]) {
		return false
	}
	em[size-1] ^= 1
	return !k.Matches(b[:], em[:])
})

// newKey prepares a key that NewKey has found fit.
func newKey(n *big.Int) *Key {
	var k Key
	var b [size]byte
	k.n.setBytes((*[size]byte)(n.FillBytes(b[:])))
	rr := new(big.Int).Lsh(big.NewInt(1), 2*52*limbs)
	k.rr.setBytes((*[size]byte)(rr.Mod(rr, n).FillBytes(b[:])))
	inverse := k.n[0] // of n mod 2^3, then twice as many bits at each turn
	for range 5 {
		inverse *= 2 - k.n[0]*inverse
	}
	k.k0 = -inverse & low52
	return &k
}

// Matches reports whether s, big-endian and below the modulus, raised to the
// exponent is the number em, big-endian. Both have 256 bytes, else false.
func (k *Key) Matches(s, em []byte) bool {
	if len(s) != size || len(em) != size {
		return false
	}
	var base, power, want number
	base.setBytes((*[size]byte)(s))
	if !base.less(&k.n) {
		return false
	}
	amm(&power, &base, &k.rr, &k.n, k.k0) // s R
	for range 16 {
		amm(&power, &power, &power, &k.n, k.k0)
	}
	amm(&power, &power, &base, &k.n, k.k0) // s^65536 R times s over R: no R is left
	if !power.less(&k.n) {
		power.subtract(&k.n) // once is enough: amm's result is below 2n
	}
	want.setBytes((*[size]byte)(em))
	return power == want
}

func (x *number) setBytes(b *[size]byte) {
	var words [size/8 + 1]uint64 // and a zero word above
	for i := range size / 8 {
		words[i] = binary.BigEndian.Uint64(b[size-8*(i+1):])
	}
	for i := range x {
		word, bit := 52*i/64, 52*i%64
		x[i] = (words[word]>>bit | words[word+1]<<(64-bit)) & low52
	}
}

func (x *number) less(y *number) bool {
	for i := limbs - 1; i >= 0; i-- {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// subtract takes y, which is not above x, from x.
func (x *number) subtract(y *number) {
	var borrow uint64
	for i := range x {
		d := x[i] - y[i] - borrow
		x[i], borrow = d&low52, d>>63
	}
}
