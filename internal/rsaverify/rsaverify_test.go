package rsaverify

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
)

// unserved reports that this processor has not the instructions; then the one
// thing to prove is that no key is made.
func unserved(t testing.TB) bool {
	t.Helper()
	if supported {
		return false
	}
	if NewKey(odd(pow(2047)), 65537) != nil {
		t.Fatal("a key is made without the instructions that serve it")
	}
	t.Log("PROVED NOTHING: no AVX-512 IFMA on this machine, so the instructions were not run; run the tests of this package on a machine that has them")
	return true
}

// Current tells what NewKey does.
func TestTheStateSaysWhichWayIsInUse(t *testing.T) {
	t.Parallel()
	s := Current()
	if made := NewKey(odd(pow(2047)), 65537) != nil; made != s.Vectors {
		t.Errorf("a key is made: %v, the state says %+v", made, s)
	}
	if want := map[bool]string{true: "passed", false: "not-run"}[supported]; s.SelfTest != want {
		t.Errorf("self-test %q, want %q on this machine", s.SelfTest, want)
	}
	unserved(t)
}

func pow(k uint) *big.Int                    { return new(big.Int).Lsh(big.NewInt(1), k) }
func plus(x *big.Int, d int64) *big.Int      { return new(big.Int).Add(x, big.NewInt(d)) }
func odd(x *big.Int) *big.Int                { return new(big.Int).SetBit(x, 0, 1) }
func modulus(x *big.Int) *big.Int            { return new(big.Int).SetBit(odd(x), 8*size-1, 1) }
func below(r *rand.Rand, k uint) *big.Int    { return new(big.Int).Mod(ofLimbs(r, random), pow(k)) }
func random(r *rand.Rand, _ int) uint64      { return r.Uint64() & low52 }
func bytes256(x *big.Int) []byte             { return x.FillBytes(make([]byte, size)) }
func bits2063(x *big.Int) *big.Int           { return new(big.Int).Mod(x, pow(2063)) }
func runs(r *rand.Rand, _ int) uint64        { return []uint64{0, 0, low52, low52, r.Uint64N(300)}[r.IntN(5)] }
func nearlyFull(r *rand.Rand, _ int) uint64  { return low52 - r.Uint64N(300) }
func nearlyEmpty(r *rand.Rand, _ int) uint64 { return r.Uint64N(300) }
func mixed(r *rand.Rand, _ int) uint64 {
	return []uint64{0, 1, low52, low52 - 1, 1 << 51, 1 << r.UintN(52), r.Uint64() & low52}[r.IntN(7)]
}

var shapes = []func(*rand.Rand, int) uint64{random, runs, nearlyFull, nearlyEmpty, mixed}

func ofLimbs(r *rand.Rand, limb func(*rand.Rand, int) uint64) *big.Int {
	x := new(big.Int)
	for i := range limbs {
		x.Add(x.Lsh(x, 52), new(big.Int).SetUint64(limb(r, i)))
	}
	return x
}

func toNumber(x *big.Int) (n number) {
	rest, low := new(big.Int).Set(x), new(big.Int)
	for i := range n {
		n[i] = low.And(rest, big.NewInt(low52)).Uint64()
		rest.Rsh(rest, 52)
	}
	return n
}

// oracle is Montgomery's multiplication by its definition, in math/big.
type oracle struct {
	n, minus, mask *big.Int // minus = -1/n mod 2^2080
	number         number
	k0             uint64
}

func newOracle(n *big.Int) *oracle {
	r := pow(52 * limbs)
	minus := new(big.Int).ModInverse(n, r)
	minus.Sub(r, minus)
	k0 := new(big.Int).And(minus, big.NewInt(low52)).Uint64()
	return &oracle{n, minus, plus(r, -1), toNumber(n), k0}
}

// check compares one product with its exact value (ab + yn) / 2^2080: not
// only its class mod n. Every limb must be below 2^52.
func (o *oracle) check(t *testing.T, a, b *big.Int) {
	t.Helper()
	ab := new(big.Int).Mul(a, b)
	y := new(big.Int).And(ab, o.mask)
	y.And(y.Mul(y, o.minus), o.mask)
	want := toNumber(ab.Rsh(ab.Add(ab, y.Mul(y, o.n)), 52*limbs))
	na, nb := toNumber(a), toNumber(b)
	var got number
	amm(&got, &na, &nb, &o.number, o.k0)
	if got != want {
		t.Fatalf("n %x\na %x\nb %x\ngot  %x\nwant %x", o.n, a, b, got, want)
	}
}

