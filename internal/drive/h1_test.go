package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// outcome is all that a parser says of one response.
type outcome struct {
	status int
	body   string
	header http.Header // nil when err
	keep   bool
	used   int // -1 when err
	err    error
}

func (o outcome) String() string {
	return fmt.Sprintf("status %d, body %q, header %v, keep-alive %v, %d bytes, error %v", o.status, o.body, o.header, o.keep, o.used, o.err)
}

// parse feeds text in pieces that end at the cuts, and then the end of the connection if the response needs it. The pieces
// are overwritten behind the parser's back, as the engine's buffer is.
func parse(p *response, text string, head bool, cuts ...int) outcome {
	sink := bodySink{limit: bodyMax}
	p.start(head, p.seen == nil) // heads that are kept are not recognised
	used, done, err := 0, false, error(nil)
	for from := 0; from < len(text) && !done && err == nil; {
		to := len(text)
		if len(cuts) > 0 {
			to, cuts = cuts[0], cuts[1:]
		}
		part := []byte(text[from:to])
		var n int
		n, done, err = p.feed(part, &sink)
		for i := range part {
			part[i] = '?'
		}
		used, from = used+n, to
	}
	if !done && err == nil {
		done, err = p.eof()
	}
	out := outcome{status: p.status, body: string(sink.buf), keep: p.keepAlive(), used: used, err: err}
	if err != nil || !done {
		out.used, out.body = -1, ""
		return out
	}
	out.header = p.httpHeader()
	if p.bodyBytes() != int64(len(out.body)) {
		out.err = fmt.Errorf("%d body bytes counted, %d handed over", p.bodyBytes(), len(out.body))
	}
	return out
}

// inEveryWay parses text whole, byte by byte and, unless it is long, in every two pieces, then as a head that has been seen
// before, again in every two pieces; the answers must be the same.
func inEveryWay(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, text string, head bool,
) outcome {
	t.Helper()
	var p response
	whole := parse(&p, text, head)
	check := func(got outcome, way string) {
		t.Helper()
		if !reflect.DeepEqual(got, whole) {
			t.Fatalf("%q (HEAD %v)\nwhole: %v\n%s: %v", text, head, whole, way, got)
		}
	}
	bytewise := make([]int, len(text))
	for i := range bytewise {
		bytewise[i] = i + 1
	}
	check(parse(&p, text, head, bytewise...), "byte by byte")
	if len(text) <= 2000 {
		for i := range len(text) {
			check(parse(&p, text, head, i), fmt.Sprintf("cut at %d", i))
		}
	}
	kept := whole
	whole.header = nil
	again := func(way string, cuts ...int) {
		t.Helper()
		got := parse(&p, text, head, cuts...)
		got.header = nil
		check(got, way)
	}
	for _, misses := range []uint{seenEvery - 1, 0} { // the first is not remembered, or is
		p.seen = &seenHead{misses: misses}
		again("to be seen again")
		again("seen before")
	}
	if len(text) <= 2000 {
		for i := range len(text) {
			again(fmt.Sprintf("seen before, cut at %d", i), i)
		}
	}
	return kept
}

const crlf = "\r\n"

// answer writes a head with CR LF and adds the body.
func answer(body string, head ...string) string {
	return strings.Join(head, crlf) + crlf + crlf + body
}

