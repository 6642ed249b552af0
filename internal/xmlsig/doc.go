// Package xmlsig determines which parts of an envelope are signed, and by whom,
// under the policy of profile section 3, and signs.
//
// Check goes from the outside in, and each step fails closed: the shape of
// wsse:Security, the signer's certificate and its chain, the references by
// structure and by uniqueness of their Ids, the digests, the signature value,
// the Timestamp, the structure of the signer. Nothing of the message is used
// before its digest and the signature over that digest are verified, and a
// Checked then gives only what the signature covers.
//
// The canonical form is streamed by package soap straight from the message's
// bytes into the digest; no tree is built. goxmldsig, etree, xmlsec1 and
// xmllint are its oracles in tests.
package xmlsig
