package roc

import (
	"fmt"
	"io"
	"log/slog"
)

// Content is the bytes of a message. They may hold health data, so the type
// cannot be printed: every way of formatting, logging or encoding it gives its
// size only. Bytes is the only access, and its callers are few: the scanner,
// the signature check and the two network legs.
//
// The bytes are behind a func because fmt cannot call the methods of a field
// that is not exported, nor does after a verb that does not fit: it then prints
// what is in the value. Of a func that is an address.
type Content struct{ get func() []byte }

// NewContent wraps the bytes of a message. It keeps b; the caller must not
// change it afterwards.
func NewContent(b []byte) Content { return Content{func() []byte { return b }} }

// Bytes returns the message itself. Never format or log it.
func (c Content) Bytes() []byte {
	if c.get == nil {
		return nil
	}
	return c.get()
}

// Len returns the size of the message, in bytes.
func (c Content) Len() int { return len(c.Bytes()) }

func (c Content) mask() string { return fmt.Sprintf("[message of %d bytes]", c.Len()) }

// String gives the size, never the message.
func (c Content) String() string { return c.mask() }

// GoString gives the size, never the message.
func (c Content) GoString() string { return c.mask() }

// Format gives the size for every verb, never the message.
func (c Content) Format(s fmt.State, _ rune) { io.WriteString(s, c.mask()) }

// LogValue gives the size, never the message.
func (c Content) LogValue() slog.Value { return slog.StringValue(c.mask()) }

// MarshalText gives the size, never the message (encoding/json, yaml, xml).
func (c Content) MarshalText() ([]byte, error) { return []byte(c.mask()), nil }
