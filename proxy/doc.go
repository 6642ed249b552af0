// Package proxy is the path of one exchange, from an establishment to its
// insurer and back.
//
// The life of a message (carry.go is the same, in code):
//
//  1. the connection comes with a verified certificate (tlsconf); none: no exchange
//  2. open: a roc.Record and an id; from here the outcome is told exactly once
//  3. identify: the structure of the certificate is registered and not suspended
//  4. limit: its rate, then room for one more exchange; no byte of the body is read before
//  5. read: the whole body in one buffer, within limits, framed strictly; the envelope
//  6. check: the actions agree; the signature covers what decides
//  7. key: the routing fields, out of what is signed; the sites against the certificate
//  8. find and choose: the annuaire's answer, then the one place where the message may go
//  9. send: the bytes that were checked, untouched; the answer comes back as it came
//  10. close: answer written, record closed, observers told
//
// HTTP/1.1 on both legs is http1's, the searches of establishments facade's.
package proxy