// moduli are extreme at the top, at the bottom and between.
func moduli(r *rand.Rand) []*big.Int {
	list := []*big.Int{
		plus(pow(2047), 1), plus(pow(2048), -1), plus(pow(2047), 1<<52-1), plus(pow(2047), 1<<52+1),
		modulus(plus(pow(2048), -1<<52)), modulus(plus(pow(2028), -1)), plus(pow(2048), -1<<52+1),
		plus(new(big.Int).Sub(pow(2048), pow(1024)), 1), plus(new(big.Int).Add(pow(2047), pow(1040)), -1),
	}
	for _, shape := range shapes {
		for range 3 {
			list = append(list, modulus(new(big.Int).Mod(ofLimbs(r, shape), pow(2048))))
		}
	}
	return list
}

func TestMultiplicationIsExactOnStructuredNumbers(t *testing.T) {
	t.Parallel()
	if unserved(t) {
		return
	}
	r := rand.New(rand.NewPCG(1, 2048))
	for _, n := range moduli(r) {
		o := newOracle(n)
		twice := new(big.Int).Lsh(n, 1)
		values := []*big.Int{
			new(big.Int), big.NewInt(1), big.NewInt(2), plus(n, -1), n, plus(n, 1), plus(twice, -1), twice,
			plus(pow(2048), -1), plus(pow(2063), -1), pow(52), plus(pow(52), -1), pow(2028), plus(pow(2028), -1),
		}
		for _, shape := range shapes {
			values = append(values, bits2063(ofLimbs(r, shape)))
		}
		for k := uint(0); k < 2063; k += 103 {
			values = append(values, pow(k))
		}
		for _, a := range values {
			for _, b := range values {
				o.check(t, a, b)
			}
		}
	}
}

// The last carries run far only when the result has limbs of zeros, of ones or
// nearly so, which no random factors give: here the result is chosen.
func TestMultiplicationIsExactWhenTheResultIsStructured(t *testing.T) {
	t.Parallel()
	if unserved(t) {
		return
	}
	r := rand.New(rand.NewPCG(2, 2048))
	for _, n := range moduli(r) {
		o := newOracle(n)
		inverse := func(b *big.Int) *big.Int { return new(big.Int).ModInverse(b, n) }
		for _, shape := range shapes {
			for range 60 {
				want := new(big.Int).Mod(ofLimbs(r, shape), pow(2048))
				b := odd(below(r, 2047))
				if inverse(b) == nil {
					continue
				}
				a := new(big.Int).Mul(want, pow(52*limbs))
				a.Mod(a.Mul(a, inverse(b)), n)
				o.check(t, a, b)
				a.Mod(new(big.Int).Mul(want, pow(52*limbs)), n)
				o.check(t, a, big.NewInt(1))
			}
		}
	}
}

func TestMultiplicationIsExactOnRandomNumbers(t *testing.T) {
	t.Parallel()
	if unserved(t) {
		return
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 2048))
	for range 100 {
		o := newOracle(modulus(below(r, 2048)))
		for range 300 {
			shape, other := shapes[r.IntN(len(shapes))], shapes[r.IntN(len(shapes))]
			o.check(t, bits2063(ofLimbs(r, shape)), bits2063(ofLimbs(r, other)))
		}
	}
}

func TestMultiplicationInPlace(t *testing.T) {
	t.Parallel()
	if unserved(t) {
		return
	}
	r := rand.New(rand.NewPCG(3, 2048))
	for range 100 {
		o := newOracle(modulus(below(r, 2048)))
		x := toNumber(below(r, 2049))
		var want number
		amm(&want, &x, &x, &o.number, o.k0)
		first, second, both := x, x, x
		amm(&first, &first, &x, &o.number, o.k0)
		amm(&second, &x, &second, &o.number, o.k0)
		amm(&both, &both, &both, &o.number, o.k0)
		if first != want || second != want || both != want {
			t.Fatal("the result depends on where it is put")
		}
	}
}

