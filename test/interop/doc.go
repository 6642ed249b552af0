// Package interop plays the SOAP clients that need a JDK, Mono, PHP or a C++
// compiler against the running RPN: make test-interop. What each puts in its
// messages, and how to set it, is in docs/interop.md.
package interop
