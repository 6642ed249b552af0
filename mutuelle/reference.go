package mutuelle

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A reference of a payment guarantee is GP-DATE-NONCE-CHECK. With CHECK the
// insurer recognises its own references without storing them, and so can answer
// an ANL correctly. It is no secret and protects nothing: this insurer is
// fictitious.

func newReference(amc roc.NumeroAMC, at time.Time, nonce [4]byte) string {
	body := "GP-" + at.Format("20060102") + "-" + strings.ToUpper(hex.EncodeToString(nonce[:]))
	return body + "-" + checkOf(amc, body)
}

// isReference reports whether this insurer made the reference, for that number.
func isReference(amc roc.NumeroAMC, s string) bool {
	i := strings.LastIndexByte(s, '-')
	return i > 0 && strings.HasPrefix(s, "GP-") && s[i+1:] == checkOf(amc, s[:i])
}

func checkOf(amc roc.NumeroAMC, body string) string {
	sum := sha256.Sum256([]byte("mutuelle-ans " + string(amc) + " " + body))
	return strings.ToUpper(hex.EncodeToString(sum[:4]))
}