// matches holds one verdict to math/big's power, and with the last bit wrong.
func matches(t *testing.T, n, s *big.Int, bit uint) {
	t.Helper()
	k := NewKey(n, 65537)
	if k == nil {
		t.Fatalf("no key for %x", n)
	}
	em := new(big.Int).Exp(s, big.NewInt(65537), n)
	if got, want := k.Matches(bytes256(s), bytes256(em)), s.Cmp(n) < 0; got != want {
		t.Fatalf("n %x\ns %x: %v for the power itself, want %v", n, s, got, want)
	}
	wrong := new(big.Int).SetBit(em, int(bit), 1-em.Bit(int(bit)))
	if k.Matches(bytes256(s), bytes256(wrong)) {
		t.Fatalf("n %x\ns %x: matches with bit %d wrong", n, s, bit)
	}
	if em.Add(em, n).BitLen() <= 8*size && k.Matches(bytes256(s), bytes256(em)) {
		t.Fatalf("n %x\ns %x: matches a number above the modulus", n, s)
	}
}

func TestMatchesIsTheVerdictOfMathBig(t *testing.T) {
	t.Parallel()
	if unserved(t) {
		return
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 65537))
	for _, n := range moduli(r) {
		for _, s := range []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), plus(n, -1), plus(n, -2), n, plus(pow(2048), -1), pow(2047)} {
			matches(t, n, s, r.UintN(2048))
		}
		for _, shape := range shapes {
			matches(t, n, new(big.Int).Mod(ofLimbs(r, shape), n), r.UintN(2048))
		}
	}
	for bit := range uint(2048) { // every bit of the expected number counts
		if n := plus(pow(2048), -1); bit%16 == 0 {
			matches(t, n, below(r, 2048), bit)
		}
	}
}

func TestMatchesRefusesOtherLengths(t *testing.T) {
	t.Parallel()
	if unserved(t) {
		return
	}
	k, one := NewKey(plus(pow(2047), 1), 65537), bytes256(big.NewInt(1))
	if !k.Matches(one, one) {
		t.Fatal("1 to any power is 1")
	}
	for _, b := range [][]byte{nil, one[1:], append([]byte{0}, one...)} {
		if k.Matches(b, one) || k.Matches(one, b) {
			t.Errorf("matches with %d bytes", len(b))
		}
	}
}

func TestKeysThatAreNotServed(t *testing.T) {
	t.Parallel()
	n := plus(pow(2047), 1)
	for name, k := range map[string]*Key{
		"exponent 3":   NewKey(n, 3),
		"2047 bits":    NewKey(plus(pow(2046), 1), 65537),
		"2049 bits":    NewKey(plus(pow(2048), 1), 65537),
		"even modulus": NewKey(plus(n, 1), 65537),
		"zero":         NewKey(new(big.Int), 65537),
		"negative":     NewKey(new(big.Int).Neg(n), 65537),
	} {
		if k != nil {
			t.Errorf("%s: a key", name)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if unserved(t) {
		return
	}
	k, one := NewKey(plus(pow(2047), 1), 65537), bytes256(big.NewInt(1))
	if n := testing.AllocsPerRun(10, func() { k.Matches(one, one) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMatches holds the verdict to math/big's for any modulus and value.
func FuzzMatches(f *testing.F) {
	f.Add([]byte{1}, []byte{2}, uint16(0))
	f.Add(bytes256(plus(pow(2048), -1)), bytes256(plus(pow(2048), -2)), uint16(2047))
	f.Add(bytes256(plus(pow(2047), 1)), bytes256(pow(2047)), uint16(52))
	f.Fuzz(func(t *testing.T, n, s []byte, bit uint16) {
		if unserved(t) || len(n) > size || len(s) > size {
			return
		}
		matches(t, modulus(new(big.Int).SetBytes(n)), new(big.Int).SetBytes(s), uint(bit)%2048)
	})
}

// FuzzMultiply holds the product of any numbers to its exact value.
func FuzzMultiply(f *testing.F) {
	f.Add([]byte{1}, []byte{2}, []byte{3})
	f.Fuzz(func(t *testing.T, n, a, b []byte) {
		if unserved(t) || len(n) > size {
			return
		}
		o := newOracle(modulus(new(big.Int).SetBytes(n)))
		o.check(t, bits2063(new(big.Int).SetBytes(a)), bits2063(new(big.Int).SetBytes(b)))
	})
}

func BenchmarkMatches(b *testing.B) {
	if unserved(b) {
		return
	}
	n := plus(pow(2048), -1)
	k, s := NewKey(n, 65537), bytes256(plus(pow(2040), 12345))
	em := bytes256(new(big.Int).Exp(new(big.Int).SetBytes(s), big.NewInt(65537), n))
	b.ReportAllocs()
	for b.Loop() {
		if !k.Matches(s, em) {
			b.Fatal(fmt.Errorf("does not match"))
		}
	}
}
