package trust

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strings"
)

// A Block is one PEM block, and the line of its BEGIN.
type Block struct {
	*pem.Block
	Line int
}

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	pemBegin      = []byte("-----BEGIN ")
	pemEnd        = []byte("-----END ")
	pemDashes     = []byte("-----")
)

// ReadPEM reads every PEM block of a file. encoding/pem passes over what it does
// not understand, and a CA whose block was damaged by an editor would vanish in
// silence; so here each BEGIN gives a block, or an error with its line. One
// leading byte order mark is skipped; text outside the blocks is allowed.
func ReadPEM(text []byte) ([]Block, error) {
	text = bytes.TrimPrefix(text, byteOrderMark)
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	var blocks []Block
	line := 1
	skip := func(n int) {
		line += bytes.Count(text[:n], []byte("\n"))
		text = text[n:]
	}
	for {
		begin, stray := bytes.Index(text, pemBegin), bytes.Index(text, pemEnd)
		if stray >= 0 && (begin < 0 || stray < begin) {
			skip(stray)
			return nil, fmt.Errorf("line %d: an END without its BEGIN: the file is cut or damaged, export it again", line)
		}
		if begin < 0 {
			return blocks, nil
		}
		skip(begin)
		whole, what := cutBlock(text)
		if what == "" {
			block, rest := pem.Decode(append(bytes.Clone(whole), '\n'))
			if block != nil && len(bytes.TrimSpace(rest)) == 0 {
				blocks = append(blocks, Block{block, line})
				skip(len(whole) - len(pemDashes)) // which an editor may have left to be those of the next BEGIN too
				continue
			}
			what = "its base64 is damaged"
		}
		return nil, fmt.Errorf("line %d: the block that begins here cannot be read: %s: export it again", line, what)
	}
}

// cutBlock returns the block that text begins with, from BEGIN to END, or what
// is wrong with it.
func cutBlock(text []byte) (whole []byte, wrong string) {
	label, after, found := bytes.Cut(text[len(pemBegin):], pemDashes)
	if !found || bytes.Contains(label, []byte("\n")) {
		return nil, "its first line has no end"
	}
	end := bytes.Index(after, pemEnd)
	next := bytes.Index(after, pemBegin)
	if end < 0 || next >= 0 && next < end {
		return nil, "its END is missing"
	}
	last := append(append(bytes.Clone(pemEnd), label...), pemDashes...)
	if !bytes.HasPrefix(after[end:], last) {
		return nil, fmt.Sprintf("its END is not one of %s", Safe(string(label)))
	}
	return text[:len(text)-len(after)+end+len(last)], ""
}

// IsKey says whether a block is of a private key, or of the parameters that
// openssl writes in front of one.
func IsKey(b Block) bool {
	return strings.HasSuffix(b.Type, "PRIVATE KEY") || b.Type == "EC PARAMETERS"
}
