package drive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// byNetHTTP reads the same with net/http, as its Transport would.
func byNetHTTP(text string, head bool) outcome {
	source := strings.NewReader(text)
	r := bufio.NewReader(source)
	req := &http.Request{Method: http.MethodGet}
	if head {
		req.Method = http.MethodHead
	}
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			return outcome{used: -1, err: err}
		}
		body, err := io.ReadAll(resp.Body) // of 1xx none
		_ = resp.Body.Close()
		if resp.StatusCode >= 100 && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		if err == nil && len(body) > bodyMax {
			err = errTooLarge
		}
		out := outcome{status: resp.StatusCode, err: err, used: -1}
		if err == nil {
			out.body, out.keep, out.header = string(body), !resp.Close, resp.Header
			out.used = len(text) - source.Len() - r.Buffered()
		}
		return out
	}
}

// sameAnswer compares what both took for a response. Of the header, net/http deletes what it has understood.
func sameAnswer(ours, theirs outcome) bool {
	for _, name := range []string{"Connection", "Transfer-Encoding", "Content-Length", "Trailer"} {
		delete(ours.header, name)
		delete(theirs.header, name)
	}
	if pragma := theirs.header["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" && ours.header["Cache-Control"] == nil {
		delete(theirs.header, "Cache-Control") // net/http makes it up
	}
	for _, values := range theirs.header {
		for i := range values {
			values[i] = strings.Trim(values[i], " \t") // blank continuation lines
		}
	}
	return reflect.DeepEqual(ours, theirs)
}

const okChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

// hostile responses. want is our error; net/http must agree whether it is one, or differs says why not.
var hostile = []struct {
	text    string
	head    bool
	want    error
	differs string
}{
	{text: "SSH-2.0-OpenSSH_9.9\r\n", want: errNotHTTP},
	{text: "\x15\x03\x01\x00\x02\x02\x16", want: errNotHTTP}, // a TLS alert
	{text: "\r\n" + answer("", "HTTP/1.1 200 OK", "Content-Length: 0"), want: errNotHTTP},
	{text: " HTTP/1.1 200 OK\r\n\r\n", want: errNotHTTP},
	{text: "http/1.1 200 OK\r\n\r\n", want: errNotHTTP},
	{text: "HTTP/1\r\n\r\n", want: errNotHTTP},
	{text: "ICY 200 OK\r\n\r\n", want: errNotHTTP},
	{text: "HTTP/2.0 200 OK\r\n\r\n", want: errNotHTTP, differs: "a version we do not speak; net/http takes any digit"},
	{text: "HTTP/0.9 200 OK\r\n\r\n", want: errNotHTTP, differs: "as above"},
	{text: "HTTP/1.10 200 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.x 200 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 \r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1200 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1\t200 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 200\tOK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 20 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 2000 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 2x0 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 -20 OK\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 200\r\r\n\r\n", want: errStatusLine},
	{text: "HTTP/1.1 +20 OK\r\n\r\n", want: errStatusLine, differs: "three digits, says RFC 9112; strconv.Atoi takes a sign"},
	{text: "HTTP/1.1 099 OK\r\n\r\n", want: errStatusLine, differs: "there is no status below 100"},
	{text: "HTTP/1.1   200 OK\r\nContent-Length: 0\r\n\r\n"},
	{text: "HTTP/1.1 200 \x00\x7f\rodd\r\nContent-Length: 0\r\n\r\n"},

	{text: "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\n: x\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX\tY: z\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX(Y): z\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX\xc3\xbc: z\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX: a\x7fb\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX: 0123456789\x1fb\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX: a\r\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX: a\r\n b\x01\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\n X: folded first\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\n \r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\n\r\r\n\r\n", want: errField},
	{text: "HTTP/1.1 200 OK\r\nX Y : z\r\nContent-Length: 0\r\n\r\n"},
	{text: "HTTP/1.1 200 OK\r\nX:\r\n \r\n\t\r\nContent-Length: 0\r\n\r\n"},

	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 2"), want: errLengths},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 1, 1"), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: "), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: +1"), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: -1"), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 0x1"), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 1 1"), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 1", " 1"), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 18446744073709551617"), want: errLength},
	{text: answer("", "HTTP/1.1 204 OK", "Content-Length: x"), want: errLength},
	{text: answer("", "HTTP/1.1 200 OK", "Content-Length: x"), head: true, want: errLength},
	{text: answer("0\r\n\r\n", "HTTP/1.1 200 OK", "Content-Length: x", "Transfer-Encoding: chunked"), want: errLength},
	{text: answer("", "HTTP/1.1 103 Hints", "Content-Length: x") + answer("", "HTTP/1.1 204 OK"), want: errLength},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 9223372036854775807"), want: errTooLarge},
	{text: answer("x", "HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 01"), differs: "the same number; net/http compares the text"},

	{text: answer("x", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"), want: errCoding},
	{text: answer("x", "HTTP/1.1 200 OK", "Transfer-Encoding: identity"), want: errCoding},
	{text: answer("x", "HTTP/1.1 200 OK", "Transfer-Encoding: "), want: errCoding},
	{text: answer("x", "HTTP/1.1 200 OK", "Transfer-Encoding: chun\u212aed"), want: errCoding}, // a Kelvin sign
	{text: answer("x", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), want: errCoding},
	{text: answer("", "HTTP/1.1 204 OK", "Transfer-Encoding: gzip"), want: errCoding},
	{text: answer("0\r\n\r\n", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", " ", "X: y"), differs: "the blank continuation line is nothing; net/http keeps a blank"},
	{
		text:    answer("x", "HTTP/1.0 200 OK", "Transfer-Encoding: chunked", "Content-Length: 1", "Connection: keep-alive"),
		differs: "the connection is not used again, which RFC 9112, section 6.1, demands",
	},

	{text: answer("", "HTTP/1.1 101 Switching", "Upgrade: x", "Connection: Upgrade"), want: errSwitched, differs: "nobody asked for it; net/http hands over the connection"},

	{text: okChunked + "zz\r\n", want: errChunkSize},
	{text: okChunked + "\r\n", want: errChunkSize},
	{text: okChunked + "\n", want: errChunkSize},
	{text: okChunked + ";x\r\n", want: errChunkSize},
	{text: okChunked + "-1\r\n", want: errChunkSize},
	{text: okChunked + "0x1\r\nx\r\n0\r\n\r\n", want: errChunkSize},
	{text: okChunked + " 1\r\nx\r\n0\r\n\r\n", want: errChunkSize},
	{text: okChunked + "1\nx\r\n0\r\n\r\n", want: errChunkSize},
	{text: okChunked + "1;a\rb\r\nx\r\n0\r\n\r\n", want: errChunkSize},
	{text: okChunked + "1\r\r\nx\r\n0\r\n\r\n", want: errChunkSize},
	{text: okChunked + "ffffffffffffffff1\r\nx", want: errChunkSize},
	{text: okChunked + "ffffffffffffffff\r\nx", want: errChunkSize},
	{text: okChunked + "7fffffffffffff\r\nx", want: errTooLarge},
	{text: okChunked + "1 ;x\r\nx\r\n0\r\n\r\n", differs: "RFC 9112 lets blanks stand before the semicolon"},
	{text: okChunked + "0000000000000001\r\nx\r\n0\r\n\r\n", want: errChunkSize, differs: "16 digits; we take 15, which no length needs"},
	{text: okChunked + "1;" + strings.Repeat("x", 5000) + "\r\nx\r\n0\r\n\r\n", want: errChunkLine},
	{text: okChunked + strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\nx\r\n", 100) + "0\r\n\r\n", want: errChunkExcess},
	{text: okChunked + strings.Repeat("1\r\nx\r\n", 9000) + "0\r\n\r\n"},
	{text: okChunked + "1\r\nxy\r\n0\r\n\r\n", want: errChunkEnd},
	{text: okChunked + "1\r\nx\n0\r\n\r\n", want: errChunkEnd},
	{text: okChunked + "1\r\nx\rz0\r\n\r\n", want: errChunkEnd},
	{text: okChunked + "0\r\nno colon\r\n\r\n", want: errField},
	{text: okChunked + "0\r\n folded: first\r\n\r\n", want: errField},
	{text: okChunked + "0\r\nX: \x01\r\n\r\n", want: errField},
	{text: okChunked + "0\r\nX: y\n\n", differs: "a bare line feed ends a trailer's line as it ends a header's"},
	{text: okChunked + "0\r\nX: " + strings.Repeat("y", 8<<10) + "\r\n\r\n", differs: "net/http's trailers end with its buffer, 4 KiB"},
	{
		text:    answer("0\r\n\r\n", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: Content-Length"),
		differs: "a trailer changes no framing, whatever it announces",
	},
	{text: okChunked + "0\r\n", want: io.ErrUnexpectedEOF},
	{text: okChunked + "5\r\nx", want: io.ErrUnexpectedEOF},
	{text: answer("", "HTTP/1.1 100 Continue"), want: io.ErrUnexpectedEOF},
}

func TestHostileResponses(t *testing.T) {
	once(t)
	for _, c := range hostile {
		ours := inEveryWay(t, c.text, c.head)
		if !errors.Is(ours.err, c.want) {
			t.Errorf("%.80q: got %v, want error %v", c.text, ours, c.want)
		}
		theirs := byNetHTTP(c.text, c.head)
		same := (ours.err == nil) == (theirs.err == nil) && (ours.err != nil || sameAnswer(ours, theirs))
		if same == (c.differs != "") {
			t.Errorf("%.80q: differs %q\nours   %v\ntheirs %v", c.text, c.differs, ours, theirs)
		}
	}
}

// generated is a correct response, in all the forms there are.
type generated struct {
	text string
	head bool
}

func response11(t *rapid.T) generated {
	draw := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	eol := func() string { return draw("eol", "\r\n", "\r\n", "\r\n", "\n") }
	var b strings.Builder
	fields := func(names ...string) {
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			fmt.Fprintf(&b, "%s:%s%s", draw("name", names...), draw("blank", "", " ", "\t "), draw("value", "", "x", "a b\tc", "\xc3\xbc", "12345678901234567890"))
			for range rapid.IntRange(0, 9).Draw(t, "folds") / 8 {
				b.WriteString(eol() + draw("fold", " ", "\t", "  x", " \ty z "))
			}
			b.WriteString(eol())
		}
	}
	names := []string{"Server", "x-request-id", "SET-COOKIE", "Content-Type", "Content-Lengthy", "Connectiom", "Transfer-Encodinh", "Pragma", "Odd Name", "X"}
	for range rapid.IntRange(0, 5).Draw(t, "informs") / 4 {
		b.WriteString(draw("inform", "HTTP/1.1 100 Continue", "HTTP/1.1 103 ", "HTTP/1.0 102") + eol())
		fields(names...)
		b.WriteString(eol())
	}
	version := draw("version", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.3")
	b.WriteString(version + draw("gap", " ", " ", "  ") + draw("status", "200", "201", "204", "304", "404", "503", "999") + draw("reason", "", " ", " OK", " Not so\xff good") + eol())
	body := rapid.StringOfN(rapid.RuneFrom([]rune("abc\r\n0: ")), 0, 40, -1).Draw(t, "body")
	framing := draw("framing", "length", "chunked", "end")
	fields(names...)
	if connection := draw("connection", "", "", "close", "Keep-Alive", "upgrade, cLose", "keep-alive,\r\n close", "closed"); connection != "" {
		b.WriteString("Connection: " + connection + eol())
	}
	switch {
	case framing == "length" || framing == "chunked" && version == "HTTP/1.0":
		for range rapid.IntRange(1, 2).Draw(t, "lengths") {
			fmt.Fprintf(&b, "%s:%s%d%s", draw("length", "Content-Length", "content-length"), draw("blank", "", " ", "\r\n "), len(body), eol())
		}
	case framing == "chunked":
		b.WriteString(draw("coding", "Transfer-Encoding", "transfer-encoding") + ":" + draw("blank", " ", "\r\n\t") + draw("chunked", "chunked", "Chunked") + eol())
	}
	fields(names...)
	b.WriteString(eol())
	if framing == "chunked" && version != "HTTP/1.0" {
		for rest := body; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
			fmt.Fprintf(&b, "%s%x%s\r\n%s\r\n", draw("zeros", "", "00"), n, draw("extension", "", ";x", ";x=\"y\"", " \t"), rest[:n])
			rest = rest[n:]
		}
		b.WriteString(draw("last", "0", "000", "0;x") + "\r\n")
		for range rapid.IntRange(0, 2).Draw(t, "trailers") {
			b.WriteString(draw("trailer", "X-Sum: 1\r\n", "Content-Length: 4\r\n", "X: a\r\n b\r\n"))
		}
		b.WriteString("\r\n")
	} else {
		b.WriteString(body)
	}
	b.WriteString(draw("more", "", "", "HTTP/1.1 200 OK\r\n", "\r\n"))
	return generated{b.String(), rapid.Bool().Draw(t, "HEAD")}
}

func TestWeReadWhatNetHTTPReads(t *testing.T) {
	once(t)
	rapid.Check(t, func(t *rapid.T) {
		c := response11(t)
		ours, theirs := inEveryWay(t, c.text, c.head), byNetHTTP(c.text, c.head)
		if ours.err != nil || theirs.err != nil || !sameAnswer(ours, theirs) {
			t.Fatalf("%q (HEAD %v)\nours   %v\ntheirs %v", c.text, c.head, ours, theirs)
		}
	})
}

// A correct response with a few bytes changed: the same answers, or one of both takes it for none.
func TestWeAgreeWithNetHTTPOnBrokenResponses(t *testing.T) {
	once(t)
	rapid.Check(t, func(t *rapid.T) {
		c := response11(t)
		text := []byte(c.text)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				text[i] = rapid.SampledFrom([]byte("\x00\x01\t\n\r \x7f\xff:;,019aAfF-+")).Draw(t, "byte")
			case 1:
				text = append(text[:i], text[i+1:]...)
			default:
				text = append(text[:i], append([]byte{text[i]}, text[i:]...)...)
			}
		}
		agree(t, string(text), c.head)
	})
}

// agree fails when the answer depends on the cuts, or when both parsers take text for different responses.
func agree(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, text string, head bool,
) {
	t.Helper()
	ours, theirs := inEveryWay(t, text, head), byNetHTTP(text, head)
	if ours.err != nil || theirs.err != nil {
		return
	}
	if coded := ours.header["Transfer-Encoding"]; coded != nil && !ours.keep {
		theirs.keep = false // HTTP/1.0 with a transfer coding: see hostile
	}
	if !sameAnswer(ours, theirs) {
		t.Fatalf("%q (HEAD %v)\nours   %v\ntheirs %v", text, head, ours, theirs)
	}
}

// FuzzResponse looks for answers that depend on how the bytes are cut, for panics, and for bytes that we and net/http both
// take for a response, but not for the same one.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(typicalResponse), false)
	f.Add([]byte(chunkedResponse), false)
	f.Add([]byte(typicalResponse), true)
	for _, c := range hostile {
		if len(c.text) < 500 {
			f.Add([]byte(c.text), c.head)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, head bool) {
		if len(text) > 1<<10 {
			t.Skip("two-way splits are quadratic")
		}
		agree(t, string(text), head)
	})
}

// What the engine asks of an error: that it can be told from the others.
func TestEOFIsNoProtocolError(t *testing.T) {
	once(t)
	var p response
	p.start(false, false)
	_, err := p.eof()
	if broken := protocolError(""); errors.As(err, &broken) || !errors.Is(err, io.EOF) {
		t.Errorf("nothing came: %v", err)
	}
}