func TestResponsesAreReadToTheirEnd(t *testing.T) {
	once(t)
	const ok, chunked = "HTTP/1.1 200 OK", "Transfer-Encoding: chunked"
	for name, c := range map[string]struct {
		text   string
		head   bool
		status int
		body   string
		more   string // unsolicited
		closes bool
	}{
		"a length":                         {text: answer("hello", ok, "Content-Length: 5"), status: 200, body: "hello"},
		"no reason":                        {text: answer("", "HTTP/1.1 404", "Content-Length: 0"), status: 404},
		"an empty reason":                  {text: answer("", "HTTP/1.1 404 ", "Content-Length: 0"), status: 404},
		"an unknown status":                {text: answer("", "HTTP/1.1 799 Odd", "Content-Length: 0"), status: 799},
		"a later minor version":            {text: answer("1\r\nx\r\n0\r\n\r\n", "HTTP/1.7 200 OK", chunked), status: 200, body: "x"},
		"bytes after it":                   {text: answer("hello", ok, "Content-Length: 5") + "HTTP/1.1", status: 200, body: "hello", more: "HTTP/1.1"},
		"bare line feeds":                  {text: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", status: 200, body: "hi"},
		"the same length twice":            {text: answer("hi", ok, "Content-Length: 2", "content-length:2"), status: 200, body: "hi"},
		"a length with blanks and zeros":   {text: answer("hi", ok, "Content-Length: \t 002 \t"), status: 200, body: "hi"},
		"no field at all":                  {text: answer("hi", ok), status: 200, body: "hi", closes: true},
		"until the end":                    {text: answer("all\r\nof it", ok, "Server: x"), status: 200, body: "all\r\nof it", closes: true},
		"nothing until the end":            {text: answer("", ok, "Server: x"), status: 200, closes: true},
		"chunks":                           {text: answer("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", ok, chunked), status: 200, body: "abc0123456789"},
		"chunks in strange case":           {text: answer("1\r\nx\r\n0\r\n\r\n", ok, "TRANSFER-encoding:  Chunked"), status: 200, body: "x"},
		"no chunk":                         {text: answer("0\r\n\r\n", ok, chunked), status: 200},
		"zeros before a chunk's size":      {text: answer("0001\r\nx\r\n0000\r\n\r\n", ok, chunked), status: 200, body: "x"},
		"blanks behind a chunk's size":     {text: answer("1 \t \r\nx\r\n0 \r\n\r\n", ok, chunked), status: 200, body: "x"},
		"chunk extensions":                 {text: answer("1;a=b;c=\"d\"\r\nx\r\n0;last\r\n\r\n", ok, chunked), status: 200, body: "x"},
		"trailers":                         {text: answer("1\r\nx\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\n\r\nmore", ok, chunked), status: 200, body: "x", more: "more"},
		"a folded trailer":                 {text: answer("0\r\nX-Sum: 1\r\n 2\r\n\r\n", ok, chunked), status: 200},
		"chunks win over a length":         {text: answer("1\r\nx\r\n0\r\n\r\n", ok, "Content-Length: 3", chunked), status: 200, body: "x"},
		"HEAD":                             {text: answer("more", ok, "Content-Length: 5"), head: true, status: 200, more: "more"},
		"HEAD of something huge":           {text: answer("", ok, "Content-Length: 99999999999"), head: true, status: 200},
		"HEAD of chunks":                   {text: answer("", ok, chunked), head: true, status: 200},
		"HEAD without a length":            {text: answer("", ok), head: true, status: 200},
		"204":                              {text: answer("", "HTTP/1.1 204 No Content", "Content-Length: 5"), status: 204},
		"304":                              {text: answer("", "HTTP/1.1 304 Not Modified", chunked), status: 304},
		"100 before it":                    {text: answer("", "HTTP/1.1 100 Continue") + answer("hi", ok, "Content-Length: 2"), status: 200, body: "hi"},
		"hints before it":                  {text: answer("", "HTTP/1.1 103 Early Hints", "Link: </x>", "Connection: close", chunked) + answer("hi", ok, "Content-Length: 2"), status: 200, body: "hi"},
		"close":                            {text: answer("hi", ok, "Content-Length: 2", "Connection: close"), status: 200, body: "hi", closes: true},
		"close in a list":                  {text: answer("hi", ok, "Content-Length: 2", "Connection: keep-alive, \t CLOSE"), status: 200, body: "hi", closes: true},
		"close in a second field":          {text: answer("hi", ok, "Content-Length: 2", "Connection: x", "connection:close"), status: 200, body: "hi", closes: true},
		"close in a folded line":           {text: answer("hi", ok, "Content-Length: 2", "Connection: x,", " close", "Server: y"), status: 200, body: "hi", closes: true},
		"nearly close":                     {text: answer("hi", ok, "Content-Length: 2", "Connection: closed, x close"), status: 200, body: "hi"},
		"HTTP/1.0":                         {text: answer("hi", "HTTP/1.0 200 OK", "Content-Length: 2"), status: 200, body: "hi", closes: true},
		"HTTP/1.0 keep-alive":              {text: answer("hi", "HTTP/1.0 200 OK", "Content-Length: 2", "Connection: Keep-Alive"), status: 200, body: "hi"},
		"HTTP/1.0 keep-alive and close":    {text: answer("hi", "HTTP/1.0 200 OK", "Content-Length: 2", "Connection: keep-alive, close"), status: 200, body: "hi", closes: true},
		"HTTP/1.0 has no chunks":           {text: answer("hi", "HTTP/1.0 200 OK", chunked), status: 200, body: "hi", closes: true},
		"a folded length":                  {text: answer("hi", ok, "Content-Length:", "\t 2"), status: 200, body: "hi"},
		"a folded coding, last":            {text: answer("1\r\nx\r\n0\r\n\r\n", ok, "Transfer-Encoding:", " chunked"), status: 200, body: "x"},
		"a name with a space is no length": {text: answer("hi!", ok, "Content-Length : 2"), status: 200, body: "hi!", closes: true},
		"text beyond ASCII":                {text: answer("", ok, "X-Name: J\xc3\xbcrgen \xff", "Content-Length: 0"), status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			got := inEveryWay(t, c.text, c.head)
			if got.err != nil || got.status != c.status || got.body != c.body || got.keep == c.closes || got.used != len(c.text)-len(c.more) {
				t.Errorf("%q: %v", c.text, got)
			}
		})
	}
}

