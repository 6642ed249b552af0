package roc

import (
	"fmt"
	"io"
	"log/slog"
)

// Content is the bytes of a message. They may hold health data, so the type
// cannot be printed: every way of formatting, logging or encoding it gives its
// size only. Bytes is the one door, and its callers are few: the scanner, the
// signature check and the two network legs.
type Content struct{ b []byte }

// NewContent wraps the bytes of a message. It keeps b; the caller must not
// change it afterwards.
func NewContent(b []byte) Content { return Content{b} }

// Bytes returns the message itself. Never format or log it.
func (c Content) Bytes() []byte { return c.b }

// Len returns the size of the message, in bytes.
func (c Content) Len() int { return len(c.b) }

func (c Content) mask() string { return fmt.Sprintf("[message of %d bytes]", len(c.b)) }

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
