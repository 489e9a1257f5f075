package drive

import (
	"bytes"
	"math"
)

// kind of a field. Framing fields say where a response ends and whether another may follow; no other field's value is read.
type kind uint8

const (
	framesNothing kind = iota
	framesLength
	framesCoding
	framesConnection
)

// kindOf says which framing field a name is, if any.
func kindOf(name []byte) kind {
	switch len(name) {
	case len("Connection"):
		if equalFold(name, "Connection") {
			return framesConnection
		}
	case len("Content-Length"):
		if equalFold(name, "Content-Length") {
			return framesLength
		}
	case len("Transfer-Encoding"):
		if equalFold(name, "Transfer-Encoding") {
			return framesCoding
		}
	}
	return framesNothing
}

// frame reads the value of a framing field.
func (p *response) frame(frames kind, value []byte) {
	switch frames {
	case framesLength:
		n, ok := parseLength(value)
		switch {
		case !ok:
			p.err = errLength
		case p.length >= 0 && p.length != n:
			p.err = errLengths
		}
		p.length = n
	case framesCoding:
		switch {
		case p.minor == 0:
			p.faulty = true // HTTP/1.0 has no codings (RFC 9112, section 6.1)
		case p.chunked || !equalFold(value, "chunked"):
			p.err = errCoding
		}
		p.chunked = p.minor > 0
	case framesConnection:
		for more := true; more; {
			var token []byte
			token, value, more = bytes.Cut(value, []byte(","))
			token = trim(token)
			p.close = p.close || equalFold(token, "close")
			p.persist = p.persist || equalFold(token, "keep-alive")
		}
	}
}

// bodyPhase follows RFC 9112, section 6.3.
func (p *response) bodyPhase() phase {
	switch {
	case p.head, p.code == 204, p.code == 304, p.length == 0 && !p.chunked:
		return complete
	case p.chunked:
		return inChunkSize
	case p.length < 0:
		return inUntilClose
	}
	if p.length > bodyMax {
		p.err = errTooLarge
	}
	p.rest = p.length
	return inLength
}

// parseLength reads a decimal number that fits an int64.
func parseLength(text []byte) (n int64, ok bool) {
	for _, c := range text {
		if !digit(c) || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(text) > 0
}