// A response that breaks off anywhere is not complete, unless the end of the connection ends it.
func TestAResponseThatBreaksOffIsNotComplete(t *testing.T) {
	once(t)
	for _, text := range []string{
		answer("", "HTTP/1.1 100 Continue") + answer("hello", "HTTP/1.1 200 OK", "Content-Length: 5"),
		answer("5\r\nhello\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked"),
	} {
		for n := range len(text) {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			var p response
			if got := parse(&p, text[:n], false); !errors.Is(got.err, want) {
				t.Errorf("%q: %v", text[:n], got)
			}
			if p.started != (n > 0) || p.keepAlive() {
				t.Errorf("%q: started %v, keep-alive %v", text[:n], p.started, p.keepAlive())
			}
		}
	}
	var p response
	p.start(false, false)
	if used, done, err := p.feed(nil, nil); used != 0 || done || err != nil || p.started {
		t.Errorf("no bytes: %d %v %v", used, done, err)
	}
}

func TestAConnectionCarriesOneResponseAfterTheOther(t *testing.T) {
	once(t)
	var p response
	for _, c := range []struct {
		text string
		head bool
		want string
	}{
		{text: answer("hello", "HTTP/1.1 200 OK", "Content-Length: 5"), want: "hello"},
		{text: answer("", "HTTP/1.1 200 OK", "Content-Length: 5"), head: true},
		{text: answer("2\r\nhi\r\n0\r\n\r\n", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), want: "hi"},
		{text: answer("hello", "HTTP/1.1 500 Oh", "Content-Length: 5"), want: "hello"},
		{text: answer("", "HTTP/1.1 204 No Content")},
	} {
		if got := parse(&p, c.text, c.head, len(c.text)/3); got.err != nil || got.body != c.want || !got.keep {
			t.Errorf("%q: %v", c.text, got)
		}
	}
	if got := parse(&p, "HTTP/1.1 200 OK\r\nbroken", false); !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", got)
	}
	if got := parse(&p, answer("", "HTTP/1.1 204 No Content"), false); got.err != nil || got.status != 204 {
		t.Errorf("after a broken one: %v", got)
	}
}

