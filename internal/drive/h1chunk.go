package drive

import "bytes"

const (
	chunkLineMax   = 4 << 10  // bytes of a chunk-size line, its end and extensions included
	chunkExcessMax = 16 << 10 // bytes of framing beyond twice the data and 16 a chunk
)

// chunkSize takes the line before a chunk: its size in hexadecimal, and extensions, which mean nothing to us. It must end in
// CR LF: a peer that takes a bare line feed otherwise than we do would see other chunks.
func (p *response) chunkSize(in []byte) (used int) {
	line := in
	end := bytes.IndexByte(in, '\n')
	if end >= 0 {
		line = in[:end+1]
	}
	used = len(line)
	if len(p.line)+len(line) > chunkLineMax {
		p.err = errChunkLine
		return used
	}
	if end < 0 || len(p.line) > 0 {
		p.line = append(p.line, line...)
		line = p.line
	}
	if end < 0 {
		return used
	}
	p.line = p.line[:0]
	n := len(line) - len("\r\n")
	if n < 0 || bytes.IndexByte(line, '\r') != n {
		p.err = errChunkSize
		return used
	}
	p.chunk(line[:n])
	return used
}

// chunk begins the chunk that a chunk-size line announces.
func (p *response) chunk(line []byte) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	size, ok := parseHex(bytes.TrimRight(digits, " \t"))
	switch {
	case !ok:
		p.err = errChunkSize
		return
	case size > bodyMax-p.body:
		p.err = errTooLarge
		return
	}
	// A byte in a chunk of its own is legitimate, kilobytes of extensions for each byte are not.
	p.excess = max(p.excess+int64(len(line))+2-16-2*size, 0)
	if p.excess > chunkExcessMax {
		p.err = errChunkExcess
		return
	}
	p.rest, p.phase = size, inChunk
	if size == 0 {
		p.phase = inTrailer
	}
}

// chunkEnd takes a byte of the CR LF behind a chunk's data.
func (p *response) chunkEnd(c byte) {
	switch {
	case p.phase == inChunkCR && c == '\r':
		p.phase = inChunkLF
	case p.phase == inChunkLF && c == '\n':
		p.phase = inChunkSize
	default:
		p.err = errChunkEnd
	}
}

// parseHex reads a hexadecimal number of at most 15 digits, which fits an int64.
func parseHex(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 15 {
		return 0, false
	}
	for _, c := range text {
		switch {
		case digit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | int64(c)
	}
	return n, true
}
