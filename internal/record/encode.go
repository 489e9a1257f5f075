package record

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"math"
)

// encoder writes tallies in HdrHistogram's V2 compressed format, which hdrhistogram-go and every other HdrHistogram
// library reads. It exists because the library's own encoder builds a new compressor (most of a megabyte) for every
// histogram: several a second, all garbage. This one keeps its buffers.
type encoder struct {
	plain  []byte
	packed bytes.Buffer
	z      *zlib.Writer
}

// Format: https://github.com/HdrHistogram/HdrHistogram, "V2 encoding": header of 40 bytes, then counts as ZigZag LEB128
// where a negative number is a run of zeros; the whole deflated behind an 8-byte header.
const (
	v2Cookie           = 0x1c849303 | 0x10
	v2CompressedCookie = 0x1c849304 | 0x10
	v2Header           = 40
)

// encode returns the tally as base64; "" when it is empty.
func (e *encoder) encode(t *tally) string {
	if t.n == 0 {
		return ""
	}
	b := append(e.plain[:0], make([]byte, v2Header)...)
	next := 0
	t.each(func(index int, n uint32) {
		switch zeros := index - next; {
		case zeros == 1:
			b = append(b, 0)
		case zeros > 1:
			b = binary.AppendVarint(b, -int64(zeros))
		}
		b = binary.AppendVarint(b, int64(n))
		next = index + 1
	})
	e.plain = b

	be := binary.BigEndian
	be.PutUint32(b[0:], v2Cookie)
	be.PutUint32(b[4:], uint32(len(b)-v2Header))
	be.PutUint32(b[8:], 0) // normalising index offset
	be.PutUint32(b[12:], digits)
	be.PutUint64(b[16:], lowestUs)
	be.PutUint64(b[24:], highestUs)
	be.PutUint64(b[32:], math.Float64bits(1)) // conversion ratio

	e.packed.Reset()
	e.packed.Write(make([]byte, 8))
	if e.z == nil {
		e.z = zlib.NewWriter(&e.packed)
	} else {
		e.z.Reset(&e.packed)
	}
	_, _ = e.z.Write(b) // a bytes.Buffer never fails
	_ = e.z.Close()
	out := e.packed.Bytes()
	be.PutUint32(out[0:], v2CompressedCookie)
	be.PutUint32(out[4:], uint32(len(out)-8))
	return base64.StdEncoding.EncodeToString(out)
}
