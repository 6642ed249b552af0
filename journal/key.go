package journal

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// publicOf is the verifier key of a private key line, which is
// PRIVATE+KEY+name+hash+base64, of an algorithm byte and an Ed25519 seed.
func publicOf(private string) (string, error) {
	parts := strings.SplitN(private, "+", 5) // '+' is a digit of base64 too
	data, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(parts) != 5 || len(data) != 1+ed25519.SeedSize {
		return "", errors.New("not an Ed25519 key of a signed note")
	}
	key := ed25519.NewKeyFromSeed(data[1:]).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(parts[2], key)
}