func TestKeptFields(t *testing.T) {
	once(t)
	text := answer("", "HTTP/1.1 103 Early Hints", "X-Early: 1") + answer("", "HTTP/1.1 200 OK", "Set-Cookie: a=1; Path=/", "x-folded:  one", "\t two ",
		"SET-COOKIE:b=2", "Odd Name: \t", "Content-Length: 0", "X-Last:", " z")
	var p response
	want := http.Header{
		"Set-Cookie": {"a=1; Path=/", "b=2"}, "X-Folded": {"one two"}, "Odd Name": {""}, "Content-Length": {"0"}, "X-Last": {"z"},
	}
	if got := inEveryWay(t, text, false); !reflect.DeepEqual(got.header, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	parse(&p, text, false)
	for name, want := range map[string][]string{
		"set-cookie": {"a=1; Path=/", "b=2"}, "X-Folded": {"one two"}, "odd name": {""}, "X-Early": nil, "Set": nil, "x-last": {"z"},
	} {
		var got []string
		for i := 0; ; i++ {
			value, ok := p.Field(name, i)
			if !ok {
				break
			}
			got = append(got, string(value))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	p.start(false, false)
	if _, done, err := p.feed([]byte(text), nil); !done || err != nil || len(p.httpHeader()) != 0 {
		t.Errorf("not wanted, but got %v (done %v, error %v)", p.httpHeader(), done, err)
	}
}

func TestTheSinkKeepsTheBeginning(t *testing.T) {
	once(t)
	var p response
	for _, limit := range []int{0, 3, 5, 9} {
		sink := bodySink{limit: limit}
		p.start(false, false)
		for _, part := range pieces(answer("4\r\nhell\r\n1\r\no\r\n0\r\n\r\n", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), 7) {
			if _, _, err := p.feed(part, &sink); err != nil {
				t.Fatal(err)
			}
		}
		if want := "hello"[:min(limit, 5)]; string(sink.buf) != want || p.bodyBytes() != 5 {
			t.Errorf("limit %d: kept %q of %d", limit, sink.buf, p.bodyBytes())
		}
	}
}

// Bodies of exactly the limit pass, one byte more does not, however the length is told.
func TestABodyHasALimit(t *testing.T) {
	once(t)
	block := make([]byte, 1<<20)
	feed := func(p *response, head string, n int) error {
		p.start(false, false)
		_, _, err := p.feed([]byte(head), nil)
		for ; n > 0 && err == nil; n -= len(block) {
			_, _, err = p.feed(block[:min(n, len(block))], nil)
		}
		return err
	}
	const ok = "HTTP/1.1 200 OK\r\n"
	var p response
	for name, head := range map[string]string{
		"length": ok + "Content-Length: 16777216\r\n\r\n", "end": ok + "\r\n", "chunk": ok + "Transfer-Encoding: chunked\r\n\r\n1000000\r\n",
	} {
		if err := feed(&p, head, bodyMax); err != nil || p.bodyBytes() != bodyMax {
			t.Errorf("%s: %v after %d bytes", name, err, p.bodyBytes())
		}
	}
	for name, err := range map[string]error{
		"length":       feed(&p, ok+"Content-Length: 16777217\r\n\r\n", 0),
		"chunk":        feed(&p, ok+"Transfer-Encoding: chunked\r\n\r\n1000001\r\n", 0),
		"second chunk": feed(&p, ok+"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1000000\r\n", 0),
		"end":          feed(&p, ok+"\r\n", bodyMax+1),
	} {
		if !errors.Is(err, errTooLarge) || p.status != 200 {
			t.Errorf("%s: status %d, error %v", name, p.status, err)
		}
	}
}

func TestAHeadHasALimit(t *testing.T) {
	once(t)
	fill := func(n int) string { return "X: " + strings.Repeat("x", n-len("X: \r\n")) + crlf }
	const ok, end = "HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n\r\n"
	const room = headMax - len(ok) - len(end)
	const chunks = ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n"
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"one line":             {ok + fill(room) + end, nil},
		"one line too long":    {ok + fill(room+1) + end, errHeadTooLarge},
		"two lines":            {ok + fill(room/2) + fill(room-room/2) + end, nil},
		"two lines, too long":  {ok + fill(room/2) + fill(room-room/2+1) + end, errHeadTooLarge},
		"a bad line beyond":    {ok + fill(room+10) + "Content-Length: x\r\nX", errHeadTooLarge},
		"a line without end":   {ok + strings.Repeat("x", headMax), errHeadTooLarge},
		"a status without end": {"HTTP/1.1 200 " + strings.Repeat("x", headMax), errHeadTooLarge},
		"folds":                {ok + "Content-Length: 5\r\n" + strings.Repeat(" \r\n", headMax/3), errHeadTooLarge},
		"trailers":             {chunks + fill(headMax), errHeadTooLarge},
		"1xx and all":          {strings.Repeat(answer("", "HTTP/1.1 103 Hints", "X: "+strings.Repeat("x", 30<<10)), 9), errHeadTooLarge},
		"64 1xx":               {strings.Repeat("HTTP/1.1 102 \r\n\r\n", informMax) + ok + end, nil},
		"65 1xx":               {strings.Repeat("HTTP/1.1 102 \r\n\r\n", informMax+1) + ok + end, errInforms},
	} {
		if got := inEveryWay(t, c.text, false); !errors.Is(got.err, c.want) {
			t.Errorf("%s: got %v, want %v", name, got.err, c.want)
		}
	}
}

// Whatever may be wrong with a response is the target's, and a protocol error.
func TestWhatIsNotHTTPIsAProtocolError(t *testing.T) {
	once(t)
	live := context.Background()
	for _, c := range hostile {
		if c.want == nil || errors.Is(c.want, io.ErrUnexpectedEOF) {
			continue
		}
		if got := classify(fmt.Errorf("step: %w", c.want), live, live); got != record.ErrorProtocol {
			t.Errorf("%v: class %v", c.want, got)
		}
		if text := describe(record.ErrorProtocol, c.want); text != c.want.Error() {
			t.Errorf("%q is told as %q", c.want, text)
		}
	}
}

func TestTheParserDoesNotAllocate(t *testing.T) {
	once(t)
	for name, c := range map[string]struct {
		text string
		n    int
		keep bool
	}{
		"whole": {typicalResponse, 1, false}, "split": {typicalResponse, 5, false}, "kept": {typicalResponse, 1, true},
		"chunked": {chunkedResponse, 1, false}, "chunked, split": {chunkedResponse, 9, false},
	} {
		parts := pieces(c.text, c.n)
		p := response{seen: &seenHead{}}
		sink := bodySink{buf: make([]byte, 0, exampleBody), limit: exampleBody}
		values := 0
		once := func() {
			sink.buf = sink.buf[:0]
			p.start(false, c.keep)
			done := false
			for _, part := range parts {
				_, done, _ = p.feed(part, &sink)
			}
			if !done || string(sink.buf) != typicalBody {
				t.Fatalf("%s: done %v, body %q", name, done, sink.buf)
			}
			if _, ok := p.Field("x-request-id", 0); ok {
				values++
			}
		}
		if n := testing.AllocsPerRun(100, once); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if c.keep != (values > 0) {
			t.Errorf("%s: %d values", name, values)
		}
	}
}
