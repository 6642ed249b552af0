// Package expiry is the inventory of what ends: every certificate that was
// accepted, who uses it and how much, our own, the CAs and their lists.
package expiry
