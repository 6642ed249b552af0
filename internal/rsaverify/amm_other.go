//go:build !amd64 || purego

package rsaverify

const supported = false

func amm(_, _, _, _ *number, _ uint64) {
	panic("rsaverify: no such instructions; NewKey makes no key here")
}
