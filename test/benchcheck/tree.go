package main

import (
	"bytes"
	"encoding/base64"

	"github.com/beevik/etree"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/piano-roc/rpn/internal/roc"
)

// dsigContext detaches an element with what its ancestors declare.
func dsigContext(el *etree.Element) (*etree.Element, error) {
	ctx, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, err
	}
	return etreeutils.NSDetatch(ctx, el)
}

func signatureValue(m roc.Content) []byte {
	_, after, _ := bytes.Cut(m.Bytes(), []byte("<ds:SignatureValue>"))
	text, _, _ := bytes.Cut(after, []byte("<"))
	value, err := base64.StdEncoding.DecodeString(string(text))
	fatal(err)
	return value
}
