// Package revocation says whether an accepted chain is out: by the revocation
// lists of its CAs, by the emergency deny list, by OCSP.
//
// A Checker gathers them in the background, keeps the last good ones on disk,
// and answers from memory. Check fails closed but where its policy says open.
package revocation
