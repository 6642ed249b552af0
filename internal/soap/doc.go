// Package soap turns bytes into an envelope and back, without ever building a
// tree or copying the message.
//
// Read makes one strict pass over the raw bytes (scan.go): well-formedness
// with namespaces, the limits and the refusals of profile section 2, and an
// index of elements, attributes, namespace declarations, Ids and of the few
// places where the canonical form differs from the bytes as they came. Node
// walks that index; Canonical (c14n.go) streams the exclusive canonical form
// of an element from it, in long runs of the message's own bytes.
//
// encoding/xml and etree read what must be refused (duplicate attributes,
// undeclared prefixes, a second root, a DTD...), so nothing here rests on them.
//
// Fault writes the refusals of profile section 7.
package soap
