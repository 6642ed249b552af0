package igc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"runtime"
	"sync"
)

// Keys makes private keys and remembers them by label, so that tests that
// build one PKI each do not pay for RSA keys each time. The same label gives
// the same key, in every PKI that shares the Keys. Safe for concurrent use.
type Keys struct {
	mu    sync.Mutex
	made  map[string]func() crypto.Signer
	stock []func() crypto.Signer // RSA-2048 keys on their way, for labels to come
	cpus  chan struct{}          // bounds how many RSA keys are searched at once
}

// NewKeys returns an empty key ring.
func NewKeys() *Keys {
	return &Keys{
		made: map[string]func() crypto.Signer{},
		cpus: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Prepare starts making n RSA-2048 keys for labels to come, on all
// processors, and returns at once.
func (k *Keys) Prepare(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range n {
		key := sync.OnceValue(k.newRSA(2048))
		k.stock = append(k.stock, key)
		go key()
	}
}

// RSA returns the RSA key of that label and size in bits.
func (k *Keys) RSA(label string, bits int) crypto.Signer {
	k.mu.Lock()
	label = fmt.Sprintf("rsa %d %s", bits, label)
	key := k.made[label]
	if key == nil {
		if bits == 2048 && len(k.stock) > 0 {
			key, k.stock = k.stock[0], k.stock[1:]
		} else {
			key = sync.OnceValue(k.newRSA(bits))
		}
		k.made[label] = key
	}
	k.mu.Unlock()
	return key()
}

// ECDSA returns the P-256 key of that label.
func (k *Keys) ECDSA(label string) crypto.Signer {
	k.mu.Lock()
	label = "ecdsa " + label
	key := k.made[label]
	if key == nil {
		key = sync.OnceValue(func() crypto.Signer { return newECDSA() })
		k.made[label] = key
	}
	k.mu.Unlock()
	return key()
}

func (k *Keys) newRSA(bits int) func() crypto.Signer {
	return func() crypto.Signer {
		k.cpus <- struct{}{}
		defer func() { <-k.cpus }()
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(fmt.Sprintf("igc: RSA key of %d bits: %v", bits, err))
		}
		return key
	}
}

func newECDSA() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("igc: P-256 key: " + err.Error())
	}
	return key
}
