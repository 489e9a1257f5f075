package drive

import (
	"strconv"
	"strings"
	"testing"
)

// A small answer as the reference services give it, and the same in chunks.
var (
	typicalBody     = strings.Repeat(`{"success":true}`, 10)[:150]
	typicalResponse = "HTTP/1.1 201 Created\r\nDate: Tue, 20 Oct 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n" +
		"Content-Length: 150\r\nX-Request-Id: 5f0c2b7e9a\r\nServer: uvicorn\r\n\r\n" + typicalBody
	chunkedResponse = "HTTP/1.1 200 OK\r\nDate: Tue, 20 Oct 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n" +
		"Transfer-Encoding: chunked\r\nServer: uvicorn\r\n\r\n" +
		"32\r\n" + typicalBody[:50] + "\r\n64\r\n" + typicalBody[50:] + "\r\n0\r\n\r\n"
)

// pieces cuts text into n pieces of about one length.
func pieces(text string, n int) (list [][]byte) {
	for i := range n {
		list = append(list, []byte(text[i*len(text)/n:(i+1)*len(text)/n]))
	}
	return list
}

// BenchmarkResponse is the parser's share of one answer.
func BenchmarkResponse(b *testing.B) {
	for name, c := range map[string]struct {
		text string
		n    int
		keep bool
	}{
		"whole":         {typicalResponse, 1, false},
		"whole, kept":   {typicalResponse, 1, true},
		"split in 3":    {typicalResponse, 3, false},
		"chunked":       {chunkedResponse, 1, false},
		"chunked, in 3": {chunkedResponse, 3, false},
	} {
		b.Run(name, func(b *testing.B) {
			parts := pieces(c.text, c.n)
			var p response
			sink := bodySink{limit: exampleBody}
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				sink.buf = sink.buf[:0]
				p.start(false, c.keep)
				done := false
				for _, part := range parts {
					var err error
					if _, done, err = p.feed(part, &sink); err != nil {
						b.Fatal(err)
					}
				}
				if !done || p.body != int64(len(typicalBody)) {
					b.Fatal("not complete after " + strconv.FormatInt(p.body, 10) + " bytes")
				}
			}
		})
	}
}
