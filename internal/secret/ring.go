// Package secret holds what the instances of one RPN share and nobody else
// knows: it binds data to them (Tag) and hides it (Seal).
//
// A Ring is a list of keys. The first one is used, all of them are accepted. To
// change a key without interruption, add the new one below the old on every
// instance, then move it to the top, then remove the old one.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A Ring is one or more secret keys. It never changes and cannot be printed.
type Ring struct{ keys []key }

// A key and its id: the first bytes of a digest of it.
type key struct {
	id     [idSize]byte
	secret []byte
}

const (
	idSize = 4
	least  = 32 // bytes of a key
)

// String says how many keys there are, never which.
func (r *Ring) String() string { return fmt.Sprintf("[ring of %d keys]", len(r.keys)) }

// GoString is String: a Ring is never printed.
func (r *Ring) GoString() string { return r.String() }

// Read reads a file of keys: one a line, 64 hexadecimal digits or more, the one
// in use first; empty lines and lines that begin with # are ignored. The error
// names the line and never its content.
func Read(file string) (*Ring, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// Parse reads the content of such a file.
func Parse(data []byte) (*Ring, error) {
	r := &Ring{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		secret, err := hex.DecodeString(line)
		if err != nil || len(secret) < least {
			return nil, fmt.Errorf("line %d is not a key: write %d hexadecimal digits or more, as `openssl rand -hex %d` does", number, 2*least, least)
		}
		k := key{secret: secret}
		sum := sha256.Sum256(append([]byte("rpn key id\x00"), secret...))
		copy(k.id[:], sum[:])
		for _, other := range r.keys {
			if other.id == k.id {
				return nil, fmt.Errorf("line %d repeats a key: remove one of the two", number)
			}
		}
		r.keys = append(r.keys, k)
	}
	if len(r.keys) == 0 {
		return nil, fmt.Errorf("it holds no key: write one with `openssl rand -hex %d`", least)
	}
	return r, nil
}

// derive makes the key of one purpose: what is made for one purpose is not
// valid for another.
func (k *key) derive(purpose string) []byte {
	b, err := hkdf.Key(sha256.New, k.secret, nil, "rpn "+purpose, 32)
	if err != nil {
		panic(err) // 32 bytes of SHA-256 is always possible
	}
	return b
}

// find returns the key of that id, or nil.
func (r *Ring) find(id []byte) *key {
	for i := range r.keys {
		if string(r.keys[i].id[:]) == string(id) {
			return &r.keys[i]
		}
	}
	return nil
}

// Tag authenticates the parts, with their boundaries, for that purpose and for
// the holders of the Ring: 36 bytes.
func (r *Ring) Tag(purpose string, parts ...[]byte) []byte {
	k := &r.keys[0]
	return append(k.id[:len(k.id):len(k.id)], k.mac(purpose, parts)...)
}

// Holds reports whether a holder of the Ring tagged those parts for that
// purpose.
func (r *Ring) Holds(tag []byte, purpose string, parts ...[]byte) bool {
	if len(tag) != idSize+sha256.Size {
		return false
	}
	k := r.find(tag[:idSize])
	return k != nil && hmac.Equal(tag[idSize:], k.mac(purpose, parts))
}

// Derived returns a secret of 32 bytes for that purpose and those parts, of each
// key, the one in use first. It is for one party outside, who learns nothing of the
// keys by it.
func (r *Ring) Derived(purpose string, parts ...[]byte) (list [][]byte) {
	for i := range r.keys {
		list = append(list, r.keys[i].mac("derived "+purpose, parts))
	}
	return list
}

func (k *key) mac(purpose string, parts [][]byte) []byte {
	h := hmac.New(sha256.New, k.derive("tag "+purpose))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}

// errSealed does not say why.
var errSealed = errors.New("it was not sealed by the holders of these keys, for this")

// Seal encrypts and authenticates plain: AES-256-GCM with a random nonce.
func (r *Ring) Seal(purpose string, plain []byte) []byte {
	k := &r.keys[0]
	a := k.aead(purpose)
	b := append(k.id[:len(k.id):len(k.id)], make([]byte, a.NonceSize())...)
	rand.Read(b[idSize:])
	return a.Seal(b, b[idSize:], plain, []byte(purpose))
}

// Current reports whether sealed was sealed with the key that Seal uses now; if
// not, seal it again before the older key is removed.
func (r *Ring) Current(sealed []byte) bool {
	return len(sealed) >= idSize && string(sealed[:idSize]) == string(r.keys[0].id[:])
}

// Open returns what Seal encrypted for that purpose.
func (r *Ring) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < idSize {
		return nil, errSealed
	}
	k := r.find(sealed[:idSize])
	if k == nil {
		return nil, errSealed
	}
	a := k.aead(purpose)
	if len(sealed) < idSize+a.NonceSize() {
		return nil, errSealed
	}
	nonce := sealed[idSize : idSize+a.NonceSize()]
	plain, err := a.Open(nil, nonce, sealed[idSize+a.NonceSize():], []byte(purpose))
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

func (k *key) aead(purpose string) cipher.AEAD {
	block, err := aes.NewCipher(k.derive("seal " + purpose))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}
