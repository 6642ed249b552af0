package http1

import "bytes"

// readBody reads the body of a message into one buffer of its own, at most
// limit bytes: ErrTooLarge beyond it, before what is too much is read when the
// length is stated.
func (in *wire) readBody(f framing, limit int) ([]byte, error) {
	switch {
	case f.chunked:
		return in.readChunked(limit)
	case f.length > limit:
		return nil, ErrTooLarge
	}
	return in.extend(nil, f.length)
}

// extend appends exactly n bytes of the connection to b. Memory follows what
// has come, not what was announced: room for all of n when they are few, else
// as much again as there is.
func (in *wire) extend(b []byte, n int) (_ []byte, err error) {
	for n > 0 {
		if len(b) == cap(b) {
			if b, err = in.make(b, len(b)+min(n, max(firstBody, len(b)))); err != nil {
				return nil, err
			}
		}
		k := min(n, cap(b)-len(b))
		if err := in.full(b[len(b) : len(b)+k]); err != nil {
			return nil, err
		}
		b = b[:len(b)+k]
		n -= k
	}
	return b, nil
}

// readChunked reads a chunked body (RFC 9112 section 7.1) and drops its
// extensions and its trailer.
func (in *wire) readChunked(limit int) ([]byte, error) {
	var b []byte
	extensions := 0
	for {
		line, err := in.line(maxLine)
		if err != nil {
			return nil, tooLong(err, 400, "chunk-size", "la taille d'un fragment (chunk) est trop longue")
		}
		size, ext, ok := chunkSize(line)
		if extensions += ext; !ok || extensions > maxTrailer {
			return nil, bad("chunk-size", "la taille d'un fragment (chunk) est mal formée")
		}
		if size == 0 {
			return b, in.skipTrailer()
		}
		if size > limit-len(b) {
			return nil, ErrTooLarge
		}
		if cap(b)-len(b) < size { // doubled, so that many small chunks do not make the reading quadratic
			if b, err = in.make(b, max(2*cap(b), len(b)+min(size, firstBody))); err != nil {
				return nil, err
			}
		}
		if b, err = in.extend(b, size); err != nil {
			return nil, err
		}
		var end [2]byte
		if err := in.full(end[:]); err != nil {
			return nil, err
		}
		if end != [2]byte{'\r', '\n'} {
			return nil, bad("chunk-end", "un fragment (chunk) n'est pas suivi de CRLF")
		}
	}
}

// chunkSize reads "SIZE[;extension]": 1 to 8 hexadecimal digits, and an
// extension of visible characters that is not looked at.
func chunkSize(line []byte) (size, extension int, ok bool) {
	digits, ext, hasExt := bytes.Cut(line, []byte(";"))
	if hasExt {
		if !isValue(string(ext)) {
			return 0, 0, false
		}
		digits = bytes.TrimRight(digits, " \t") // BWS, RFC 9112 section 7.1.1
	}
	if len(digits) == 0 || len(digits) > 8 {
		return 0, 0, false
	}
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			size = size<<4 | int(c-'0')
		case c >= 'a' && c <= 'f':
			size = size<<4 | int(c-'a'+10)
		case c >= 'A' && c <= 'F':
			size = size<<4 | int(c-'A'+10)
		default:
			return 0, 0, false
		}
	}
	return size, len(ext), true
}

// skipTrailer reads the trailer fields as strictly as header fields, and
// forgets them: nothing of ours is decided by one.
func (in *wire) skipTrailer() error {
	for left := maxTrailer; ; {
		line, err := in.line(left)
		if err != nil {
			return tooLong(err, 431, "trailer-too-large", "les en-têtes de fin (trailer) sont trop longs")
		}
		if len(line) == 0 {
			return nil
		}
		if _, err := parseFields(string(line)+"\r\n", nil, maxFields); err != nil {
			return err
		}
		left -= len(line)
	}
}
