package redis

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrLost is what each command returns while Redis is lost: Redis was not
	// contacted.
	ErrLost = errors.New("Redis is lost")

	// ErrNone is what a command returns when there is no such key or field.
	ErrNone = errors.New("Redis has no such key")
)

// gone are the answers of a Redis that cannot serve: it is not the master, it
// is not ready, or it does not know us. They are searched anywhere in the text:
// a script, a proxy or another implementation wraps them in its own words.
var gone = []string{
	"READONLY", "read only replica", "read-only replica", "read only slave",
	"LOADING", "MASTERDOWN", "NOMASTERLINK", "CLUSTERDOWN", "NOREPLICAS",
	"MISCONF", "OOM ", "max number of clients",
	"NOAUTH", "WRONGPASS",
}

// isGone reports whether an answer of Redis says that it cannot serve.
func isGone(err error) bool {
	text := err.Error()
	for _, word := range gone {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// isLogin reports whether a login was refused.
func isLogin(err error) bool {
	var said redis.Error
	if !errors.As(err, &said) {
		return false
	}
	text := err.Error()
	for _, word := range []string{"WRONGPASS", "NOAUTH", "AUTH", "invalid password", "NOPERM"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// A verdict is what an error means for the state of Redis.
type verdict int

const (
	serves  verdict = iota // it answered
	refuses                // it answered that this command is refused: its rights, its type
	lost                   // it did not answer, or cannot serve
	silent                 // nothing: the caller left first
)

// verdictOf classifies the error of a command; asked is the context of the
// caller, which may have ended for its own reasons.
func verdictOf(asked context.Context, err error) verdict {
	var said redis.Error
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return serves
	case errors.As(err, &said):
		if isGone(err) {
			return lost
		}
		return refuses
	case asked.Err() != nil:
		return silent
	}
	return lost
}
