// Package trust is the drill of who may come in: certificates in every form,
// revocation lists in every state, what answers to them and to messages, played
// against the real binary, one line a cell. `make drill-trust` plays it, with
// 2 000 generated lists beside OpenSSL, and so does `make test` in small.
package trust
